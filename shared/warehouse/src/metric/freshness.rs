//! What is known of rollups: which buckets have changed since they were computed, and which series there are.
//!
//! A bucket is marked *after* the events that change it can be read, and a rollup's time of computing is taken *before* it
//! reads events. So a rollup whose time lies after the last mark has seen everything, however the two were interleaved.

use std::collections::{BTreeSet, HashSet};

use analytics_domain::metric::{Freshness, Grain, buckets::Range};
use clickhouse::Row;
use serde::Deserialize;

use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Minutes are kept this long, in milliseconds.
pub(super) const MINUTES_KEPT: i64 = 3 * 86_400_000;
/// Stale buckets that an answer takes note of. Of more than that, it rather reads the events.
const MOST_STALE: usize = 5_000;

/// What a question needs to know of its account's rollups.
pub(super) struct Known {
    /// None if so much has changed that rollups are of no use.
    pub freshness: Option<Freshness>,
    /// Of the series asked for, those that are complete.
    pub ready: HashSet<u64>,
}

impl EventWarehouse {
    /// `cuts` are moments that rollups may not reach across, besides those of whole hours.
    pub(super) async fn known(
        &self,
        account_id: &str,
        range: Range,
        cuts: &[i64],
        series: &[u64],
        now: i64,
    ) -> Result<Known, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Fact {
            /// 0: a series.
            grain: u8,
            value: u64,
        }
        let hour = Grain::Hour;
        let mut edges: BTreeSet<i64> = [range.from, range.to].map(|edge| hour.floor(edge)).into();
        edges.extend(cuts.iter().map(|cut| hour.floor(*cut)));
        let edges: Vec<i64> = edges.into_iter().collect();
        let outer = Range { from: hour.floor(range.from), to: hour.floor(range.to) + hour.length() };
        let mut statement = Statement::default();
        statement.push("WITH stale AS (SELECT bucket FROM rollup_buckets WHERE account_id = ").text(account_id);
        statement.push(" AND grain = 60 AND bucket >= ").time(outer.from).push(" AND bucket < ").time(outer.to);
        statement.push(" GROUP BY bucket HAVING max(computed_at) <= max(changed_at))");
        statement.push(" SELECT toUInt8(60) AS grain, toUInt64(toUnixTimestamp(bucket)) AS value FROM stale");
        statement.push(" UNION ALL SELECT grain, toUInt64(toUnixTimestamp(bucket)) AS value FROM rollup_buckets");
        statement.push(" WHERE account_id = ").text(account_id).push(" AND grain IN (1, 15) AND bucket >= ");
        statement.time(outer.from).push(" AND bucket < ").time(outer.to);
        statement.push(" AND (toStartOfHour(bucket) IN (SELECT bucket FROM stale) OR has(").integers(&edges);
        statement.push(", toUnixTimestamp(toStartOfHour(bucket)) * 1000))");
        statement.push(" GROUP BY grain, bucket HAVING max(computed_at) <= max(changed_at)");
        statement.push(" LIMIT ").integer(i64::try_from(MOST_STALE).unwrap_or(i64::MAX));
        statement.push(" UNION ALL SELECT toUInt8(0) AS grain, series AS value FROM rollup_series FINAL");
        statement.push(" WHERE account_id = ").text(account_id).push(" AND ready AND has(").ids(series);
        statement.push(", series)");
        let mut stale = BTreeSet::new();
        let mut ready = HashSet::new();
        for fact in self.ask::<Fact>(&statement).await? {
            match Grain::from_minutes(fact.grain) {
                None => drop(ready.insert(fact.value)),
                Some(grain) => drop(stale.insert((grain, i64::try_from(fact.value).unwrap_or(0) * 1_000))),
            }
        }
        let freshness = (stale.len() < MOST_STALE).then(|| Freshness { stale, minutes_from: now - MINUTES_KEPT });
        Ok(Known { freshness, ready })
    }
}
