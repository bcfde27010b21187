//! Answers: numbers over time with all that is to be said of them.

use std::collections::BTreeMap;

use analytics_domain::{
    metric::{
        Aliases, Answer as Numbers, Compiled, GROUP, Key, Kind, Point as Number, Reason, SeriesAnswer, assemble,
        buckets::{Compare, Interval, Range},
    },
    time::EpochMillis,
};
use analytics_warehouse::metric::Source;

use crate::{Warning, compute::Settled, formulas::Formula, warnings::warnings};

/// The numbers of one query.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The id of a stored or built-in metric; none for a formula by itself.
    pub metric_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    pub unit: String,
    pub range: Range,
    /// None: totals only.
    pub interval: Option<Interval>,
    /// The name of the time zone.
    pub zone: String,
    /// The properties that keys of groups have values of.
    pub group_by: Vec<String>,
    /// What it is compared with, and the range of that.
    pub compare: Option<(Compare, Range)>,
    /// Everything that was stored by then is in the answer.
    pub as_of: EpochMillis,
    pub source: Source,
    /// The currency of all amounts, if one was asked for.
    pub currency: Option<String>,
    /// The other ids of groups that are named: groups that have changed their id.
    pub aliases: BTreeMap<String, Vec<String>>,
    pub series: Vec<Series>,
    pub warnings: Vec<Warning>,
}

/// The numbers of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub key: Key,
    /// Over the whole range; or why there is none.
    pub total: Result<f64, Reason>,
    pub points: Vec<Point>,
    /// The range that it is compared with.
    pub previous: Option<Previous>,
}

/// The number of one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Start of the bucket.
    pub time: EpochMillis,
    /// The value; or why there is none.
    pub value: Result<f64, Reason>,
}

/// The numbers of the same key in the range to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Previous {
    pub total: Result<f64, Reason>,
    /// By how much the total has grown, relative to this one: 0.1 is ten percent more. None if either has no value or this one
    /// is zero.
    pub change: Option<f64>,
    pub points: Vec<Point>,
}

impl Answer {
    pub(crate) fn new(
        formula: &Formula,
        compiled: &Compiled,
        (settled, as_of): (&Settled, EpochMillis),
        aliases: &Aliases,
        (numbers, before, source): (Numbers, Option<Numbers>, Source),
    ) -> Self {
        let warnings = warnings(formula, settled, &numbers, before.as_ref());
        let series = series(compiled, numbers, before, settled);
        Self {
            metric_id: formula.metric_id.clone(),
            name: formula.name.clone(),
            kind: formula.kind,
            unit: formula.unit.clone(),
            range: settled.buckets.range,
            interval: settled.interval,
            zone: settled.zone_name.clone(),
            group_by: settled.group_by.clone(),
            compare: settled.compare.as_ref().map(|(compare, buckets)| (*compare, buckets.range)),
            as_of,
            source,
            currency: settled.currency.clone(),
            aliases: named(aliases, settled, &series),
            series,
            warnings,
        }
    }
}

/// The other ids of the groups that keys or the filter name.
fn named(aliases: &Aliases, settled: &Settled, series: &[Series]) -> BTreeMap<String, Vec<String>> {
    let place = settled.group_by.iter().position(|path| path == GROUP);
    let of_key = |series: &Series| match (&series.key, place) {
        (Key::Group(values), Some(place)) => values.get(place).cloned().flatten(),
        _ => None,
    };
    let ids = series.iter().filter_map(of_key).chain(settled.filter.texts_of(GROUP));
    let others = |id: String| {
        let others: Vec<String> = aliases.others(&id).map(str::to_owned).collect();
        (!others.is_empty() && aliases.standing_for(&id) == id).then_some((id, others))
    };
    ids.filter_map(others).collect()
}

fn series(compiled: &Compiled, numbers: Numbers, before: Option<Numbers>, settled: &Settled) -> Vec<Series> {
    let is_compared = before.is_some();
    let starts = match (&settled.compare, settled.interval) {
        (Some((_, buckets)), Some(_)) => buckets.starts.as_slice(),
        _ => &[],
    };
    let mut before: BTreeMap<Key, SeriesAnswer> =
        before.into_iter().flatten().map(|series| (series.key.clone(), series)).collect();
    let mut all = Vec::with_capacity(numbers.len());
    for now in numbers {
        let before = before.remove(&now.key);
        // A group that is new in this period has no events in the one before.
        let before = before.or_else(|| assemble(compiled, Vec::new(), starts, true).pop());
        let previous = before.filter(|_| is_compared).map(|before| Previous::new(&now, before));
        all.push(Series { total: now.total, points: points(now.points), previous, key: now.key });
    }
    all
}

impl Previous {
    fn new(now: &SeriesAnswer, before: SeriesAnswer) -> Self {
        let change = match (now.total, before.total) {
            (Ok(now), Ok(before)) if before != 0.0 => Some((now - before) / before.abs()),
            _ => None,
        };
        Self { total: before.total, change, points: points(before.points) }
    }
}

fn points(numbers: Vec<Number>) -> Vec<Point> {
    numbers.into_iter().map(|Number { time, value }| Point { time, value }).collect()
}
