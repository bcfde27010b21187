//! The metrics that accounts define.
//!
//! A metric may stand in the formula of another, so no write can be judged by itself. Each account therefore has a revision
//! that every write moves on, and a write says which revision it was judged by: of two at once, one is told to look again.

use analytics_domain::metric::Metric;
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{Delete, Put, TransactWriteItem, Update},
};

use crate::{TableError, integer, number, text, unavailable};

/// Where an account's revision stands, among the ids of its metrics.
const REVISION: &str = "#revision";

/// Where leases stand: no account has this name, since tokens hold none that starts so.
const LEASES: &str = "#leases";

/// All metrics of an account, as of one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    pub metrics: Vec<Metric>,
    pub revision: i64,
}

/// The metrics that accounts define.
#[derive(Clone, Debug)]
pub struct MetricTable {
    client: Client,
    name: String,
}

impl MetricTable {
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// All metrics of an account.
    ///
    /// # Errors
    /// If the table cannot be asked or holds nonsense.
    pub async fn list(&self, account_id: &str) -> Result<Kept, TableError> {
        let mut kept = Kept::default();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("accountId = :account")
                .expression_attribute_values(":account", text(account_id))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable(&error))?;
            for item in page.items() {
                if let Some(revision) = integer(item, "revision") {
                    kept.revision = revision;
                    continue;
                }
                let metric = item.get("metric").and_then(|value| value.as_s().ok());
                let metric = metric.and_then(|metric| Metric::from_json(metric).ok());
                kept.metrics.push(metric.ok_or(TableError::Corrupt("a metric cannot be read"))?);
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(kept);
            }
        }
    }

    /// Writes a metric, new or changed, if nothing has been written since `revision`.
    ///
    /// # Errors
    /// [`TableError::Conflict`] if something has.
    pub async fn put(&self, account_id: &str, metric: &Metric, revision: i64) -> Result<(), TableError> {
        let json = serde_json::to_string(metric).map_err(|_| TableError::Corrupt("a metric cannot be written"))?;
        let put = Put::builder()
            .table_name(&self.name)
            .item("accountId", text(account_id))
            .item("metricId", text(&metric.id))
            .item("metric", text(&json))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        self.write(account_id, TransactWriteItem::builder().put(put).build(), revision).await
    }

    /// Deletes a metric, if nothing has been written since `revision`.
    ///
    /// # Errors
    /// [`TableError::Conflict`] if something has.
    pub async fn delete(&self, account_id: &str, id: &str, revision: i64) -> Result<(), TableError> {
        let delete = Delete::builder()
            .table_name(&self.name)
            .key("accountId", text(account_id))
            .key("metricId", text(id))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        self.write(account_id, TransactWriteItem::builder().delete(delete).build(), revision).await
    }

    /// Claims work that only one may do at a time, until `until` (epoch milliseconds); false if another has it.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn lease(&self, work: &str, owner: &str, now: i64, until: i64) -> Result<bool, TableError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("accountId", text(LEASES))
            .item("metricId", text(work))
            .item("holder", text(owner))
            .item("leasedUntil", number(until))
            .condition_expression("attribute_not_exists(metricId) OR leasedUntil < :now OR holder = :me")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":me", text(owner));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn write(&self, account_id: &str, change: TransactWriteItem, revision: i64) -> Result<(), TableError> {
        let update = Update::builder()
            .table_name(&self.name)
            .key("accountId", text(account_id))
            .key("metricId", text(REVISION))
            .update_expression("SET revision = :next")
            .condition_expression("revision = :seen OR (attribute_not_exists(revision) AND :seen = :none)")
            .expression_attribute_values(":next", number(revision + 1))
            .expression_attribute_values(":seen", number(revision))
            .expression_attribute_values(":none", number(0))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        let update = TransactWriteItem::builder().update(update).build();
        match self.client.transact_write_items().transact_items(update).transact_items(change).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(_)) => Err(TableError::Conflict),
                _ => Err(unavailable(&error)),
            },
        }
    }
}
