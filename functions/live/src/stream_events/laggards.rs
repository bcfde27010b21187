//! Clients that do not keep up: left out for a while, so that nobody waits for them, and told what they have missed.

use std::collections::HashMap;

use analytics_domain::live::{Connection, Stream};

/// Milliseconds that a client is left out after a failure; twice as long after each further one.
const REST: i64 = 500;
const LONGEST_REST: i64 = 32_000;

/// What is known of them.
#[derive(Debug, Default)]
pub struct Laggards {
    /// Until when, and for how long, by connection.
    rests: HashMap<String, (i64, i64)>,
    /// Events that were not told, by connection and stream, and when that was last; 0 of numbers.
    missed: HashMap<(String, String), (u64, i64)>,
}

impl Laggards {
    /// How much is remembered.
    pub fn len(&self) -> usize {
        self.rests.len() + self.missed.len()
    }

    /// Whether a client is to be left out now.
    pub fn rests(&self, connection_id: &str, now: i64) -> bool {
        self.rests.get(connection_id).is_some_and(|(until, _)| now < *until)
    }

    /// A frame did not reach a client.
    pub fn failed(&mut self, connection_id: &str, now: i64) {
        let rest = self.rests.get(connection_id).map_or(REST, |(_, rest)| (rest * 2).min(LONGEST_REST));
        self.rests.insert(connection_id.to_owned(), (now + rest, rest));
    }

    /// A client keeps up again.
    pub fn reached(&mut self, connection_id: &str) {
        self.rests.remove(connection_id);
    }

    /// Something of a stream was not told.
    pub fn miss(&mut self, connection_id: &str, stream: &str, events: u64, now: i64) {
        let (all, at) = self.missed.entry((connection_id.to_owned(), stream.to_owned())).or_default();
        (*all, *at) = (*all + events, now);
    }

    /// Events of a stream that were not told; none if everything was, or if the client has asked for it since.
    pub fn missed(&self, connection: &Connection, stream: &Stream) -> Option<u64> {
        let (events, at) = self.missed.get(&(connection.id.clone(), stream.to_string()))?;
        (connection.subscriptions.get(stream)?.subscription.at <= *at).then_some(*events)
    }

    /// What was missed of a stream has been made up for.
    pub fn made_up(&mut self, connection_id: &str, stream: &str) {
        self.missed.remove(&(connection_id.to_owned(), stream.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use analytics_domain::{
        access::Role,
        account::AccountId,
        live::{Followed, Subscription},
    };

    use super::*;

    #[test]
    fn who_fails_again_rests_for_longer_until_reached() {
        let mut laggards = Laggards::default();
        assert!(!laggards.rests("c", 0));
        laggards.failed("c", 0);
        assert!(laggards.rests("c", REST - 1) && !laggards.rests("c", REST) && !laggards.rests("d", 0));
        laggards.failed("c", REST);
        assert!(laggards.rests("c", 3 * REST - 1) && !laggards.rests("c", 3 * REST));
        (0..20).for_each(|_| laggards.failed("c", 0));
        assert!(laggards.rests("c", LONGEST_REST - 1) && !laggards.rests("c", LONGEST_REST));
        laggards.reached("c");
        laggards.failed("c", 0);
        assert!(!laggards.rests("c", REST));
    }

    #[test]
    fn what_was_missed_adds_up_until_it_is_made_up_for_or_asked_for_again() {
        let (mut laggards, mut connection) = (Laggards::default(), connection());
        laggards.miss("c", "analytics", 3, 1_100);
        laggards.miss("c", "analytics", 4, 1_200);
        laggards.miss("c", "metrics/ctr", 0, 1_200);
        let ctr = Stream::Metric("ctr".to_owned());
        assert_eq!(laggards.missed(&connection, &Stream::Analytics), Some(7));
        assert_eq!(laggards.missed(&connection, &ctr), Some(0));
        connection
            .subscriptions
            .insert(ctr.clone(), Followed::new(&AccountId::stored("a"), &ctr, Subscription::whole(1_201)));
        assert_eq!(laggards.missed(&connection, &ctr), None);
        laggards.made_up("c", "analytics");
        assert_eq!((laggards.missed(&connection, &Stream::Analytics), laggards.len()), (None, 1));
    }

    fn connection() -> Connection {
        let streams = [Stream::Analytics, Stream::Metric("ctr".to_owned())];
        let followed = |stream: &Stream| Followed::new(&AccountId::stored("a"), stream, Subscription::whole(1_000));
        Connection {
            account_id: AccountId::stored("a"),
            id: "c".to_owned(),
            role: Role::Viewer,
            connected_at: 0,
            token_expires_at: 3_600_000,
            left_at: None,
            signed_by: None,
            subscriptions: streams.map(|stream| (stream.clone(), followed(&stream))).into(),
        }
    }
}
