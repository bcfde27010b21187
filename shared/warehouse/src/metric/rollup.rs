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

/// Stands among an account's series while somebody wants them looked at.
const REQUEST: u64 = 0;
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
    entries: Vec<Entry>,
}

/// A measure and the splits that are computed of it in one go.
type Entry = (Measure, Vec<Vec<String>>);

/// Measures that one statement computes.
const MEASURES: usize = 12;
/// Events that one computation reads, for each measure of them.
const MOST_EVENTS: u64 = 3_000_000;
/// Runs of buckets that are selected as such.
const MOST_RANGES: usize = 8;

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

    /// Every series, by its id.
    #[must_use]
    pub fn series(&self) -> BTreeMap<u64, Series> {
        series_of(self.entries.iter()).map(|series| (series.id(), series)).collect()
    }

    /// The part of it that is kept in buckets of this length.
    fn kept_in(&self, grain: Grain) -> Self {
        let entries = self.entries.iter().filter_map(|(measure, sets)| {
            let sets: Vec<_> = sets.iter().filter(|set| Grain::kept_of(set.len()).contains(&grain)).cloned().collect();
            (!sets.is_empty()).then(|| (measure.clone(), sets))
        });
        Self { entries: entries.collect() }
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

fn series_of<'e>(entries: impl Iterator<Item = &'e Entry>) -> impl Iterator<Item = Series> {
    entries
        .flat_map(|(measure, sets)| sets.iter().map(|set| Series { measure: measure.clone(), dimensions: set.clone() }))
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

    /// Computes buckets from the events and puts them in the place of what was stored. Returns the series that have too
    /// many keys to be kept.
    ///
    /// # Errors
    /// [`WarehouseError::OverLimits`] if it is too much for one go. If ClickHouse does not answer, what was stored may be
    /// replaced or not, and is not noted as complete.
    pub async fn roll(
        &self,
        account_id: &str,
        plan: &Plan,
        grain: Grain,
        starts: &[i64],
        version: i64,
    ) -> Result<Vec<u64>, WarehouseError> {
        let span = Span { grain, starts };
        let come = self.come(account_id, span).await?;
        let events: u64 = come.iter().map(|(_, count)| count).sum();
        if events > MOST_EVENTS && starts.len() > 1 {
            return Err(WarehouseError::OverLimits(format!("{events} events")));
        }
        let has_come = |entry: &&Entry| come.iter().any(|(name, _)| *name == entry.0.event_name);
        let plan = plan.kept_in(grain);
        let (entries, without): (Vec<&Entry>, Vec<&Entry>) = plan.entries.iter().partition(has_come);
        // The buckets count as computed only later, so it does not matter that their series come one after another.
        for entries in entries.chunks(MEASURES) {
            self.execute(&compute(account_id, entries, span, version)).await?;
        }
        self.execute(&clear(account_id, &without, span, version)).await?;
        let mut statement = Statement::default();
        statement.push("SELECT DISTINCT series FROM rollups WHERE account_id = ").text(account_id);
        statement.push(" AND grain = ").integer(grain.minutes().into()).push(" AND ");
        span.holds(&mut statement, "bucket", "toInt64(toUnixTimestamp(bucket)) * 1000");
        statement.push(" AND version = ").time(version);
        statement.push(" AND length(keys) > ").integer(i64::try_from(MOST_KEYS).unwrap_or(i64::MAX));
        self.ask(&statement).await
    }

    /// The names of the events in some buckets, and how many rows each has, about: rows between the buckets may count.
    async fn come(&self, account_id: &str, span: Span<'_>) -> Result<Vec<(String, u64)>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toString(event_name), count() FROM events WHERE account_id = ").text(account_id);
        statement.push(" AND ");
        states::within(&mut statement, "timestamp", &span.ranges());
        statement.push(" GROUP BY event_name");
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
        let query = statement.prepare(&self.client)?;
        let query = LIMITS.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        query.execute().await.map_err(classify)
    }
}

/// Where the progress of a build is noted among the series.
const fn build_mark(since: i64) -> u64 {
    since.unsigned_abs()
}

/// Some buckets of one length.
#[derive(Clone, Copy)]
struct Span<'s> {
    grain: Grain,
    /// Ascending.
    starts: &'s [i64],
}

impl Span<'_> {
    /// Runs of buckets that follow each other; if there are many, what reaches over all.
    fn ranges(self) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for &from in self.starts {
            let to = from + self.grain.length();
            let full = ranges.len() == MOST_RANGES;
            match ranges.last_mut() {
                Some(last) if last.to == from || full => last.to = to,
                _ => ranges.push(Range { from, to }),
            }
        }
        ranges
    }

    /// That a row's time lies in one of the buckets: `column` holds the time, `millis` is the same as a number.
    fn holds(self, statement: &mut Statement, column: &'static str, millis: &'static str) {
        let ranges = self.ranges();
        states::within(statement, column, &ranges);
        let length = self.grain.length();
        let covered: i64 = ranges.iter().map(|range| range.length() / length).sum();
        if covered > i64::try_from(self.starts.len()).unwrap_or(i64::MAX) {
            statement.push(" AND intDiv(").push(millis).push(", ").integer(length).push(") * ").integer(length);
            statement.push(" IN ").integers(self.starts);
        }
    }
}

fn compute(account_id: &str, entries: &[&Entry], span: Span<'_>, version: i64) -> Statement {
    let mut statement = insert(account_id, span, version);
    for (measure, sets) in entries {
        let dimensions = dimensions_of(sets.iter());
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
            Bucket::Length(span.grain.length()),
            |statement| {
                span.holds(statement, "timestamp", "toUnixTimestamp64Milli(timestamp)");
            },
            Some(sets),
        );
        statement.push(") UNION ALL ");
    }
    stored(&mut statement, account_id, entries, span);
    statement.push(") GROUP BY series, bucket");
    statement
}

/// Replaces by nothing what is stored of measures whose events have all gone.
fn clear(account_id: &str, entries: &[&Entry], span: Span<'_>, version: i64) -> Statement {
    let mut statement = insert(account_id, span, version);
    stored(&mut statement, account_id, entries, span);
    statement.push(") GROUP BY series, bucket");
    statement
}

/// The start of an insert of computed rows, up to where their parts are selected.
fn insert(account_id: &str, span: Span<'_>, version: i64) -> Statement {
    let mut statement = Statement::default();
    statement.push(
        "INSERT INTO rollups (account_id, series, grain, bucket, version, keys, objects, ns, totals, lows, highs, \
         bin_lists, hash_lists, ats) SELECT ",
    );
    statement.text(account_id).push(", series, ").integer(span.grain.minutes().into());
    statement.push(", toDateTime(intDiv(bucket, 1000), 'UTC'), ").time(version);
    let most = i64::try_from(MOST_KEYS + 1).unwrap_or(i64::MAX);
    for column in ["key", "object", "n", "total", "low", "high", "bins", "hashes", "at"] {
        statement.push(", groupArrayIf(").integer(most).push(")(").push(column).push(", n > 0)");
    }
    statement.push(" FROM (");
    statement
}

/// What is stored now, as rows without events: what has gone from the events is replaced by nothing.
fn stored(statement: &mut Statement, account_id: &str, entries: &[&Entry], span: Span<'_>) {
    let ids: Vec<u64> = series_of(entries.iter().copied()).map(|series| series.id()).collect();
    statement.push(
        "SELECT series, toInt64(toUnixTimestamp(rollups.bucket)) * 1000 AS bucket, CAST([], \
         'Array(Nullable(String))') AS key, '' AS object, toUInt64(0) AS n, toFloat64(0) AS total, toFloat64(0) AS low, \
         toFloat64(0) AS high, (CAST([], 'Array(Int32)'), CAST([], 'Array(UInt64)')) AS bins, CAST([], 'Array(UInt64)') \
         AS hashes, (toInt64(0), '') AS at FROM rollups WHERE account_id = ",
    );
    statement.text(account_id).push(" AND series IN ").ids(&ids).push(" AND grain = ");
    statement.integer(span.grain.minutes().into()).push(" AND notEmpty(keys) AND ");
    span.holds(statement, "rollups.bucket", "toInt64(toUnixTimestamp(rollups.bucket)) * 1000");
}
