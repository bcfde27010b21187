//! Which events were counted lately, for every process that streams.

use analytics_domain::{
    account::AccountId,
    live::{Noted, Seen},
};
use analytics_platform::config::{ConfigError, Lookup};
use aws_sdk_dynamodb::{Client, primitives::Blob, types::AttributeValue};

use crate::{TableError, Tables, number, text, unavailable};

/// Events that were counted, in the table of connections: an item for each call that has counted some.
#[derive(Clone, Debug)]
pub struct SeenTable {
    client: Client,
    name: String,
}

fn by_account(account_id: &AccountId) -> AttributeValue {
    text(&format!("seen#{account_id}"))
}

impl SeenTable {
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

    /// The latest events of an account that were counted after a time (epoch milliseconds), the oldest first, and no more than
    /// are remembered.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn after(&self, account_id: &AccountId, time: i64) -> Result<Vec<Noted>, TableError> {
        let (mut noted, mut count, mut start) = (Vec::new(), 0, None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("watched = :account AND connectionId > :after")
                .expression_attribute_values(":account", by_account(account_id))
                .expression_attribute_values(":after", text(&format!("{time:020}")))
                .scan_index_forward(false)
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| unavailable(&error))?;
            for item in page.items() {
                let messages = item.get("messages").and_then(|messages| messages.as_l().ok());
                // Within an item, too, the latest come first.
                for message in messages.into_iter().flatten().rev() {
                    let one = message.as_b().ok().and_then(|bytes| Noted::from_bytes(bytes.as_ref()));
                    let one = one.ok_or(TableError::Corrupt("events that were counted cannot be read"))?;
                    count += one.events.len();
                    noted.push(one);
                }
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() || count >= Seen::MOST {
                noted.reverse();
                return Ok(noted);
            }
        }
    }

    /// Notes events that are counted now.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn note(&self, account_id: &AccountId, now: i64, noted: &[Noted]) -> Result<(), TableError> {
        let Some(first) = noted.first() else { return Ok(()) };
        let messages = noted.iter().map(|one| AttributeValue::B(Blob::new(one.to_bytes()))).collect();
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("watched", by_account(account_id))
            .item("connectionId", text(&format!("{now:020}#{:016x}", first.message)))
            .item("messages", AttributeValue::L(messages))
            .item("expiresAt", number((now + Seen::MEMORY) / 1_000));
        put.send().await.map(drop).map_err(|error| unavailable(&error))
    }
}
