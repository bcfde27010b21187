//! What there is to the state of a measure: which of the columns say something, and how they add up.

use analytics_domain::metric::{Aliases, GROUP, Measure, Of, Series};

use crate::statement::Statement;

/// A part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// What the latest or earliest value is of, by hash.
    Object,
    /// Events or values.
    Count,
    /// The sum, or the first or last value.
    Total,
    Low,
    High,
    /// Values by bin of their size.
    Bins,
    /// Different texts; of a last value the set that its object belongs to.
    Hashes,
    /// When the first or last value was. Of two at the same time, the smaller is the first and the larger the last.
    At,
}

/// All of them, in the order in which statements select them.
pub(super) const COLUMNS: [Column; 8] =
    [Column::Object, Column::Count, Column::Total, Column::Low, Column::High, Column::Bins, Column::Hashes, Column::At];

impl Column {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Count => "n",
            Self::Total => "total",
            Self::Low => "low",
            Self::High => "high",
            Self::Bins => "bins",
            Self::Hashes => "hashes",
            Self::At => "at",
        }
    }

    /// The array of `rollups` that has it for each key.
    pub(super) const fn array(self) -> &'static str {
        match self {
            Self::Object => "objects",
            Self::Count => "ns",
            Self::Total => "totals",
            Self::Low => "lows",
            Self::High => "highs",
            Self::Bins => "bin_lists",
            Self::Hashes => "hash_lists",
            Self::At => "ats",
        }
    }

    pub(super) const fn nothing(self) -> &'static str {
        match self {
            Self::Object => "toUInt64(0)",
            Self::Count => "toUInt64(0)",
            Self::Total | Self::Low | Self::High => "toFloat64(0)",
            Self::Bins => "(CAST([], 'Array(Int32)'), CAST([], 'Array(UInt64)'))",
            Self::Hashes => "CAST([], 'Array(UInt64)')",
            Self::At => "toInt64(0)",
        }
    }
}

/// Kinds of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Count,
    Numbers,
    Distribution,
    Uniques,
    Currencies,
    First,
    Last,
    LastWithin,
}

impl Shape {
    pub(super) const ALL: [Self; 8] = [
        Self::Count,
        Self::Numbers,
        Self::Distribution,
        Self::Uniques,
        Self::Currencies,
        Self::First,
        Self::Last,
        Self::LastWithin,
    ];

    pub(super) const fn of(of: &Of) -> Self {
        match of {
            Of::Events => Self::Count,
            Of::Numbers(_) => Self::Numbers,
            Of::Distribution(_) => Self::Distribution,
            Of::Uniques(_) | Of::UniquesOf { .. } => Self::Uniques,
            Of::Currencies(_) => Self::Currencies,
            // What is not kept is told by its parts, which are of these shapes.
            Of::First { .. } | Of::FirstAge { .. } | Of::Start { .. } => Self::First,
            Of::Last { .. } | Of::Gain { .. } => Self::Last,
            Of::LastWithin { .. } => Self::LastWithin,
        }
    }

    const fn has(self, column: Column) -> bool {
        match column {
            Column::Count => true,
            Column::Object | Column::At => matches!(self, Self::First | Self::Last | Self::LastWithin),
            Column::Total => matches!(self, Self::Numbers | Self::First | Self::Last | Self::LastWithin),
            Column::Low | Column::High => matches!(self, Self::Numbers | Self::Currencies),
            Column::Bins => matches!(self, Self::Distribution),
            Column::Hashes => matches!(self, Self::Uniques | Self::LastWithin),
        }
    }

    /// All columns of several rows of one object put together. They bear no names.
    pub(super) fn merged(self, statement: &mut Statement) {
        for (place, column) in COLUMNS.into_iter().enumerate() {
            statement.push(if place > 0 { ", " } else { "" }).push(match (column, self) {
                (column, _) if !self.has(column) => column.nothing(),
                (Column::Object, _) => "object",
                (Column::Count, _) => "sum(n)",
                (Column::Total, Self::First) => "argMin(total, (at, total))",
                (Column::Total, Self::Last | Self::LastWithin) => "argMax(total, (at, total))",
                (Column::Total, _) => "sum(total)",
                (Column::Low, _) => "min(low)",
                (Column::High, _) => "max(high)",
                (Column::Bins, _) => "sumMap(bins)",
                (Column::Hashes, _) => "groupUniqArrayArray(hashes)",
                (Column::At, Self::First) => "min(at)",
                (Column::At, _) => "max(at)",
            });
        }
    }
}

/// The columns that the states of some measures have.
pub(super) fn columns_of<'m>(measures: impl Iterator<Item = &'m Measure>) -> Vec<Column> {
    let shapes: Vec<Shape> = measures.map(|measure| Shape::of(&measure.of)).collect();
    COLUMNS.into_iter().filter(|column| shapes.iter().any(|shape| shape.has(*column))).collect()
}

/// ` FROM rollups FINAL ARRAY JOIN` of these columns' arrays; with the key as `stored` if `has_keys`, since reading keys
/// takes longer than all else.
pub(super) fn unfold(statement: &mut Statement, columns: &[Column], has_keys: bool, renamed: Option<&Renamed<'_>>) {
    statement.push(" FROM rollups FINAL ARRAY JOIN ").push(if has_keys { "keys AS stored, " } else { "" });
    for (place, column) in columns.iter().enumerate() {
        statement.push(if place > 0 { ", " } else { "" });
        match renamed {
            Some(renamed) => renamed.array(statement, *column),
            None => drop(statement.push(column.array())),
        }
        statement.push(" AS ").push(column.name());
    }
}

/// Hashes of groups that are stored under an id for which another one stands.
pub(super) struct Renamed<'s> {
    pub aliases: &'s Aliases,
    pub series: &'s [(i64, Series)],
}

impl Renamed<'_> {
    fn array(&self, statement: &mut Statement, column: Column) {
        let hashed = |is_list: bool| {
            let is_so = |(_, series): &&(i64, Series)| {
                hashed_of(&series.measure.of, column).is_some_and(|(paths, list)| paths == [GROUP] && list == is_list)
            };
            (is_list, self.series.iter().filter(is_so).map(|(_, series)| series.id()).collect::<Vec<u64>>())
        };
        let hashed = [true, false].map(hashed).into_iter().filter(|(_, ids)| !ids.is_empty()).collect::<Vec<_>>();
        if hashed.is_empty() || self.aliases.is_empty() {
            statement.push(column.array());
            return;
        }
        statement.push("multiIf(");
        for (is_list, ids) in hashed {
            statement.push("series IN ").ids(&ids).push(", ");
            let is_nested = column == Column::Hashes;
            statement
                .push(if is_nested { "arrayMap(list -> arrayMap(" } else { "arrayMap(" })
                .push("one -> transform(one");
            let (old, new): (Vec<&str>, Vec<&str>) = self.aliases.changed().unzip();
            for texts in [old, new] {
                let hash = if is_list { "sipHash64(toJSONString([toNullable(id)]))" } else { "sipHash64(id)" };
                statement.push(", arrayMap(id -> ").push(hash).push(", ").texts(texts).push(")");
            }
            statement.push(if is_nested { "), list), " } else { "), " }).push(column.array()).push("), ");
        }
        statement.push(column.array()).push(")");
    }
}

/// The properties whose texts a column has hashes of, and whether as a list.
fn hashed_of(of: &Of, column: Column) -> Option<(&[String], bool)> {
    match (column, of) {
        (
            Column::Object,
            Of::First { objects, .. }
            | Of::FirstAge { objects, .. }
            | Of::Last { objects, .. }
            | Of::LastWithin { objects, .. },
        ) => Some((objects, true)),
        (Column::Hashes, Of::LastWithin { within, .. }) => Some((within, true)),
        (Column::Hashes, Of::Uniques(path)) => Some((std::slice::from_ref(path), false)),
        _ => None,
    }
}

/// The names of columns, each after a comma.
pub(super) fn named(statement: &mut Statement, columns: &[Column]) {
    for column in columns {
        statement.push(", ").push(column.name());
    }
}
