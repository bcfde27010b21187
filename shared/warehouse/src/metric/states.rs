//! Measures as SQL: what is computed of events, in the shape that rollups store and answers merge.

use analytics_domain::metric::{Measure, Of, buckets::Range, sketch};

use super::read::{Source, condition, number, text};
use crate::statement::Statement;

/// Names of the columns that hold the values of dimensions.
const DIMENSION: [&str; 16] =
    ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"];
/// Dimensions that one statement can split a measure by.
pub(super) const DIMENSIONS: usize = DIMENSION.len();

/// Which buckets the events are put in.
#[derive(Clone, Copy)]
pub(super) enum Bucket<'b> {
    /// Those that start at these milliseconds.
    Starts(&'b [i64]),
    /// Those of this many milliseconds.
    Length(i64),
}

impl Bucket<'_> {
    pub(super) fn of(self, statement: &mut Statement, millis: &'static str) {
        match self {
            Self::Starts(starts) => {
                statement.push("toInt64(roundDown(").push(millis).push(", ").integers(starts).push("))");
            }
            Self::Length(length) => {
                statement.push("intDiv(").push(millis).push(", ").integer(length).push(") * ").integer(length);
            }
        }
    }
}

/// `SELECT` of the states of one measure over the events of an account: `bucket`, `d0`…, `object`, and the columns of
/// [`VALUES`]. `within` adds the condition on their time. What is grouped by besides is `grouping`, or all of the dimensions.
pub(super) fn of_events(
    statement: &mut Statement,
    account_id: &str,
    measure: &Measure,
    dimensions: &[String],
    bucket: Bucket<'_>,
    within: impl FnOnce(&mut Statement),
    grouping: Option<&[Vec<String>]>,
) {
    statement.push("SELECT ");
    bucket.of(statement, "toUnixTimestamp64Milli(timestamp)");
    statement.push(" AS bucket");
    for (name, dimension) in DIMENSION.iter().zip(dimensions) {
        statement.push(", ");
        text(statement, Source::Events, dimension);
        statement.push(" AS ").push(name);
    }
    statement.push(", ");
    match &measure.of {
        Of::First { object: Some(object), .. } | Of::Last { object: Some(object), .. } => {
            // Events without one are of one object.
            statement.push("ifNull(");
            text(statement, Source::Events, object);
            statement.push(", '')");
        }
        _ => drop(statement.push("''")),
    }
    statement.push(" AS object, ");
    values(statement, &measure.of);
    if grouping.is_some() {
        // A bit for each dimension that the row is not split by.
        statement.push(", toUInt64(0)");
        for (name, bit) in DIMENSION.iter().take(dimensions.len()).zip(0..) {
            statement.push(" + bitShiftLeft(toUInt64(grouping(").push(name).push(")), ").integer(bit).push(")");
        }
        statement.push(" AS absent");
    }
    statement.push(" FROM events FINAL WHERE account_id = ").text(account_id);
    statement.push(" AND event_name = ").text(&measure.event_name).push(" AND ");
    within(statement);
    statement.push(" AND ");
    condition(statement, Source::Events, &measure.filter);
    match &measure.of {
        Of::Events => {}
        Of::Numbers(path) | Of::Distribution(path) => {
            statement.push(" AND ");
            number(statement, path);
            statement.push(" IS NOT NULL");
        }
        Of::First { property, .. } | Of::Last { property, .. } => {
            statement.push(" AND ");
            number(statement, property);
            statement.push(" IS NOT NULL");
        }
        Of::Uniques(path) => {
            statement.push(" AND ");
            text(statement, Source::Events, path);
            statement.push(" IS NOT NULL");
        }
    }
    statement.push(" GROUP BY ");
    match grouping {
        None => {
            statement.push("bucket, object");
            for name in DIMENSION.iter().take(dimensions.len()) {
                statement.push(", ").push(name);
            }
        }
        Some(sets) => {
            statement.push("GROUPING SETS (");
            for (place, set) in sets.iter().enumerate() {
                statement.push(if place > 0 { ", (bucket, object" } else { "(bucket, object" });
                for (name, dimension) in DIMENSION.iter().zip(dimensions) {
                    if set.contains(dimension) {
                        statement.push(", ").push(name);
                    }
                }
                statement.push(")");
            }
            statement.push(")");
        }
    }
}

/// The columns of a state, in the order of [`values`].
pub(super) const VALUES: &str = "n, total, low, high, bins, hashes, at";

/// What a measure has to say of a group of events.
fn values(statement: &mut Statement, of: &Of) {
    const NO_BINS: &str = "(CAST([], 'Array(Int32)'), CAST([], 'Array(UInt64)')) AS bins";
    const NO_HASHES: &str = "CAST([], 'Array(UInt64)') AS hashes";
    const NO_TIME: &str = "(toInt64(0), '') AS at";
    const NO_NUMBERS: &str = "toFloat64(0) AS total, toFloat64(0) AS low, toFloat64(0) AS high";
    statement.push("count() AS n, ");
    let value = |statement: &mut Statement, before: &'static str, path: &str, after: &'static str| {
        statement.push(before);
        number(statement, path);
        statement.push(after);
    };
    match of {
        Of::Events => {
            statement.push(NO_NUMBERS).push(", ").push(NO_BINS).push(", ").push(NO_HASHES).push(", ").push(NO_TIME);
        }
        Of::Numbers(path) => {
            value(statement, "sum(assumeNotNull(", path, ")) AS total, ");
            value(statement, "min(assumeNotNull(", path, ")) AS low, ");
            value(statement, "max(assumeNotNull(", path, ")) AS high, ");
            statement.push(NO_BINS).push(", ").push(NO_HASHES).push(", ").push(NO_TIME);
        }
        Of::Distribution(path) => {
            statement.push(NO_NUMBERS).push(", sumMap([");
            bin(statement, path);
            statement.push("], [toUInt64(1)]) AS bins, ").push(NO_HASHES).push(", ").push(NO_TIME);
        }
        Of::Uniques(path) => {
            statement.push(NO_NUMBERS).push(", ").push(NO_BINS).push(", groupUniqArray(sipHash64(assumeNotNull(");
            text(statement, Source::Events, path);
            statement.push("))) AS hashes, ").push(NO_TIME);
        }
        Of::First { property, .. } => {
            value(statement, "argMin(assumeNotNull(", property, "), ");
            statement.push("(toUnixTimestamp64Milli(timestamp), event_id)) AS total, toFloat64(0) AS low, ");
            statement.push("toFloat64(0) AS high, ").push(NO_BINS).push(", ").push(NO_HASHES);
            statement.push(", min((toUnixTimestamp64Milli(timestamp), event_id)) AS at");
        }
        Of::Last { property, .. } => {
            value(statement, "argMax(assumeNotNull(", property, "), ");
            statement.push("(toUnixTimestamp64Milli(timestamp), event_id)) AS total, toFloat64(0) AS low, ");
            statement.push("toFloat64(0) AS high, ").push(NO_BINS).push(", ").push(NO_HASHES);
            statement.push(", max((toUnixTimestamp64Milli(timestamp), event_id)) AS at");
        }
    }
}

/// As [`sketch::bin`].
fn bin(statement: &mut Statement, path: &str) {
    let number = |statement: &mut Statement, before: &'static str, after: &'static str| {
        statement.push(before);
        self::number(statement, path);
        statement.push(after);
    };
    number(statement, "toInt32(sign(assumeNotNull(", ")) * ");
    number(statement, "if(assumeNotNull(", ") = 0, 0, ");
    number(statement, "ceil(log(abs(assumeNotNull(", "))) / ");
    statement.number(sketch::GROWTH.ln()).push(") + ").integer(sketch::OFFSET.into()).push("))");
}

/// The values of the dimensions as one array, in the order of the list.
pub(super) fn key(statement: &mut Statement, dimensions: usize) {
    if dimensions == 0 {
        statement.push("CAST([], 'Array(Nullable(String))')");
        return;
    }
    statement.push("[");
    for (place, name) in DIMENSION.iter().take(dimensions).enumerate() {
        if place > 0 {
            statement.push(", ");
        }
        statement.push(name);
    }
    statement.push("]");
}

/// Whether a column of time lies in one of the ranges.
pub(super) fn within(statement: &mut Statement, column: &'static str, ranges: &[Range]) {
    statement.push("(");
    for (place, range) in ranges.iter().enumerate() {
        statement.push(if place > 0 { " OR (" } else { "(" }).push(column);
        statement.push(" >= ").time(range.from).push(" AND ").push(column).push(" < ").time(range.to).push(")");
    }
    if ranges.is_empty() {
        statement.push("0");
    }
    statement.push(")");
}
