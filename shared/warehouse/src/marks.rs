//! Marks of the stored buckets that events have changed.

use std::collections::BTreeSet;

use analytics_domain::account::AccountId;
use clickhouse::Row;
use serde::Serialize;

use crate::{EventWarehouse, WarehouseError, classify};

/// Clocks of ClickHouse's servers may differ by so many milliseconds: a mark is dated that much later than the clock says. Nobody
/// computes a bucket before its mark's time has come.
const CLOCKS_DIFFER: i64 = 500;

/// Buckets of an account by their length in seconds and their start in epoch milliseconds.
pub(crate) type Changed = BTreeSet<(AccountId, u32, i64)>;

/// The time is a value of the row. Two marks of the same bucket therefore differ, and the second one is never dropped as a
/// repeated insert.
#[derive(Row, Serialize)]
struct MarkRow<'a> {
    account_id: &'a str,
    grain: u32,
    /// Epoch seconds.
    bucket: u32,
    changed_at: i64,
}

impl EventWarehouse {
    /// Marks buckets as changed by events that can be read by now. The clock is read after that, so that a rollup computed
    /// later than the mark has seen these events.
    pub(crate) async fn mark_changed(&self, changed: &Changed) -> Result<(), WarehouseError> {
        if changed.is_empty() {
            return Ok(());
        }
        let changed_at = self.clock().await? + CLOCKS_DIFFER;
        let mut marks = self.insert::<MarkRow>("rollup_buckets").await?;
        for (account_id, grain, start) in changed {
            let bucket = u32::try_from(start / 1_000).unwrap_or(0);
            marks.write(&MarkRow { account_id, grain: *grain, bucket, changed_at }).await.map_err(classify)?;
        }
        marks.end().await.map_err(classify)
    }
}
