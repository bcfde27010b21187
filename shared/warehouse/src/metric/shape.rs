//! What there is to the state of a measure: which of the columns say something, and how they add up.

use analytics_domain::metric::{Measure, Of};

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
    /// Different texts.
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
}

impl Shape {
    pub(super) const ALL: [Self; 7] =
        [Self::Count, Self::Numbers, Self::Distribution, Self::Uniques, Self::Currencies, Self::First, Self::Last];

    pub(super) const fn of(of: &Of) -> Self {
        match of {
            Of::Events => Self::Count,
            Of::Numbers(_) => Self::Numbers,
            Of::Distribution(_) => Self::Distribution,
            Of::Uniques(_) => Self::Uniques,
            Of::Currencies(_) => Self::Currencies,
            Of::First { .. } => Self::First,
            Of::Last { .. } => Self::Last,
        }
    }

    const fn has(self, column: Column) -> bool {
        match column {
            Column::Count => true,
            Column::Object | Column::At => matches!(self, Self::First | Self::Last),
            Column::Total => matches!(self, Self::Numbers | Self::First | Self::Last),
            Column::Low | Column::High => matches!(self, Self::Numbers | Self::Currencies),
            Column::Bins => matches!(self, Self::Distribution),
            Column::Hashes => matches!(self, Self::Uniques),
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
                (Column::Total, Self::Last) => "argMax(total, (at, total))",
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
pub(super) fn unfold(statement: &mut Statement, columns: &[Column], has_keys: bool) {
    statement.push(" FROM rollups FINAL ARRAY JOIN ").push(if has_keys { "keys AS stored, " } else { "" });
    for (place, column) in columns.iter().enumerate() {
        statement.push(if place > 0 { ", " } else { "" }).push(column.array()).push(" AS ").push(column.name());
    }
}

/// The names of columns, each after a comma.
pub(super) fn named(statement: &mut Statement, columns: &[Column]) {
    for column in columns {
        statement.push(", ").push(column.name());
    }
}
