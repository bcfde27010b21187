//! How many connections an account may have, and how many bytes its subscriptions may take.

use std::collections::HashMap;

use analytics_domain::{
    account::AccountId,
    live::{CONNECTIONS, SUBSCRIPTION_BYTES},
};
use aws_sdk_dynamodb::types::AttributeValue;

use super::{ConnectionTable, by_account, bytes, is_unmet};
use crate::{TableError, number, text, unavailable};

/// What an account may have at most.
pub(super) struct Limit {
    name: &'static str,
    most: i64,
    used: fn(&Usage) -> i64,
}

/// Connections that have ended are kept for a while. As many of them are allowed as open ones, so that all clients of an account
/// can connect again at once.
pub(super) const OF_CONNECTIONS: Limit =
    Limit { name: "connections", most: CONNECTIONS, used: |usage| usage.open.max(usage.kept / 2) };
pub(super) const OF_SUBSCRIPTIONS: Limit =
    Limit { name: "subscriptions", most: SUBSCRIPTION_BYTES, used: |usage| usage.bytes };

/// Milliseconds for which what is taken is only added up.
const COUNTED_FOR: i64 = 60_000;

/// What is kept of an account.
#[derive(Debug, Default)]
struct Usage {
    /// Connections that have not ended.
    open: i64,
    /// All connections.
    kept: i64,
    /// Of all subscriptions.
    bytes: i64,
}

fn by_limits(account_id: &AccountId) -> AttributeValue {
    text(&format!("limits#{account_id}"))
}

impl ConnectionTable {
    /// Takes so much of what an account may have; false if that is more than is left.
    ///
    /// What is taken is added up in one item for a minute. It is counted anew after that, and whenever it seems to be too much:
    /// what has ended since does not count then, so nothing is refused that there is room for. Two that are added at the moment
    /// of a count may miss each other: a few more than the limit may be taken, and the next count knows of them.
    pub(super) async fn take(
        &self,
        account_id: &AccountId,
        limit: &Limit,
        amount: i64,
        now: i64,
    ) -> Result<bool, TableError> {
        let item = || {
            let update = self.client.update_item().table_name(&self.name);
            update.key("watched", by_limits(account_id)).key("connectionId", text(limit.name))
        };
        let add = item()
            .update_expression("ADD taken :amount")
            .condition_expression("countedAt > :since AND taken <= :room")
            .expression_attribute_values(":amount", number(amount))
            .expression_attribute_values(":since", number(now - COUNTED_FOR))
            .expression_attribute_values(":room", number(limit.most - amount));
        match add.send().await {
            Ok(_) => return Ok(true),
            Err(error) if is_unmet(&error) => {}
            Err(error) => return Err(unavailable(&error)),
        }
        let taken = (limit.used)(&self.usage(account_id, now).await?) + amount;
        if taken > limit.most {
            return Ok(false);
        }
        let counted = item()
            .update_expression("SET taken = :taken, countedAt = :now, expiresAt = :until")
            .expression_attribute_values(":taken", number(taken))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":until", number((now + COUNTED_FOR) / 1_000 + 1));
        counted.send().await.map(|_| true).map_err(|error| unavailable(&error))
    }

    /// Counts what is kept of an account.
    async fn usage(&self, account_id: &AccountId, now: i64) -> Result<Usage, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("watched = :account")
            .filter_expression("expiresAt > :now")
            .projection_expression("leftAt, #streams")
            .expression_attribute_names("#streams", "streams")
            .expression_attribute_values(":account", by_account(account_id))
            .expression_attribute_values(":now", number(now / 1_000))
            .consistent_read(true);
        let (mut usage, mut start) = (Usage::default(), None);
        loop {
            let page =
                query.clone().set_exclusive_start_key(start).send().await.map_err(|error| unavailable(&error))?;
            for item in page.items() {
                usage.kept += 1;
                usage.open += i64::from(!item.contains_key("leftAt"));
                let streams = item.get("streams").and_then(|streams| streams.as_m().ok());
                usage.bytes += streams.into_iter().flat_map(HashMap::values).map(bytes).sum::<i64>();
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(usage);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use analytics_domain::{
        access::Role,
        live::{Connection, Stream, Subscription},
    };
    use analytics_platform::aws::sdk_config;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        task::JoinHandle,
    };

    use super::*;
    use crate::Added;

    const UNMET: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}"#;

    /// A table that gives these answers, one after another. It ends with what it was asked.
    async fn table(answers: Vec<String>) -> (ConnectionTable, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                asked.push(read(&mut socket).await);
                let status = if answer == UNMET { "400 Bad Request" } else { "200 OK" };
                let head =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
                socket.write_all((head + &answer).as_bytes()).await.unwrap();
            }
            asked
        });
        let lookup = |key: &str| match key {
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            _ => None,
        };
        (ConnectionTable::new(crate::client(&sdk_config(&lookup).unwrap()), "connections"), asked)
    }

    /// The body of a request.
    async fn read(socket: &mut TcpStream) -> String {
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        loop {
            let count = socket.read(&mut chunk).await.unwrap();
            assert!(count > 0, "the request ends early");
            text += std::str::from_utf8(&chunk[..count]).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return body.to_owned();
            }
        }
    }

    /// The answer to a query: so many open connections, and so many that have ended.
    fn kept(open: usize, ended: usize) -> String {
        let streams = r#""streams":{"M":{"analytics":{"S":"{}"}}}"#;
        let open = std::iter::repeat_n(format!("{{{streams}}}"), open);
        let ended = std::iter::repeat_n(format!(r#"{{"leftAt":{{"N":"1"}},{streams}}}"#), ended);
        let items: Vec<String> = open.chain(ended).collect();
        format!(r#"{{"Count":{},"Items":[{}]}}"#, items.len(), items.join(","))
    }

    fn connection() -> Connection {
        Connection {
            account_id: AccountId::stored("a"),
            id: "c".to_owned(),
            role: Role::Viewer,
            connected_at: 1_795_512_600_000,
            token_expires_at: 1_795_512_900_000,
            signed_by: None,
            left_at: None,
            subscriptions: [].into(),
        }
    }

    fn most() -> usize {
        usize::try_from(CONNECTIONS).unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_refused_once_a_count_says_that_there_is_no_room() {
        for used in [kept(most(), 0), kept(1, 2 * most())] {
            let (table, asked) = table(vec![UNMET.to_owned(), used]).await;
            assert!(!table.add(&connection()).await.unwrap());
            assert_eq!(asked.await.unwrap().len(), 2, "nothing was noted");
        }
    }

    #[tokio::test]
    async fn connections_that_have_ended_leave_room_for_as_many() {
        let ok = || "{}".to_owned();
        let answers = vec![UNMET.to_owned(), kept(most() - 1, most() - 1), ok(), ok(), ok(), ok()];
        let (table, asked) = table(answers).await;
        assert!(table.add(&connection()).await.unwrap());
        let asked = asked.await.unwrap();
        assert!(asked[2].contains(&format!(r#"":taken":{{"N":"{CONNECTIONS}"}}"#)), "{}", asked[2]);
        assert!(asked[5].contains(r#""S":"account#a""#), "{}", asked[5]);
    }

    #[tokio::test]
    async fn within_a_minute_of_a_count_connections_are_only_added_up() {
        let (table, asked) = table(vec!["{}".to_owned(); 4]).await;
        assert!(table.add(&connection()).await.unwrap());
        assert!(asked.await.unwrap()[0].contains("ADD taken"));
    }

    #[tokio::test]
    async fn subscriptions_are_refused_that_take_more_than_an_account_has_left() {
        let large = format!(r#"{{"streams":{{"M":{{"analytics":{{"S":"{}"}}}}}}}}"#, "x".repeat(1 << 20));
        let all = format!(r#"{{"Count":4,"Items":[{}]}}"#, [large.as_str(); 4].join(","));
        let (table, asked) = table(vec![UNMET.to_owned(), all]).await;
        let streams = [(Stream::Analytics, Subscription::whole(0))];
        let added = table.subscribe(&connection(), &streams, 1_795_512_600_000).await.unwrap();
        assert_eq!((added, asked.await.unwrap().len()), (Added::TooLarge, 2));
    }
}
