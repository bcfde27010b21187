//! Who follows a stream in the same way. These clients get the same frames, each made once.

use std::{collections::BTreeMap, sync::Arc};

use analytics_domain::live::{Connection, Stream, Subscription, Way};

/// The followers of one feed.
pub struct Followers {
    pub way: Arc<Way>,
    pub subscription: Arc<Subscription>,
    /// Indexes among the account's connections. A connection keeps its index during a call.
    indexes: Vec<usize>,
}

impl Followers {
    /// The feeds of such streams, each with its followers. A feed goes on while a client that has left may come back.
    pub fn group(connections: &[Connection], is_wanted: impl Fn(&Stream) -> bool) -> Vec<Self> {
        let mut feeds: BTreeMap<&Way, Self> = BTreeMap::new();
        for (index, connection) in connections.iter().enumerate() {
            for followed in connection.subscriptions.values() {
                if followed.begun && is_wanted(&followed.way.stream) {
                    let (way, subscription) = (&followed.way, &followed.subscription);
                    let new =
                        || Self { way: Arc::clone(way), subscription: Arc::clone(subscription), indexes: Vec::new() };
                    feeds.entry(way).or_insert_with(new).indexes.push(index);
                }
            }
        }
        feeds.into_values().collect()
    }

    /// The followers that have not left.
    pub fn present<'c>(&self, connections: &'c [Connection]) -> impl Iterator<Item = &'c Connection> {
        let all = self.indexes.iter().filter_map(|index| connections.get(*index));
        all.filter(|connection| connection.left_at.is_none())
    }
}

#[cfg(test)]
mod tests {
    use analytics_domain::{access::Role, account::AccountId, live::Followed};

    use super::*;

    fn connection(id: &str, left_at: Option<i64>, followed: Followed) -> Connection {
        Connection {
            account_id: AccountId::stored("a"),
            id: id.to_owned(),
            role: Role::Viewer,
            connected_at: 0,
            token_expires_at: 3_600_000,
            left_at,
            signed_by: None,
            subscriptions: [(followed.way.stream.clone(), followed)].into(),
        }
    }

    #[test]
    fn clients_that_ask_for_the_same_share_a_feed() {
        let followed = |names: &[&str], begun| {
            let event_names = names.iter().map(|name| (*name).to_owned()).collect();
            let subscription = Subscription { event_names, ..Subscription::whole(0) };
            Followed { begun, ..Followed::new(&AccountId::stored("a"), &Stream::Analytics, subscription) }
        };
        let connections = [
            connection("1", None, followed(&[], true)),
            connection("2", None, followed(&["x"], true)),
            connection("3", None, followed(&[], true)),
            connection("4", Some(1), followed(&[], true)),
            connection("5", None, followed(&[], false)),
            connection("6", Some(1), followed(&["y"], true)),
        ];
        let feeds = Followers::group(&connections, |stream| *stream == Stream::Analytics);
        let ids = |feed: &Followers| feed.present(&connections).map(|one| one.id.clone()).collect::<Vec<_>>();
        let mut present: Vec<_> =
            feeds.iter().map(|feed| (feed.subscription.event_names.join(","), ids(feed))).collect();
        present.sort();
        let expected = [("", vec!["1", "3"]), ("x", vec!["2"]), ("y", vec![])];
        let expected =
            expected.map(|(name, ids)| (name.to_owned(), ids.into_iter().map(str::to_owned).collect::<Vec<String>>()));
        assert_eq!(present, expected);
        assert!(Followers::group(&connections, |stream| *stream != Stream::Analytics).is_empty());
    }
}
