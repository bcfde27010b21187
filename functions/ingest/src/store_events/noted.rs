//! Storing, and a note of it for those who compute rollups.

use std::{collections::BTreeSet, time::Duration};

use analytics_domain::account::AccountId;
use analytics_dynamo::WorkTable;
use analytics_warehouse::{EventWarehouse, WarehouseError};
use tokio::time::timeout;

use crate::store_events::Store;

/// Storing does not wait longer than this for the note.
const PATIENCE: Duration = Duration::from_secs(1);

/// ClickHouse, and the table of accounts with rollups to compute.
pub struct NotedStore {
    pub warehouse: EventWarehouse,
    pub work: WorkTable,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
}

impl Store for NotedStore {
    async fn store(&self, messages: &[&str]) -> Result<(), WarehouseError> {
        let account_ids = self.warehouse.store(messages).await?;
        self.note(&account_ids).await;
        Ok(())
    }
}

impl NotedStore {
    /// Notes which accounts have rollups to compute, now that their events and marks are stored. The messages are acknowledged
    /// only after that: if this process dies before, they are delivered and noted again. If the table is down, the events are
    /// stored all the same, and `rollup-metrics` finds their marks when it next looks for all accounts.
    async fn note(&self, account_ids: &BTreeSet<AccountId>) {
        match timeout(PATIENCE, self.work.note(account_ids, (self.now)())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error.cause = %error, "rollups to compute are not noted"),
            Err(_) => tracing::warn!("rollups to compute are not noted within {PATIENCE:?}"),
        }
    }
}
