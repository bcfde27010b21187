//! Answers as they are sent.

use std::collections::BTreeMap;

use analytics_domain::{
    metric::{Answer, Compiled, Key, Kind, Point, Query, Reason, SeriesAnswer, assemble},
    time,
};
use analytics_warehouse::metric::Source;
use serde::Serialize;

use crate::{
    Known, Question,
    warnings::{Warning, warnings},
};

/// An answer as it is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_id: Option<String>,
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    unit: String,
    from: String,
    to: String,
    /// `none` for totals only.
    interval: String,
    timezone: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) group_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<ComparedOut>,
    /// Everything that was stored by then is in the answer.
    as_of: String,
    source: Source,
    /// That of all amounts, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    pub(crate) series: Vec<SeriesOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct ComparedOut {
    with: &'static str,
    from: String,
    to: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeriesOut {
    /// Values of the dimensions; null where events have none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub key: BTreeMap<String, Option<String>>,
    /// All groups that are not shown by themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub other: bool,
    #[serde(flatten)]
    pub total: TotalOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousOut>,
    pub points: Vec<PointOut>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TotalOut {
    pub total: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PreviousOut {
    #[serde(flatten)]
    pub total: TotalOut,
    /// By how much the total has grown, relative to the one before: 0.1 is ten percent more.
    pub change: Option<f64>,
    pub points: Vec<PointOut>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PointOut {
    pub time: String,
    pub value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl TotalOut {
    fn new(total: Result<f64, Reason>) -> Self {
        Self { total: total.ok(), reason: total.err() }
    }
}

impl AnswerOut {
    /// Of numbers, and those of the range to compare with.
    pub(crate) fn new(
        question: &Question,
        compiled: &Compiled,
        (query, known): (&Query, &Known),
        (series, before, source): (Answer, Option<Answer>, Source),
    ) -> Self {
        let warnings = warnings(question, query, &series, before.as_ref());
        Self {
            metric_id: question.metric_id.clone(),
            name: question.name.clone(),
            kind: question.kind,
            unit: question.unit.clone(),
            from: time::format(query.buckets.range.from),
            to: time::format(query.buckets.range.to),
            interval: query.interval.map_or_else(|| "none".to_owned(), |interval| interval.name()),
            timezone: query.zone_name.clone(),
            group_by: query.group_by.clone(),
            compare: query.compare.as_ref().map(|(compare, buckets)| ComparedOut {
                with: compare.name(),
                from: time::format(buckets.range.from),
                to: time::format(buckets.range.to),
            }),
            as_of: time::format(known.at),
            source,
            currency: query.currency.clone(),
            series: encode(compiled, series, before, query),
            warnings,
        }
    }
}

fn encode(compiled: &Compiled, series: Answer, before: Option<Answer>, query: &Query) -> Vec<SeriesOut> {
    let compared = before.is_some();
    let starts = match (&query.compare, query.interval) {
        (Some((_, buckets)), Some(_)) => buckets.starts.as_slice(),
        _ => &[],
    };
    let mut before: BTreeMap<Key, SeriesAnswer> =
        before.into_iter().flatten().map(|series| (series.key.clone(), series)).collect();
    let mut out = Vec::with_capacity(series.len());
    for series in series {
        let previous = before.remove(&series.key);
        // Of a group that was not there before, it was nothing that was.
        let previous = previous.or_else(|| assemble(compiled, Vec::new(), starts, true).pop());
        let previous = previous.filter(|_| compared).map(|previous| previous_out(&series, &previous));
        let (key, other) = match series.key {
            Key::All => (BTreeMap::new(), false),
            Key::Other => (BTreeMap::new(), true),
            Key::Group(values) => (query.group_by.iter().cloned().zip(values).collect(), false),
        };
        out.push(SeriesOut {
            key,
            other,
            total: TotalOut::new(series.total),
            previous,
            points: points(&series.points),
        });
    }
    out
}

fn previous_out(series: &SeriesAnswer, previous: &SeriesAnswer) -> PreviousOut {
    let change = match (series.total, previous.total) {
        (Ok(now), Ok(before)) if before != 0.0 => Some((now - before) / before.abs()),
        _ => None,
    };
    PreviousOut { total: TotalOut::new(previous.total), change, points: points(&previous.points) }
}

fn points(points: &[Point]) -> Vec<PointOut> {
    let point =
        |point: &Point| PointOut { time: time::format(point.time), value: point.value.ok(), reason: point.value.err() };
    points.iter().map(point).collect()
}
