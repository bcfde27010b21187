//! What was told to those who watch: where each feed stands, and its frames of the last minutes.

use std::collections::HashMap;

use analytics_domain::live::{Head, MEMORY};
use analytics_platform::config::{ConfigError, Lookup};
use aws_sdk_dynamodb::{
    Client,
    operation::put_item::builders::PutItemFluentBuilder,
    types::{AttributeValue, KeysAndAttributes},
};

use crate::{TableError, Tables, number, settled, text, unavailable};

/// Feeds, in the table of connections.
#[derive(Clone, Debug)]
pub struct FeedTable {
    client: Client,
    name: String,
}

/// Where a feed stands has its place among the frames, which go by their number.
const HEAD: &str = "head";

/// Keys of one read:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const AT_ONCE: usize = 100;

fn counted(head: &Head) -> AttributeValue {
    number(i64::try_from(head.events).unwrap_or(i64::MAX))
}

/// Frames as they sort.
fn place(seq: i64) -> String {
    format!("{seq:020}")
}

impl FeedTable {
    /// Reads `CONNECTIONS_TABLE`.
    ///
    /// # Errors
    /// If the key is missing.
    pub fn from_tables(tables: &Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self::new(tables.clone(), lookup.required("CONNECTIONS_TABLE")?))
    }

    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Where feeds stand, those that are there.
    ///
    /// # Errors
    /// If the table does not answer or holds nonsense.
    pub async fn heads(&self, feeds: &[&str]) -> Result<HashMap<String, Head>, TableError> {
        let mut heads = HashMap::new();
        for feeds in feeds.chunks(AT_ONCE) {
            let key = |feed: &&str| {
                HashMap::from([("watched".to_owned(), text(feed)), ("connectionId".to_owned(), text(HEAD))])
            };
            let keys =
                KeysAndAttributes::builder().set_keys(Some(feeds.iter().map(key).collect())).consistent_read(true);
            let keys = keys.build().map_err(|_| TableError::Corrupt("a feed's key"))?;
            let get = self.client.batch_get_item().request_items(&self.name, keys);
            let answer = get.send().await.map_err(|error| unavailable(&error))?;
            if answer.unprocessed_keys().is_some_and(|keys| !keys.is_empty()) {
                return Err(TableError::Unavailable("some keys were not processed".to_owned()));
            }
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
                let head = text("head").and_then(|head| serde_json::from_str(head).ok());
                let (feed, head) = text("watched").zip(head).ok_or(TableError::Corrupt("a feed's head"))?;
                heads.insert(feed.clone(), head);
            }
        }
        Ok(heads)
    }

    /// Where a feed stands, if it is there.
    ///
    /// # Errors
    /// As [`FeedTable::heads`].
    pub async fn head(&self, feed: &str) -> Result<Option<Head>, TableError> {
        Ok(self.heads(&[feed]).await?.remove(feed))
    }

    /// A feed begins, or begins anew.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn begin(&self, feed: &str, head: &Head, now: i64) -> Result<(), TableError> {
        self.put_head(feed, head, now)?.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Notes where a feed stands, if it still stands where it did `before`. If not, somebody else has told the same messages, who
    /// came to them because we took too long.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn set_head(&self, feed: &str, before: &Head, head: &Head, now: i64) -> Result<(), TableError> {
        let put = self
            .put_head(feed, head, now)?
            .condition_expression("attribute_not_exists(head) OR (seq = :seq AND counted = :counted)")
            .expression_attribute_values(":seq", number(before.seq))
            .expression_attribute_values(":counted", counted(before));
        settled(put.send().await)
    }

    fn put_head(&self, feed: &str, head: &Head, now: i64) -> Result<PutItemFluentBuilder, TableError> {
        let json = serde_json::to_string(head).map_err(|_| TableError::Corrupt("a feed's head"))?;
        let put = self.client.put_item().table_name(&self.name);
        let put = put.item("watched", text(feed)).item("connectionId", text(HEAD)).item("head", text(&json));
        let put = put.item("seq", number(head.seq)).item("counted", counted(head));
        // As long as anybody can watch without a break and without a word.
        Ok(put.item("expiresAt", number(now / 1_000 + 86_400)))
    }

    /// Remembers a frame for those who come back.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn add_frame(&self, feed: &str, seq: i64, frame: &str, now: i64) -> Result<(), TableError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("watched", text(feed))
            .item("connectionId", text(&place(seq)))
            .item("frame", text(frame))
            .item("expiresAt", number((now + MEMORY) / 1_000 + 1));
        put.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// The frames after this one that are remembered.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn frames_after(&self, feed: &str, seq: i64) -> Result<Vec<String>, TableError> {
        let (mut frames, mut start) = (Vec::new(), None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("watched = :feed AND connectionId BETWEEN :from AND :to")
                .expression_attribute_values(":feed", text(feed))
                .expression_attribute_values(":from", text(&place(seq + 1)))
                .expression_attribute_values(":to", text(&place(i64::MAX)))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| unavailable(&error))?;
            frames.extend(page.items().iter().filter_map(|item| item.get("frame")?.as_s().ok().cloned()));
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(frames);
            }
        }
    }
}
