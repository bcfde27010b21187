//! Answers as JSON.

use std::collections::BTreeMap;

use analytics_answers::{Answer, Key, Point, Previous, Reason, Series, Source, Warning};
use analytics_domain::{metric::Kind, time};
use schemars::JsonSchema;
use serde::Serialize;

/// An answer as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MetricData")]
pub struct AnswerOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_id: Option<&'a str>,
    name: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    unit: &'a str,
    from: String,
    to: String,
    /// `none` for totals only.
    interval: String,
    timezone: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    group_by: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<ComparedOut>,
    /// Everything that was stored by then is in the answer.
    #[schemars(extend("format" = "date-time"))]
    as_of: String,
    source: Source,
    /// The currency that the question asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    /// Other ids of groups that are named here, which count as the same group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    group_aliases: &'a BTreeMap<String, Vec<String>>,
    series: Vec<SeriesOut<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Compared")]
struct ComparedOut {
    with: &'static str,
    from: String,
    to: String,
}

/// The numbers of one key as they are sent.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Series")]
pub struct SeriesOut<'a> {
    /// Values of the properties in `groupBy`; null for events without the property.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    key: BTreeMap<&'a str, Option<&'a str>>,
    /// True for the series of all groups beyond `limit`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    #[serde(flatten)]
    total: TotalOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousOut>,
    points: Vec<PointOut>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Total")]
struct TotalOut {
    total: Option<f64>,
    /// Why there is no total.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Previous")]
struct PreviousOut {
    #[serde(flatten)]
    total: TotalOut,
    /// Change of the total against the other range: 0.1 is ten percent more. Null if there is nothing to compare with.
    change: Option<f64>,
    /// The points of the other range. Absent in a delta of a live stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<PointOut>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Point")]
struct PointOut {
    /// Start of the bucket.
    #[schemars(extend("format" = "date-time"))]
    time: String,
    value: Option<f64>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

impl<'a> From<&'a Answer> for AnswerOut<'a> {
    fn from(answer: &'a Answer) -> Self {
        let compared = answer.compare.map(|(compare, range)| ComparedOut {
            with: compare.name(),
            from: time::format(range.from),
            to: time::format(range.to),
        });
        Self {
            metric_id: answer.metric_id.as_deref(),
            name: &answer.name,
            kind: answer.kind,
            unit: &answer.unit,
            from: time::format(answer.range.from),
            to: time::format(answer.range.to),
            interval: answer.interval.map_or_else(|| "none".to_owned(), |interval| interval.name()),
            timezone: &answer.zone,
            group_by: &answer.group_by,
            compare: compared,
            as_of: time::format(answer.as_of),
            source: answer.source,
            currency: answer.currency.as_deref(),
            group_aliases: &answer.aliases,
            series: answer.series.iter().map(|series| SeriesOut::new(series, &answer.group_by, true)).collect(),
            warnings: &answer.warnings,
        }
    }
}

impl<'a> SeriesOut<'a> {
    /// A series of which some points have changed, to one who knows the others.
    #[must_use]
    pub fn changed(series: &'a Series, group_by: &'a [String]) -> Self {
        Self::new(series, group_by, false)
    }

    fn new(series: &'a Series, group_by: &'a [String], is_whole: bool) -> Self {
        let key = match &series.key {
            Key::All | Key::Other => BTreeMap::new(),
            Key::Group(values) => {
                group_by.iter().map(String::as_str).zip(values.iter().map(Option::as_deref)).collect()
            }
        };
        Self {
            key,
            other: series.key == Key::Other,
            total: TotalOut::from(series.total),
            previous: series.previous.as_ref().map(|previous| PreviousOut::new(previous, is_whole)),
            points: points(&series.points),
        }
    }
}

impl From<Result<f64, Reason>> for TotalOut {
    fn from(total: Result<f64, Reason>) -> Self {
        Self { total: total.ok(), reason: total.err() }
    }
}

impl PreviousOut {
    fn new(previous: &Previous, is_whole: bool) -> Self {
        Self {
            total: TotalOut::from(previous.total),
            change: previous.change,
            points: is_whole.then(|| points(&previous.points)),
        }
    }
}

fn points(points: &[Point]) -> Vec<PointOut> {
    let point =
        |point: &Point| PointOut { time: time::format(point.time), value: point.value.ok(), reason: point.value.err() };
    points.iter().map(point).collect()
}
