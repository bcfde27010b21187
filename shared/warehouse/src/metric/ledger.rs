//! The books of rollups: which buckets have changed, which are computed, and which series are complete.

use std::collections::{BTreeMap, BTreeSet};

use analytics_domain::metric::Grain;
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::freshness::MINUTES_KEPT;
use crate::{EventWarehouse, WarehouseError, classify, statement::Statement};

/// Stands among an account's series while somebody wants them looked at.
const REQUEST: u64 = 0;

/// Buckets of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub account_id: String,
    pub grain: Grain,
    /// Where they start, in epoch milliseconds, ascending.
    pub starts: Vec<i64>,
}

/// What is known of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesState {
    Ready,
    Building,
    /// Has too many keys to be kept.
    Wide,
}

#[derive(Row, Serialize)]
struct SeriesRow<'a> {
    account_id: &'a str,
    series: u64,
    ready: bool,
    wide: bool,
}

/// A row without keys, under the mark of a build in place of a series.
#[derive(Row, Serialize)]
struct BuiltRow<'a> {
    account_id: &'a str,
    series: u64,
    grain: u8,
    bucket: u32,
}

#[derive(Row, Serialize)]
struct ComputedRow<'a> {
    account_id: &'a str,
    grain: u8,
    bucket: u32,
    changed_at: i64,
    computed_at: i64,
}

impl EventWarehouse {
    /// ClickHouse's time, in epoch milliseconds: what changes are marked with.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn clock(&self) -> Result<i64, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toUnixTimestamp64Milli(now64(3))");
        Ok(self.ask::<i64>(&statement).await?.into_iter().sum())
    }

    /// After a deletion or another change of stored events, marks every bucket as changed.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn take_in_mutations(&self) -> Result<bool, WarehouseError> {
        const NEW: &str = "SELECT mutation_id FROM system.mutations WHERE database = currentDatabase() AND table = \
                           'events' AND is_done AND mutation_id NOT IN (SELECT mutation_id FROM rollup_mutations)";
        let mut statement = Statement::default();
        statement.push(NEW);
        let found: Vec<String> = self.ask(&statement).await?;
        if found.is_empty() {
            return Ok(false);
        }
        let mut mark = Statement::default();
        mark.push(
            "INSERT INTO rollup_buckets (account_id, grain, bucket) SELECT DISTINCT account_id, grain, bucket FROM \
             rollup_buckets",
        );
        self.execute(&mark).await?;
        let mut take = Statement::default();
        take.push("INSERT INTO rollup_mutations (mutation_id) SELECT arrayJoin(").texts(&found).push(")");
        self.execute(&take).await?;
        Ok(true)
    }

    /// Buckets of all accounts that have changed since they were computed, those included that have yet to end.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn stale(&self, now: i64) -> Result<Vec<Due>, WarehouseError> {
        self.buckets(now, "max(computed_at) <= max(changed_at)", None).await
    }

    /// Buckets of an account that are computed and complete.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn complete(&self, account_id: &str, now: i64) -> Result<Vec<Due>, WarehouseError> {
        self.buckets(now, "max(computed_at) > max(changed_at)", Some(account_id)).await
    }

    async fn buckets(
        &self,
        now: i64,
        having: &'static str,
        account_id: Option<&str>,
    ) -> Result<Vec<Due>, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Found {
            account_id: String,
            grain: u8,
            starts: Vec<i64>,
        }
        let mut statement = Statement::default();
        statement.push(
            "SELECT account_id, grain, arraySort(groupArray(toInt64(toUnixTimestamp(bucket)) * 1000)) AS starts FROM \
             (SELECT account_id, grain, bucket FROM rollup_buckets WHERE (grain > 1 OR bucket >= ",
        );
        statement.time(now - MINUTES_KEPT).push(")");
        if let Some(account_id) = account_id {
            statement.push(" AND account_id = ").text(account_id);
        }
        statement.push(" GROUP BY account_id, grain, bucket HAVING ").push(having);
        statement.push(") GROUP BY account_id, grain ORDER BY account_id, grain");
        let found: Vec<Found> = self.ask(&statement).await?;
        let due = found.into_iter().filter_map(|Found { account_id, grain, starts }| {
            Some(Due { account_id, grain: Grain::from_minutes(grain)?, starts })
        });
        Ok(due.collect())
    }

    /// What is known of an account's series, and since when, in epoch milliseconds.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn series(&self, account_id: &str) -> Result<BTreeMap<u64, (SeriesState, i64)>, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Found {
            series: u64,
            ready: bool,
            wide: bool,
            changed_at: i64,
        }
        let mut statement = Statement::default();
        statement.push("SELECT series, ready, wide, changed_at FROM rollup_series FINAL WHERE account_id = ");
        statement.text(account_id).push(" AND series != ").id(REQUEST);
        let found: Vec<Found> = self.ask(&statement).await?;
        let state = |found: &Found| match (found.ready, found.wide) {
            (_, true) => SeriesState::Wide,
            (true, false) => SeriesState::Ready,
            (false, false) => SeriesState::Building,
        };
        Ok(found.iter().map(|found| (found.series, (state(found), found.changed_at))).collect())
    }

    /// Of these buckets, those that the build begun at `since` has yet to compute.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn missing(
        &self,
        account_id: &str,
        since: i64,
        Due { grain, starts, .. }: &Due,
    ) -> Result<Vec<i64>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toInt64(toUnixTimestamp(bucket)) * 1000 FROM rollups WHERE account_id = ");
        statement.text(account_id).push(" AND series = ").id(build_mark(since)).push(" AND grain = ");
        statement.integer(grain.minutes().into());
        let there: BTreeSet<i64> = self.ask::<i64>(&statement).await?.into_iter().collect();
        Ok(starts.iter().copied().filter(|start| !there.contains(start)).collect())
    }

    /// Notes that the build begun at `since` has computed these buckets.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn note_built(
        &self,
        account_id: &str,
        since: i64,
        grain: Grain,
        starts: &[i64],
    ) -> Result<(), WarehouseError> {
        let mut insert = self.insert::<BuiltRow>("rollups").await?;
        for start in starts {
            let bucket = u32::try_from(start / 1_000).unwrap_or(0);
            let row = BuiltRow { account_id, series: build_mark(since), grain: grain.minutes(), bucket };
            insert.write(&row).await.map_err(classify)?;
        }
        insert.end().await.map_err(classify)
    }

    /// Asks that the series of an account be looked at, whether or not events come.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn ask_for_build(&self, account_id: &str) -> Result<(), WarehouseError> {
        self.set_series(account_id, &[REQUEST], SeriesState::Building).await
    }

    /// Notes that what was asked for before this moment is built.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn note_answered(&self, account_id: &str, asked_before: i64) -> Result<(), WarehouseError> {
        let mut statement = Statement::default();
        statement.push("INSERT INTO rollup_series (account_id, series, ready, changed_at) SELECT ").text(account_id);
        statement.push(", ").id(REQUEST).push(", true, ").time(asked_before);
        self.execute(&statement).await
    }

    /// Accounts whose series are to be looked at.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn asked_for_build(&self) -> Result<Vec<String>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT account_id FROM rollup_series FINAL WHERE NOT ready AND series = ").id(REQUEST);
        self.ask(&statement).await
    }

    /// Notes what is known of some series.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn set_series(&self, account_id: &str, series: &[u64], state: SeriesState) -> Result<(), WarehouseError> {
        let mut insert = self.insert::<SeriesRow>("rollup_series").await?;
        for series in series {
            let (ready, wide) = (state == SeriesState::Ready, state == SeriesState::Wide);
            insert.write(&SeriesRow { account_id, series: *series, ready, wide }).await.map_err(classify)?;
        }
        insert.end().await.map_err(classify)
    }

    /// Notes that all series of these buckets have seen what was marked before `version`.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn note_computed(
        &self,
        account_id: &str,
        grain: Grain,
        starts: &[i64],
        version: i64,
    ) -> Result<(), WarehouseError> {
        let mut insert = self.insert::<ComputedRow>("rollup_buckets").await?;
        for start in starts {
            let bucket = u32::try_from(start / 1_000).unwrap_or(0);
            let row = ComputedRow { account_id, grain: grain.minutes(), bucket, changed_at: 0, computed_at: version };
            insert.write(&row).await.map_err(classify)?;
        }
        insert.end().await.map_err(classify)
    }
}

/// Where the progress of a build is noted among the series.
const fn build_mark(since: i64) -> u64 {
    since.unsigned_abs()
}
