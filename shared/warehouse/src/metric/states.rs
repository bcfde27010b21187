//! Measures as SQL: what is computed of events, in the shape that rollups store and answers merge.

use analytics_domain::{
    account::AccountId,
    metric::{AGE, Aliases, CURRENCY, Measure, Of, buckets::Range, sketch},
};

use super::{
    read::{Source, condition, group_text, key_text, number, text},
    shape::{COLUMNS, Column},
};
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

/// A measure and the number that tells it from the others.
pub(super) type Placed<'m> = (i64, &'m Measure);

/// Accounts whose events are read together.
pub(super) type Accounts<'s> = &'s [&'s AccountId];

/// That a row is of one of these accounts.
pub(super) fn of_accounts(statement: &mut Statement, accounts: Accounts<'_>) {
    match accounts {
        [account] => drop(statement.push("account_id = ").text(*account)),
        accounts => drop(statement.push("account_id IN ").texts(accounts.iter().copied())),
    }
}

/// What one look at events computes.
pub(super) struct Scan<'s> {
    pub accounts: Accounts<'s>,
    /// All have the same [`objects_of`].
    pub measures: &'s [Placed<'s>],
    pub dimensions: &'s [String],
    /// None for all time together.
    pub bucket: Option<Bucket<'s>>,
    pub columns: &'s [Column],
    /// Splits by some of the dimensions each. Otherwise it is by all of them.
    pub sets: Option<&'s [Vec<String>]>,
    /// Which ids mean the same group.
    pub aliases: &'s Aliases,
}

/// The properties that together tell apart the objects whose first or last values a measure adds up.
pub(super) fn objects_of(measure: &Measure) -> &[String] {
    match &measure.of {
        Of::First { objects, .. }
        | Of::FirstAge { objects, .. }
        | Of::Last { objects, .. }
        | Of::LastWithin { objects, .. } => objects,
        _ => &[],
    }
}

impl Scan<'_> {
    /// `SELECT place`, with `account` if there are several, `bucket`, `key` as an array, `absent` (bits of the dimensions that a row is not split by) where
    /// there are such, and the columns. `within` adds the conditions on events.
    pub(super) fn select(
        &self,
        statement: &mut Statement,
        key_name: &'static str,
        within: impl FnOnce(&mut Statement),
    ) {
        let places: Vec<i64> = self.measures.iter().map(|(place, _)| *place).collect();
        let dimensions = &DIMENSION[..self.dimensions.len()];
        statement.push("SELECT place");
        if self.accounts.len() > 1 {
            statement.push(", account");
        }
        if self.bucket.is_some() {
            statement.push(", bucket");
        }
        match self.sets {
            // A split by nothing has a key too.
            None if dimensions.is_empty() => {}
            None => {
                statement.push(", ");
                names(statement, dimensions);
                statement.push(" AS ").push(key_name);
            }
            Some(_) if dimensions.is_empty() => {
                statement.push(", CAST([], 'Array(Nullable(String))') AS ").push(key_name).push(", absent");
            }
            Some(_) => {
                statement.push(", arrayFilter((value, bit) -> NOT bitTest(absent, bit), ");
                names(statement, dimensions);
                statement.push(", range(").integer(i64::try_from(dimensions.len()).unwrap_or(0)).push(")) AS ");
                statement.push(key_name).push(", absent");
            }
        }
        super::shape::named(statement, self.columns);
        statement.push(" FROM (");
        self.grouped(statement, within);
        statement.push(") ARRAY JOIN ").integers(&places).push(" AS place");
        for column in self.columns.iter().filter(|column| **column != Column::Object) {
            statement.push(", ").push(column.array()).push(" AS ").push(column.name());
        }
        statement.push(" WHERE n > 0");
    }

    /// One row for each bucket, key and object, with arrays of the measures' columns.
    fn grouped(&self, statement: &mut Statement, within: impl FnOnce(&mut Statement)) {
        let dimensions = &DIMENSION[..self.dimensions.len()];
        let mut keys: Vec<&'static str> = Vec::new();
        statement.push("SELECT ");
        if self.accounts.len() > 1 {
            statement.push("account_id AS account, ");
            keys.push("account");
        }
        if let Some(bucket) = self.bucket {
            bucket.of(statement, "toUnixTimestamp64Milli(timestamp)");
            statement.push(" AS bucket, ");
            keys.push("bucket");
        }
        for (name, dimension) in dimensions.iter().zip(self.dimensions) {
            match self.sets {
                Some(_) => key_text(statement, dimension),
                None => group_text(statement, Source::Events, dimension, self.aliases),
            }
            statement.push(" AS ").push(name).push(", ");
        }
        if self.columns.contains(&Column::Object) {
            let objects = self.measures.first().map_or(&[][..], |(_, measure)| objects_of(measure));
            hash_of(statement, objects, self.aliases);
            statement.push(" AS object, ");
            keys.push("object");
        }
        if self.sets.is_some() {
            statement.push("toUInt64(0)");
            for (name, bit) in dimensions.iter().zip(0..) {
                statement.push(" + bitShiftLeft(toUInt64(grouping(").push(name).push(")), ").integer(bit).push(")");
            }
            statement.push(" AS absent, ");
        }
        for (place, column) in COLUMNS.into_iter().filter(|column| self.has_values(*column)).enumerate() {
            statement.push(if place > 0 { ", " } else { "" });
            let value =
                |statement: &mut Statement, (_, measure): &Placed<'_>| value(statement, column, measure, self.aliases);
            array(statement, self.measures, value);
            statement.push(" AS ").push(column.array());
        }
        let mut names: Vec<String> = self.measures.iter().map(|(_, measure)| measure.event_name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        statement.push(" FROM events FINAL WHERE ");
        of_accounts(statement, self.accounts);
        statement.push(" AND event_name IN ");
        statement.texts(&names).push(" AND ");
        within(statement);
        match self.sets {
            None => {
                keys.extend(dimensions);
                if !keys.is_empty() {
                    statement.push(" GROUP BY ");
                    list(statement, &keys);
                }
            }
            Some(sets) => {
                statement.push(" GROUP BY GROUPING SETS (");
                for (place, set) in sets.iter().enumerate() {
                    let is_in = |(_, dimension): &(&&'static str, &String)| set.contains(dimension);
                    let of_set = dimensions.iter().zip(self.dimensions).filter(is_in).map(|(name, _)| *name);
                    statement.push(if place > 0 { ", (" } else { "(" });
                    list(statement, &keys.iter().copied().chain(of_set).collect::<Vec<_>>());
                    statement.push(")");
                }
                statement.push(")");
            }
        }
    }

    fn has_values(&self, column: Column) -> bool {
        column != Column::Object && self.columns.contains(&column)
    }
}

fn list(statement: &mut Statement, names: &[&'static str]) {
    for (place, name) in names.iter().enumerate() {
        statement.push(if place > 0 { ", " } else { "" }).push(name);
    }
}

fn names(statement: &mut Statement, names: &[&'static str]) {
    statement.push("[");
    list(statement, names);
    statement.push("]");
}

fn array<T>(statement: &mut Statement, items: &[T], each: impl Fn(&mut Statement, &T)) {
    for (place, item) in items.iter().enumerate() {
        statement.push(if place > 0 { ", " } else { "[" });
        each(statement, item);
    }
    statement.push("]");
}

/// A column of a measure's state over a group of events.
fn value(statement: &mut Statement, column: Column, measure: &Measure, aliases: &Aliases) {
    let number = |statement: &mut Statement, path: &str| {
        statement.push("assumeNotNull(");
        number(statement, path);
        statement.push(")");
    };
    let when = |statement: &mut Statement| {
        statement.push(", ");
        counts(statement, measure);
        statement.push(")");
    };
    let aggregate = |statement: &mut Statement, function: &'static str, path: &str| {
        statement.push(function);
        number(statement, path);
        when(statement);
    };
    match (column, &measure.of) {
        (Column::Count, _) => {
            statement.push("countIf(");
            counts(statement, measure);
            statement.push(")");
        }
        (Column::Total, Of::Numbers(path)) => aggregate(statement, "sumIf(", path),
        (Column::Low, Of::Numbers(path)) => aggregate(statement, "minIf(", path),
        (Column::High, Of::Numbers(path)) => aggregate(statement, "maxIf(", path),
        (Column::Low, Of::Currencies(_)) => {
            statement.push("minIf(");
            currency_hash(statement);
            when(statement);
        }
        (Column::High, Of::Currencies(_)) => {
            statement.push("maxIf(");
            currency_hash(statement);
            when(statement);
        }
        (Column::Total, Of::First { property, .. } | Of::Last { property, .. } | Of::LastWithin { property, .. }) => {
            let is_first = matches!(measure.of, Of::First { .. });
            statement.push(if is_first { "argMinIf(" } else { "argMaxIf(" });
            number(statement, property);
            statement.push(", (timestamp, ");
            number(statement, property);
            statement.push(")");
            when(statement);
        }
        (Column::Total, Of::FirstAge { .. }) => {
            statement.push("argMinIf(");
            number(statement, AGE);
            statement.push(", (timestamp, ");
            number(statement, AGE);
            statement.push(")");
            when(statement);
        }
        (Column::At, Of::First { .. } | Of::FirstAge { .. }) => {
            statement.push("minIf(toUnixTimestamp64Milli(timestamp)");
            when(statement);
        }
        (Column::At, Of::Last { .. } | Of::LastWithin { .. }) => {
            statement.push("maxIf(toUnixTimestamp64Milli(timestamp)");
            when(statement);
        }
        (Column::Bins, Of::Distribution(path)) => {
            statement.push("sumMapIf([");
            bin(statement, path);
            statement.push("], [toUInt64(1)]");
            when(statement);
        }
        (Column::Hashes, Of::Uniques(path)) => {
            statement.push("groupUniqArrayIf(sipHash64(assumeNotNull(");
            group_text(statement, Source::Events, path, aliases);
            statement.push("))");
            when(statement);
        }
        (Column::Hashes, Of::UniquesOf { property, objects }) => {
            statement.push("groupUniqArrayIf(");
            hash_of(statement, &[objects.as_slice(), std::slice::from_ref(property)].concat(), aliases);
            when(statement);
        }
        (Column::Hashes, Of::LastWithin { within, .. }) => {
            statement.push("groupUniqArrayIf(");
            hash_of(statement, within, aliases);
            when(statement);
        }
        _ => drop(statement.push(column.nothing())),
    }
}

/// A hash of the texts of some properties. As JSON, no two lists of texts look alike, and one that is not there looks like none.
/// Of a group alone, the id that stands for it counts: what it is told apart with, such as a post, is numbered by each id anew.
fn hash_of(statement: &mut Statement, paths: &[String], aliases: &Aliases) {
    if paths.is_empty() {
        statement.push("toUInt64(0)");
        return;
    }
    statement.push("sipHash64(toJSONString(");
    array(statement, paths, |statement, path| match paths {
        [_] => group_text(statement, Source::Events, path, aliases),
        _ => text(statement, Source::Events, path),
    });
    statement.push("))");
}

/// Whether an event is one of a measure.
fn counts(statement: &mut Statement, measure: &Measure) {
    statement.push("event_name = ").text(&measure.event_name).push(" AND ");
    condition(statement, Source::Events, &measure.filter);
    match &measure.of {
        Of::Events => {}
        Of::Numbers(path)
        | Of::Distribution(path)
        | Of::First { property: path, .. }
        | Of::Last { property: path, .. }
        | Of::LastWithin { property: path, .. }
        | Of::Start { property: path, .. }
        | Of::Gain { property: path, .. } => {
            statement.push(" AND ");
            number(statement, path);
            statement.push(" IS NOT NULL");
        }
        Of::FirstAge { property, .. } => {
            for path in [property, AGE] {
                statement.push(" AND ");
                number(statement, path);
                statement.push(" IS NOT NULL");
            }
        }
        Of::Uniques(path) | Of::UniquesOf { property: path, .. } => {
            statement.push(" AND ");
            text(statement, Source::Events, path);
            statement.push(" IS NOT NULL");
        }
        Of::Currencies(path) => {
            statement.push(" AND ");
            number(statement, path);
            statement.push(" IS NOT NULL AND ");
            text(statement, Source::Events, CURRENCY);
            statement.push(" IS NOT NULL");
        }
    }
}

/// As many bits of the hash of an event's currency as a double holds exactly.
fn currency_hash(statement: &mut Statement) {
    statement.push("toFloat64(bitShiftRight(sipHash64(assumeNotNull(");
    text(statement, Source::Events, CURRENCY);
    statement.push(")), 11))");
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

/// Ranges of events that are told one by one: the primary index is searched for each.
pub(super) const MOST_RANGES: usize = 40;

/// Whether a column of time lies in one of the ranges, which come in order. Of more than `most`, all between the first and the
/// last is looked at.
pub(super) fn within(statement: &mut Statement, column: &'static str, ranges: &[Range], most: usize) {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
        statement.push("0");
        return;
    };
    let between = |statement: &mut Statement, range: Range| {
        statement.push("(").push(column).push(" >= ").time(range.from).push(" AND ").push(column).push(" < ");
        statement.time(range.to).push(")");
    };
    if ranges.len() > most {
        // The range that starts last before it has not ended.
        statement.push("(");
        between(statement, Range { from: first.from, to: last.to });
        let froms: Vec<i64> = ranges.iter().map(|range| range.from).collect();
        let tos: Vec<i64> = ranges.iter().map(|range| range.to).collect();
        let millis = |statement: &mut Statement| {
            statement.push("toUnixTimestamp64Milli(toDateTime64(").push(column).push(", 3, 'UTC'))");
        };
        statement.push(" AND ");
        millis(statement);
        statement.push(" < transform(toInt64(roundDown(");
        millis(statement);
        statement
            .push(", ")
            .integers(&froms)
            .push(")), ")
            .integers(&froms)
            .push(", ")
            .integers(&tos)
            .push(", toInt64(0)))");
        return;
    }
    statement.push("(");
    for (place, range) in ranges.iter().enumerate() {
        statement.push(if place > 0 { " OR " } else { "" });
        between(statement, *range);
    }
    statement.push(")");
}
