//! What is known of rollups: which buckets have changed since they were computed, and which series there are.
//!
//! A bucket is marked *after* the events that change it can be read, and a rollup's time of computing is taken *before* it
//! reads events. So a rollup whose time lies after the last mark has seen everything, however the two were interleaved.
//!
//! Only the shortest buckets are marked so. The longer ones are computed from them, by one process at a time, which marks what
//! they are a part of before it notes them as computed. So a longer bucket has seen everything if neither it nor a shorter one
//! within it lacks anything.

use std::collections::HashSet;

use analytics_domain::metric::{Freshness, Grain, Kept, buckets::Range};
use clickhouse::Row;
use serde::Deserialize;

use super::states::{MOST_RANGES, within};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Stale buckets that an answer takes note of. Of more than that, it rather reads the events.
const MOST_STALE: usize = 5_000;

/// What answers need to know of an account's rollups.
#[derive(Clone, Debug, Default)]
pub struct Rollups {
    /// None if so much has changed that rollups are of no use.
    pub(super) freshness: Option<Freshness>,
    /// The series that are complete.
    pub(super) ready: HashSet<u64>,
}

impl EventWarehouse {
    /// What is known of an account's rollups over some time.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn rollups(&self, account_id: &str, ranges: &[Range], now: i64) -> Result<Rollups, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Fact {
            /// 0: a series.
            grain: u32,
            value: u64,
        }
        let days: Vec<Range> = ranges
            .iter()
            .map(|range| Range {
                from: Grain::Day.floor(range.from),
                to: Grain::Day.floor(range.to) + Grain::Day.length(),
            })
            .collect();
        let mut statement = Statement::default();
        statement.push(
            "SELECT grain, toUInt64(toUnixTimestamp(bucket)) AS value FROM rollup_buckets FINAL WHERE account_id = ",
        );
        statement.text(account_id).push(" AND ");
        within(&mut statement, "bucket", &days, MOST_RANGES);
        statement.push(" AND computed_at <= changed_at LIMIT ");
        statement.integer(i64::try_from(MOST_STALE).unwrap_or(i64::MAX));
        statement.push(
            " UNION ALL SELECT toUInt32(0) AS grain, series AS value FROM rollup_series FINAL WHERE account_id = ",
        );
        statement.text(account_id).push(" AND ready").by_one_thread();
        let mut stale = Vec::new();
        let mut ready = HashSet::new();
        for fact in self.ask::<Fact>(&statement).await? {
            match Grain::from_seconds(fact.grain) {
                None => drop(ready.insert(fact.value)),
                Some(grain) => stale.push((grain, i64::try_from(fact.value).unwrap_or(0) * 1_000)),
            }
        }
        let freshness = (stale.len() < MOST_STALE).then(|| Freshness::new(stale, Kept::at(now)));
        Ok(Rollups { freshness, ready })
    }
}
