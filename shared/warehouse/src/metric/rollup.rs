//! Computing rollups: the shortest buckets from the events, the longer ones from those.

use std::time::Duration;

use analytics_domain::{
    account::AccountId,
    metric::{Aliases, Grain, Kept, buckets::Range},
};
use tokio::time::timeout;

use super::{
    plan::{Entry, Plan, dimensions_of},
    shape::{COLUMNS, Column, Shape, columns_of, named, unfold},
    states::{Bucket, DIMENSIONS, Placed, Scan, objects_of, within},
};
use crate::{EventWarehouse, MOST_PARTITIONS, WarehouseError, classify, statement::Statement};

/// Keys of one series in one bucket. A series that has more is not kept.
const MOST_KEYS: usize = 20_000;

/// What one computation may take. Longer than a question's: nobody waits for it.
const LIMITS: [(&str, &str); 6] = [
    ("max_execution_time", "50"),
    ("max_memory_usage", "4000000000"),
    // All rows of a bucket become visible at once.
    ("max_insert_threads", "1"),
    ("min_insert_block_size_rows", "100000000"),
    ("min_insert_block_size_bytes", "2000000000"),
    ("max_partitions_per_insert_block", MOST_PARTITIONS),
];

/// ClickHouse ends a statement itself by then, unless it cannot be reached at all.
const PATIENCE: Duration = Duration::from_secs(55);

/// Measures that one statement computes.
const MEASURES: usize = 12;

/// Series that one statement names: of 20 digits and a comma each, they are far from the 128 KB of a parameter.
const IDS: usize = 4_000;

/// Events that one computation reads, for each measure of them.
const MOST_EVENTS: u64 = 3_000_000;

/// Keys of shorter buckets that one computation puts together.
const MOST_STORED_KEYS: u64 = 5_000_000;

/// Runs of buckets that are selected as such.
const MOST_RANGES: usize = 8;

impl EventWarehouse {
    /// Computes buckets and puts them in the place of what was stored. Returns the series that cannot be kept: they have too many
    /// keys, lists in them, or longer conditions than ClickHouse takes. Before each statement, `goes_on` is asked whether it may
    /// begin; if not, nothing is returned.
    ///
    /// All of `starts` are to be made of the same: see [`Kept::made_of`].
    ///
    /// # Errors
    /// [`WarehouseError::OverLimits`] if it is too much for one go. If ClickHouse does not answer, what was stored may be
    /// replaced or not, and is not noted as complete.
    pub async fn roll(
        &self,
        account_id: &AccountId,
        plan: &Plan,
        span: Span<'_>,
        kept: &Kept,
        version: i64,
        goes_on: impl AsyncFn() -> bool,
    ) -> Result<Option<Vec<u64>>, WarehouseError> {
        let Some(&start) = span.starts.first() else { return Ok(Some(Vec::new())) };
        let plan = plan.kept_in(span.grain, start, kept);
        // Questions read the events of minutes that are not computed. In the place of longer buckets, shorter ones answer.
        let in_turn = |mut statement: Statement| {
            if span.grain > Grain::Minute {
                statement.behind_all();
            }
            statement
        };
        // The buckets count as computed only later, so it does not matter that their series come one after another.
        let unfit = match kept.made_of(span.grain, start) {
            Some(shorter) => {
                let keys = self.stored_keys(account_id, &plan, shorter, span).await?;
                if keys > MOST_STORED_KEYS && span.starts.len() > 1 {
                    return Err(WarehouseError::OverLimits(format!("{keys} keys")));
                }
                let entries: Vec<&Entry> = plan.entries.iter().collect();
                let of = |entries: &[&Entry]| in_turn(put_together(account_id, entries, shorter, span, version));
                self.execute_all(&entries, of, &goes_on).await?
            }
            None => {
                let come = self.come(account_id, span).await?;
                let events: u64 = come.iter().map(|(_, count)| count).sum();
                if events > MOST_EVENTS && span.starts.len() > 1 {
                    return Err(WarehouseError::OverLimits(format!("{events} events")));
                }
                let has_come = |entry: &&Entry| come.iter().any(|(name, _)| *name == entry.measure.event_name);
                let (entries, without): (Vec<&Entry>, Vec<&Entry>) = plan.entries.iter().partition(has_come);
                for ids in ids_of(&without).chunks(IDS) {
                    if !goes_on().await {
                        return Ok(None);
                    }
                    self.execute(&clear(account_id, ids, span, version)).await?;
                }
                let of = |entries: &[&Entry]| in_turn(compute(account_id, entries, span, version));
                self.execute_all(&entries, of, &goes_on).await?
            }
        };
        let Some(unfit) = unfit else { return Ok(None) };
        let mut statement = Statement::default();
        statement.push("SELECT DISTINCT series FROM rollups WHERE account_id = ").text(account_id);
        statement.push(" AND grain = ").integer(span.grain.seconds().into()).push(" AND ");
        span.holds(&mut statement, "bucket", "toInt64(toUnixTimestamp(bucket)) * 1000");
        statement.push(" AND version = ").time(version);
        statement.push(" AND (length(keys) > ").integer(i64::try_from(MOST_KEYS).unwrap_or(i64::MAX));
        statement.push(" OR arrayExists(key -> has(key, '\\0[]'), keys))");
        let mut wide: Vec<u64> = self.ask(&statement).await?;
        wide.extend(unfit);
        Ok(Some(wide))
    }

    /// Executes the statements of some measures, each of as many as ClickHouse takes at once. Returns the series of measures that
    /// it does not take even alone; none if `goes_on` has said that a statement may not begin.
    async fn execute_all(
        &self,
        entries: &[&Entry],
        of: impl Fn(&[&Entry]) -> Statement,
        goes_on: impl AsyncFn() -> bool,
    ) -> Result<Option<Vec<u64>>, WarehouseError> {
        let mut rest = entries;
        let mut unfit: Vec<u64> = Vec::new();
        while let Some(first) = rest.first() {
            let Some((count, statement)) = self.fitting(rest, &of) else {
                unfit.extend(&first.ids);
                rest = &rest[1..];
                continue;
            };
            if !goes_on().await {
                return Ok(None);
            }
            self.execute(&statement).await?;
            rest = &rest[count..];
        }
        Ok(Some(unfit))
    }

    /// The statement of the first measures, and how many these are; none if not even one fits into a statement.
    fn fitting(&self, entries: &[&Entry], of: impl Fn(&[&Entry]) -> Statement) -> Option<(usize, Statement)> {
        let mut count = entries.len().min(MEASURES);
        while count > 0 {
            let statement = of(&entries[..count]);
            if statement.prepare(&self.base).is_ok() {
                return Some((count, statement));
            }
            count /= 2;
        }
        None
    }

    /// How many keys the shorter buckets have that some buckets are made of.
    async fn stored_keys(
        &self,
        account_id: &AccountId,
        plan: &Plan,
        shorter: Grain,
        span: Span<'_>,
    ) -> Result<u64, WarehouseError> {
        let ids: Vec<u64> = plan.ids().collect();
        let mut keys: u64 = 0;
        for ids in ids.chunks(IDS) {
            let mut statement = Statement::default();
            statement.push("SELECT sum(length(keys)) FROM rollups WHERE account_id = ").text(account_id);
            statement.push(" AND series IN ").ids(ids);
            statement.push(" AND grain = ").integer(shorter.seconds().into()).push(" AND ");
            within(&mut statement, "bucket", &span.ranges(), MOST_RANGES);
            keys += self.ask::<u64>(&statement).await?.into_iter().sum::<u64>();
        }
        Ok(keys)
    }

    /// How many events there are in some buckets, about.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn events_in(&self, account_id: &AccountId, span: Span<'_>) -> Result<u64, WarehouseError> {
        Ok(self.come(account_id, span).await?.iter().map(|(_, count)| count).sum())
    }

    /// The names of the events in some buckets, and how many rows each has, about: rows between the buckets may count.
    async fn come(&self, account_id: &AccountId, span: Span<'_>) -> Result<Vec<(String, u64)>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toString(event_name), count() FROM events WHERE account_id = ").text(account_id);
        statement.push(" AND ");
        within(&mut statement, "timestamp", &span.ranges(), MOST_RANGES);
        statement.push(" GROUP BY event_name");
        self.ask(&statement).await
    }

    pub(super) async fn execute(&self, statement: &Statement) -> Result<(), WarehouseError> {
        let query = statement.prepare(&self.client().await?)?;
        let query = LIMITS.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        match timeout(PATIENCE, query.execute()).await {
            Ok(done) => self.checked(done.map_err(classify)).await,
            Err(_) => Err(WarehouseError::TimedOut("no answer in time".to_owned())),
        }
    }
}

/// Some buckets of one length.
#[derive(Clone, Copy, Debug)]
pub struct Span<'s> {
    pub grain: Grain,
    /// Ascending, in epoch milliseconds.
    pub starts: &'s [i64],
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
        within(statement, column, &ranges, MOST_RANGES);
        let length = self.grain.length();
        let covered: i64 = ranges.iter().map(|range| range.length() / length).sum();
        if covered > i64::try_from(self.starts.len()).unwrap_or(i64::MAX) {
            statement.push(" AND intDiv(").push(millis).push(", ").integer(length).push(") * ").integer(length);
            statement.push(" IN ").integers(self.starts);
        }
    }
}

fn ids_of(entries: &[&Entry]) -> Vec<u64> {
    entries.iter().flat_map(|entry| entry.ids.iter().copied()).collect()
}

/// Measures that one look at the events computes: those of the same event, object and splits.
fn scans<'e>(entries: &[&'e Entry]) -> Vec<(Vec<Placed<'e>>, &'e [Vec<String>])> {
    let mut scans: Vec<(Vec<Placed<'_>>, &[Vec<String>])> = Vec::new();
    for (entry, place) in entries.iter().copied().zip(0..) {
        let (measure, sets) = (&*entry.measure, entry.sets.as_slice());
        let fits = |(measures, others): &&mut (Vec<Placed<'_>>, &[Vec<String>])| {
            let is_alike = |(_, other): &Placed<'_>| {
                other.event_name == measure.event_name && objects_of(other) == objects_of(measure)
            };
            *others == sets && measures.iter().all(is_alike)
        };
        match scans.iter_mut().find(fits) {
            Some((measures, _)) => measures.push((place, measure)),
            None => scans.push((vec![(place, measure)], sets)),
        }
    }
    scans
}

/// The states of events.
pub(super) fn compute(account_id: &AccountId, entries: &[&Entry], span: Span<'_>, version: i64) -> Statement {
    let mut statement = insert(account_id, span, version);
    stored(&mut statement, account_id, &ids_of(entries), span);
    for (measures, sets) in scans(entries) {
        let dimensions = dimensions_of(sets.iter().flatten());
        // Which measure a row is of, and which dimensions it was not split by, tells its series.
        let (mut codes, mut ids): (Vec<i64>, Vec<u64>) = (Vec::new(), Vec::new());
        for (place, _) in &measures {
            for set in sets {
                let bits = dimensions.iter().zip(0_u32..).filter(|(dimension, _)| !set.contains(dimension));
                codes.push((place << DIMENSIONS) + bits.map(|(_, bit)| 1_i64 << bit).sum::<i64>());
            }
            ids.extend(&entries[usize::try_from(*place).unwrap_or(0)].ids);
        }
        statement.push(" UNION ALL SELECT transform(bitShiftLeft(place, ").integer(DIMENSIONS as i64);
        statement
            .push(") + toInt64(absent), ")
            .integers(&codes)
            .push(", ")
            .ids(&ids)
            .push(", toUInt64(0)), bucket, key");
        named(&mut statement, &COLUMNS);
        statement.push(" FROM (");
        let bucket = Some(Bucket::Length(span.grain.length()));
        let scan = Scan {
            accounts: &[account_id],
            measures: &measures,
            dimensions: &dimensions,
            bucket,
            columns: &COLUMNS,
            sets: Some(sets),
            aliases: &Aliases::default(),
        };
        scan.select(&mut statement, "key", |statement| {
            span.holds(statement, "timestamp", "toUnixTimestamp64Milli(timestamp)");
        });
        statement.push(")");
    }
    statement.push(") GROUP BY series, bucket");
    statement
}

/// The states of shorter buckets, put together.
pub(super) fn put_together(
    account_id: &AccountId,
    entries: &[&Entry],
    shorter: Grain,
    span: Span<'_>,
    version: i64,
) -> Statement {
    let mut statement = insert(account_id, span, version);
    stored(&mut statement, account_id, &ids_of(entries), span);
    let length = span.grain.length();
    for shape in Shape::ALL {
        let has_shape = |entry: &&Entry| Shape::of(&entry.measure.of) == shape;
        let entries: Vec<&Entry> = entries.iter().copied().filter(has_shape).collect();
        let ids = ids_of(&entries);
        if ids.is_empty() {
            continue;
        }
        let columns = columns_of(entries.iter().map(|entry| &*entry.measure));
        statement.push(" UNION ALL SELECT series, intDiv(toInt64(toUnixTimestamp(rollups.bucket)) * 1000, ");
        statement.integer(length).push(") * ").integer(length).push(" AS start, stored, ");
        shape.merged(&mut statement);
        unfold(&mut statement, &columns, true, None);
        statement.push(" WHERE account_id = ").text(account_id).push(" AND series IN ").ids(&ids);
        statement.push(" AND grain = ").integer(shorter.seconds().into()).push(" AND ");
        span.holds(&mut statement, "rollups.bucket", "toInt64(toUnixTimestamp(rollups.bucket)) * 1000");
        statement.push(" GROUP BY series, start, stored");
        statement.push(if columns.contains(&Column::Object) { ", object" } else { "" });
    }
    statement.push(") GROUP BY series, bucket");
    statement
}

/// Replaces by nothing what is stored of series whose events have all gone.
pub(super) fn clear(account_id: &AccountId, ids: &[u64], span: Span<'_>, version: i64) -> Statement {
    let mut statement = insert(account_id, span, version);
    stored(&mut statement, account_id, ids, span);
    statement.push(") GROUP BY series, bucket");
    statement
}

/// The start of an insert of computed rows, up to where their parts are selected.
fn insert(account_id: &AccountId, span: Span<'_>, version: i64) -> Statement {
    let mut statement = Statement::default();
    statement.push(
        "INSERT INTO rollups (account_id, series, grain, bucket, version, keys, objects, ns, totals, lows, highs, \
         bin_lists, hash_lists, ats) SELECT ",
    );
    statement.text(account_id).push(", series, ").integer(span.grain.seconds().into());
    statement.push(", toDateTime(intDiv(bucket, 1000), 'UTC'), ").time(version);
    let most = i64::try_from(MOST_KEYS + 1).unwrap_or(i64::MAX);
    for column in ["key", "object", "n", "total", "low", "high", "bins", "hashes", "at"] {
        statement.push(", groupArrayIf(").integer(most).push(")(").push(column).push(", n > 0)");
    }
    statement.push(" FROM (");
    statement
}

/// What is stored now, as rows without events: what has gone from the events is replaced by nothing.
fn stored(statement: &mut Statement, account_id: &AccountId, ids: &[u64], span: Span<'_>) {
    statement.push(
        "SELECT series, toInt64(toUnixTimestamp(rollups.bucket)) * 1000 AS bucket, CAST([], \
         'Array(Nullable(String))') AS key, toUInt64(0) AS object, toUInt64(0) AS n, toFloat64(0) AS total, toFloat64(0) AS low, \
         toFloat64(0) AS high, (CAST([], 'Array(Int32)'), CAST([], 'Array(UInt64)')) AS bins, CAST([], 'Array(UInt64)') \
         AS hashes, toInt64(0) AS at FROM rollups WHERE account_id = ",
    );
    statement.text(account_id).push(" AND series IN ").ids(ids).push(" AND grain = ");
    statement.integer(span.grain.seconds().into()).push(" AND notEmpty(keys) AND ");
    span.holds(statement, "rollups.bucket", "toInt64(toUnixTimestamp(rollups.bucket)) * 1000");
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::{Filter, Measure, Of, parse_filter};

    use super::*;

    #[test]
    fn names_of_events_and_properties_are_bound() {
        let evil = "x') OR 1=1 --`{p0:String}?".to_owned();
        let measure = Measure { event_name: evil.clone(), filter: Filter::EVERYTHING, of: Of::Uniques(evil.clone()) };
        let entry = Entry::of(measure, vec![Vec::new(), vec![evil.clone()]]);
        let span = Span { grain: Grain::Hour, starts: &[0, 7_200_000] };
        let account = AccountId::stored(&evil);
        let statements = [
            compute(&account, &[&entry], span, 1),
            put_together(&account, &[&entry], Grain::Quarter, span, 1),
            clear(&account, &entry.ids, span, 1),
        ];
        for statement in statements {
            assert!(!statement.sql().contains("1=1") && !statement.sql().contains("--"), "{}", statement.sql());
        }
    }

    #[test]
    fn a_statement_computes_as_many_measures_as_clickhouse_takes() {
        let lookup = |key: &str| (key == "CLICKHOUSE_URL").then(|| "http://127.0.0.1:1".to_owned());
        let warehouse = EventWarehouse::from_lookup(&lookup).expect("is set");
        let span = Span { grain: Grain::Hour, starts: &[0] };
        let of = |entries: &[&Entry]| compute(&AccountId::stored("shop"), entries, span, 1);
        let taken = |tests: usize, of_numbers: bool| {
            let tests: Vec<String> = (0..tests).map(|test| format!("p < {test}")).collect();
            let filter = parse_filter(&tests.join(" and ")).expect("can be read");
            let measures = (0..30).map(|number| Measure {
                event_name: format!("event {number}"),
                filter: filter.clone(),
                of: if of_numbers { Of::Numbers("p".to_owned()) } else { Of::Events },
            });
            let entries: Vec<Entry> = measures.map(|measure| Entry::of(measure, vec![Vec::new()])).collect();
            let (count, statement) = warehouse.fitting(&entries.iter().collect::<Vec<_>>(), of)?;
            assert!(statement.prepare(&warehouse.base).is_ok());
            Some(count)
        };
        assert_eq!(taken(1, true), Some(MEASURES));
        let few = taken(60, false).expect("some are taken");
        assert!((1..MEASURES).contains(&few), "{few}");
        assert_eq!(taken(200, true), None, "its conditions alone are longer than a statement");
    }

    #[test]
    fn series_are_named_in_parameters_that_clickhouse_takes() {
        let ids: Vec<u64> = (0..20_000).map(|id| u64::MAX - id).collect();
        let span = Span { grain: Grain::Hour, starts: &[0] };
        for ids in ids.chunks(IDS) {
            let bytes = serde_json::to_string(ids).expect("are numbers").len();
            assert!(bytes < 128 * 1_024, "{bytes} bytes");
            assert!(clear(&AccountId::stored("shop"), ids, span, 1).prepare(&clickhouse::Client::default()).is_ok());
        }
        // One statement of several measures splits each in all ways that its dimensions allow.
        const { assert!(MEASURES * (1 + DIMENSIONS + DIMENSIONS * (DIMENSIONS - 1) / 2) <= IDS) };
    }

    #[test]
    fn a_statement_is_waited_for_until_clickhouse_ends_it() {
        let (name, seconds) = LIMITS[0];
        let seconds = Duration::from_secs(seconds.parse().expect("a number"));
        assert!(name == "max_execution_time" && seconds < PATIENCE);
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
