//! Keeping rollups: which buckets are due, and computing them from the events.

use std::collections::{BTreeMap, BTreeSet};

use analytics_domain::metric::{Grain, Measure, Series, buckets::Range};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{
    freshness::MINUTES_KEPT,
    read::{Source, number, text},
    states::{self, Bucket, DIMENSIONS, key, of_events},
};
use crate::{EventWarehouse, WarehouseError, classify, statement::Statement};

/// Keys of one series in one bucket. A series that has more is not kept.
const MOST_KEYS: usize = 20_000;
/// What one computation may take. Longer than a question's: nobody waits for it.
const LIMITS: [(&str, &str); 5] = [
    ("max_execution_time", "50"),
    ("max_memory_usage", "4000000000"),
    // All rows of a bucket become visible at once.
    ("max_insert_threads", "1"),
    ("min_insert_block_size_rows", "100000000"),
    ("min_insert_block_size_bytes", "2000000000"),
];

/// What is kept of an account: measures, each with the splits to keep of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    entries: Vec<(Measure, Vec<Vec<String>>)>,
}

impl Plan {
    /// Adds splits of a measure.
    pub fn add(&mut self, measure: &Measure, sets: &[Vec<String>]) {
        for set in sets {
            let fits = |sets: &[Vec<String>]| {
                sets.contains(set) || dimensions_of(sets.iter().chain([set])).len() <= DIMENSIONS
            };
            if self.entries.iter().any(|(other, sets)| other == measure && sets.contains(set)) {
                continue;
            }
            match self.entries.iter_mut().find(|(other, sets)| other == measure && fits(sets)) {
                Some((_, sets)) => sets.push(set.clone()),
                None => self.entries.push((measure.clone(), vec![set.clone()])),
            }
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every series, by its id.
    #[must_use]
    pub fn series(&self) -> BTreeMap<u64, Series> {
        let series = self.entries.iter().flat_map(|(measure, sets)| {
            sets.iter().map(|set| Series { measure: measure.clone(), dimensions: set.clone() })
        });
        series.map(|series| (series.id(), series)).collect()
    }

    /// The part of it that makes up the series for which `wanted` holds.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(u64) -> bool) -> Self {
        let mut part = Self::default();
        for (id, series) in self.series() {
            if wanted(id) {
                part.add(&series.measure, &[series.dimensions]);
            }
        }
        part
    }
}

fn dimensions_of<'s>(sets: impl Iterator<Item = &'s Vec<String>>) -> Vec<String> {
    let mut dimensions: Vec<String> = sets.flatten().cloned().collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    dimensions
}

/// Buckets of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub account_id: String,
    pub grain: Grain,
    /// Where they start, in epoch milliseconds, ascending.
    pub starts: Vec<i64>,
}

/// What a property held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Different ones, about.
    pub values: u64,
    pub texts: u64,
    pub numbers: u64,
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

    /// Names of events that an account has sent in the last month, most recent names first.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn event_names(&self, account_id: &str, now: i64) -> Result<Vec<String>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT DISTINCT toString(event_name) FROM events WHERE account_id = ").text(account_id);
        statement.push(" AND timestamp >= ").time(now - 30 * 86_400_000).push(" LIMIT 2000");
        self.ask(&statement).await
    }

    /// What some properties of events of these names held in the last day, as far as a look at the latest ones tells.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn survey(
        &self,
        account_id: &str,
        event_names: &[String],
        paths: &[String],
        now: i64,
    ) -> Result<Vec<Fact>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT ");
        for (place, path) in paths.iter().enumerate() {
            statement.push(if place > 0 { ", (uniq(" } else { "[(uniq(" });
            text(&mut statement, Source::Events, path);
            statement.push("), count(");
            text(&mut statement, Source::Events, path);
            statement.push("), count(");
            if path.starts_with('$') {
                statement.push("NULL");
            } else {
                number(&mut statement, path);
            }
            statement.push("))");
        }
        statement.push(if paths.is_empty() { "CAST([], 'Array(Tuple(UInt64, UInt64, UInt64))')" } else { "]" });
        statement.push(" AS facts FROM events WHERE account_id = ").text(account_id);
        statement.push(" AND event_name IN ").texts(event_names).push(" AND timestamp >= ").time(now - 86_400_000);
        statement.push(" SETTINGS max_rows_to_read = 3000000, read_overflow_mode = 'break'");
        let found: Vec<Vec<(u64, u64, u64)>> = self.ask(&statement).await?;
        let facts = found.into_iter().flatten().map(|(values, texts, numbers)| Fact { values, texts, numbers });
        Ok(facts.collect())
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
        statement.text(account_id);
        let found: Vec<Found> = self.ask(&statement).await?;
        let state = |found: &Found| match (found.ready, found.wide) {
            (_, true) => SeriesState::Wide,
            (true, false) => SeriesState::Ready,
            (false, false) => SeriesState::Building,
        };
        Ok(found.iter().map(|found| (found.series, (state(found), found.changed_at))).collect())
    }

    /// Of these buckets, those that some of the series do not have since `since`.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn missing(
        &self,
        account_id: &str,
        series: &[u64],
        since: i64,
        Due { grain, starts, .. }: &Due,
    ) -> Result<Vec<i64>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toInt64(toUnixTimestamp(bucket)) * 1000 FROM rollups WHERE account_id = ");
        statement.text(account_id).push(" AND has(").ids(series).push(", series) AND grain = ");
        statement.integer(grain.minutes().into()).push(" AND version >= ").time(since);
        statement.push(" GROUP BY bucket HAVING uniqExact(series) = ");
        statement.integer(i64::try_from(series.len()).unwrap_or(i64::MAX));
        let there: BTreeSet<i64> = self.ask::<i64>(&statement).await?.into_iter().collect();
        Ok(starts.iter().copied().filter(|start| !there.contains(start)).collect())
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

    /// Computes buckets from the events and puts them in the place of what was stored, rows for empty ones included.
    /// Returns the series that have too many keys to be kept.
    ///
    /// # Errors
    /// If ClickHouse does not answer; what was stored may then be replaced or not, and is not noted as complete.
    pub async fn roll(
        &self,
        account_id: &str,
        plan: &Plan,
        grain: Grain,
        starts: &[i64],
        version: i64,
    ) -> Result<Vec<u64>, WarehouseError> {
        if !plan.is_empty() {
            self.execute(&compute(account_id, plan, grain, starts, version)).await?;
        }
        let mut statement = Statement::default();
        statement.push("SELECT DISTINCT series FROM rollups WHERE account_id = ").text(account_id);
        statement.push(" AND grain = ").integer(grain.minutes().into()).push(" AND ");
        states::within(&mut statement, "bucket", &ranges(grain, starts));
        statement.push(" AND version = ").time(version);
        statement.push(" AND length(keys) > ").integer(i64::try_from(MOST_KEYS).unwrap_or(i64::MAX));
        self.ask(&statement).await
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

    async fn execute(&self, statement: &Statement) -> Result<(), WarehouseError> {
        let query = statement.prepare(&self.client);
        let query = LIMITS.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        query.execute().await.map_err(classify)
    }
}

/// Runs of buckets that follow each other.
fn ranges(grain: Grain, starts: &[i64]) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for &from in starts {
        let to = from + grain.length();
        match ranges.last_mut() {
            Some(last) if last.to == from => last.to = to,
            _ => ranges.push(Range { from, to }),
        }
    }
    ranges
}

fn compute(account_id: &str, plan: &Plan, grain: Grain, starts: &[i64], version: i64) -> Statement {
    let ranges = ranges(grain, starts);
    let mut statement = Statement::default();
    statement.push(
        "INSERT INTO rollups (account_id, series, grain, bucket, version, keys, objects, ns, totals, lows, highs, \
         bin_lists, hash_lists, ats) SELECT ",
    );
    statement.text(account_id).push(", series, ").integer(grain.minutes().into());
    statement.push(", toDateTime(intDiv(bucket, 1000), 'UTC'), ").time(version);
    let most = i64::try_from(MOST_KEYS + 1).unwrap_or(i64::MAX);
    for column in ["key", "object", "n", "total", "low", "high", "bins", "hashes", "at"] {
        statement.push(", groupArrayIf(").integer(most).push(")(").push(column).push(", n > 0)");
    }
    statement.push(" FROM (");
    for (place, (measure, sets)) in plan.entries.iter().enumerate() {
        let dimensions = dimensions_of(sets.iter());
        if place > 0 {
            statement.push(" UNION ALL ");
        }
        let series = |set: &Vec<String>| Series { measure: measure.clone(), dimensions: set.clone() }.id();
        // Which dimensions a row was not split by tells which set it is of.
        let absent = |set: &Vec<String>| {
            let bits = dimensions.iter().zip(0_u32..).filter(|(dimension, _)| !set.contains(dimension));
            bits.map(|(_, bit)| 1_u64 << bit).sum::<u64>()
        };
        statement.push("SELECT transform(absent, ").ids(&sets.iter().map(absent).collect::<Vec<_>>());
        statement
            .push(", ")
            .ids(&sets.iter().map(series).collect::<Vec<_>>())
            .push(", toUInt64(0)) AS series, bucket, ");
        if dimensions.is_empty() {
            key(&mut statement, 0);
        } else {
            statement.push("arrayFilter((value, bit) -> NOT bitTest(absent, bit), ");
            key(&mut statement, dimensions.len());
            statement.push(", range(").integer(i64::try_from(dimensions.len()).unwrap_or(0)).push("))");
        }
        statement.push(" AS key, object, ").push(states::VALUES).push(" FROM (");
        of_events(
            &mut statement,
            account_id,
            measure,
            &dimensions,
            Bucket::Length(grain.length()),
            &ranges,
            Some(sets),
        );
        statement.push(")");
    }
    // An empty bucket is stored too: in the place of what has gone, and as a sign that it was looked at.
    let ids: Vec<u64> = plan.series().into_keys().collect();
    statement.push(" UNION ALL SELECT arrayJoin(").ids(&ids).push(") AS series, arrayJoin(").integers(starts);
    statement.push(
        ") AS bucket, CAST([], 'Array(Nullable(String))') AS key, CAST(NULL, 'Nullable(String)') AS object, toUInt64(0) AS n, \
         toFloat64(0) AS total, toFloat64(0) AS low, toFloat64(0) AS high, (CAST([], 'Array(Int32)'), CAST([], \
         'Array(UInt64)')) AS bins, CAST([], 'Array(UInt64)') AS hashes, (toInt64(0), '') AS at",
    );
    statement.push(") GROUP BY series, bucket");
    statement
}
