//! Computing rollups from the events.

use analytics_domain::metric::{Grain, Series, buckets::Range};

use super::{
    plan::{Entry, Plan, dimensions_of, series_of},
    states::{self, Bucket, key, of_events},
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

/// Measures that one statement computes.
const MEASURES: usize = 12;

/// Events that one computation reads, for each measure of them.
const MOST_EVENTS: u64 = 3_000_000;

/// Runs of buckets that are selected as such.
const MOST_RANGES: usize = 8;

impl EventWarehouse {
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

    pub(super) async fn execute(&self, statement: &Statement) -> Result<(), WarehouseError> {
        let query = statement.prepare(&self.client)?;
        let query = LIMITS.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        query.execute().await.map_err(classify)
    }
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

#[cfg(test)]
mod tests {
    use analytics_domain::metric::{Filter, Measure, Of};

    use super::*;

    #[test]
    fn names_of_events_and_properties_are_bound() {
        let evil = "x') OR 1=1 --`{p0:String}?".to_owned();
        let measure = Measure { event_name: evil.clone(), filter: Filter::EVERYTHING, of: Of::Uniques(evil.clone()) };
        let entry = (measure, vec![Vec::new(), vec![evil.clone()]]);
        let span = Span { grain: Grain::Hour, starts: &[0, 7_200_000] };
        let statement = compute(&evil, &[&entry], span, 1);
        assert!(!statement.sql().contains("1=1") && !statement.sql().contains("--"), "{}", statement.sql());
    }

    #[test]
    fn many_runs_of_buckets_are_bounded_and_selected_by_their_starts() {
        let starts: Vec<i64> = (0..50).map(|hour| hour * 2 * 3_600_000).collect();
        let span = Span { grain: Grain::Hour, starts: &starts };
        assert_eq!(span.ranges().len(), MOST_RANGES);
        assert_eq!(span.ranges().last().map(|range| range.to), starts.last().map(|start| start + 3_600_000));
        let mut statement = Statement::default();
        span.holds(&mut statement, "timestamp", "millis");
        assert!(statement.sql().contains(" IN "), "{}", statement.sql());
    }
}
