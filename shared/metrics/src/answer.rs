//! Answering: from a formula and a question to numbers.

use std::collections::BTreeMap;

use analytics_domain::{
    metric::{
        Answer, Compiled, Input, Key, Kind, Measure, Metrics, Node, Query, Reason, SeriesAnswer, assemble,
        buckets::Buckets, dimension_sets, rank, with_others,
    },
    time,
};
use analytics_http::ApiError;
use analytics_warehouse::metric::{Asked, Rollups, Source, Told};
use serde::Serialize;

use crate::{App, Known, errors};

/// Buckets that are asked for before it is known how many groups there are.
const AT_ONCE_BUCKETS: usize = 100;
/// Cells, by group and bucket, up to which that is an answer.
const AT_ONCE_CELLS: usize = 50_000;

/// A formula to be answered, with what to say of it.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of a stored or built-in metric.
    pub metric_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    pub unit: String,
    pub formula: Node<Input>,
}

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
    pub(crate) series: Vec<SeriesOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
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

/// Answers a question about an account's events.
///
/// # Errors
/// If the event store does not answer, or the question takes more than one may.
pub async fn answer(
    app: &App,
    account_id: &str,
    known: &Known,
    question: Question,
    query: &Query,
) -> Result<AnswerOut, ApiError> {
    let compiled = Compiled::new(&question.formula);
    let kept: Vec<Vec<Vec<String>>> = kept(&compiled.measures, &known.metrics);
    let asker = Asker { app, account_id, compiled: &compiled, kept: &kept, rollups: &known.rollups, query };
    let (only, complete) = match query.group_by.is_empty() {
        true => (None, None),
        false => {
            let (keys, complete) = asker.groups().await?;
            (Some(keys), complete)
        }
    };
    let now_told = async {
        match complete {
            Some(told) => Ok(told),
            None => asker.ask(&query.buckets, only.as_deref()).await,
        }
    };
    let before = async {
        match &query.compare {
            None => Ok(None),
            Some((_, buckets)) => asker.ask(buckets, only.as_deref()).await.map(Some),
        }
    };
    let (now_told, before) = tokio::join!(now_told, before);
    let (now_told, before) = (now_told?, before?);
    let source = now_told.source;
    let series = asker.assemble(&query.buckets, now_told, only.as_deref());
    let before =
        before.zip(query.compare.as_ref()).map(|(told, (_, buckets))| asker.assemble(buckets, told, only.as_deref()));
    let mut warnings = Vec::new();
    if query.clipped {
        warnings.push("the range, or the one to compare with, reaches back beyond how long events are kept: it was cut there, or left out");
    }
    Ok(AnswerOut {
        metric_id: question.metric_id,
        name: question.name,
        kind: question.kind,
        unit: question.unit,
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
        series: encode(&compiled, series, before, query),
        warnings,
    })
}

/// The splits that may be kept of each measure: those of every metric that reads it.
fn kept(measures: &[Measure], metrics: &Metrics) -> Vec<Vec<Vec<String>>> {
    let mut kept = vec![Vec::new(); measures.len()];
    for metric in metrics.all() {
        let Ok(formula) = metrics.expand(&metric.formula) else { continue };
        let sets = dimension_sets(&metric.definition.dimensions);
        for measure in formula.inputs().into_iter().map(Input::measure) {
            if let Some(place) = measures.iter().position(|other| *other == measure) {
                kept[place].extend(sets.iter().cloned());
            }
        }
    }
    kept
}

struct Asker<'a> {
    app: &'a App,
    account_id: &'a str,
    compiled: &'a Compiled,
    kept: &'a [Vec<Vec<String>>],
    rollups: &'a Rollups,
    query: &'a Query,
}

impl Asker<'_> {
    async fn tell(
        &self,
        buckets: &Buckets,
        only: Option<&[Key]>,
        by_bucket: bool,
        most: Option<usize>,
    ) -> Result<Told, ApiError> {
        let asked = Asked {
            measures: &self.compiled.measures,
            buckets,
            group_by: &self.query.group_by,
            filter: &self.query.filter,
            kept: self.kept,
            only,
            by_bucket,
            most,
            rollups: self.rollups,
        };
        self.app.warehouse.measure(self.account_id, &asked).await.map_err(errors::warehouse)
    }

    async fn ask(&self, buckets: &Buckets, only: Option<&[Key]>) -> Result<Told, ApiError> {
        self.tell(buckets, only, self.query.interval.is_some(), None).await
    }

    /// The groups to show by themselves, by their totals; and the whole answer, if it was as easy to have.
    async fn groups(&self) -> Result<(Vec<Key>, Option<Told>), ApiError> {
        let Query { buckets, interval, ranking, .. } = self.query;
        let by_bucket = interval.is_some();
        let mut whole = None;
        if !by_bucket || buckets.starts.len() <= AT_ONCE_BUCKETS {
            let told = self.tell(buckets, None, by_bucket, by_bucket.then_some(AT_ONCE_CELLS)).await?;
            whole = Some(told).filter(|told| !told.is_cut);
        }
        let is_whole = whole.is_some();
        let told = match whole {
            Some(told) => told,
            None => self.tell(&Buckets::whole(buckets.range), None, false, None).await?,
        };
        let totals = told.cells.iter().filter(|cell| cell.bucket.is_none()).cloned().collect();
        let totals = assemble(self.compiled, totals, &[], false);
        let groups = totals.len();
        let keys = rank(totals, *ranking);
        let add_up = self.compiled.measures.iter().all(|measure| measure.of.adds_up());
        if !is_whole || (groups > keys.len() && !add_up) {
            return Ok((keys, None));
        }
        let cells = with_others(told.cells, &keys);
        Ok((keys, Some(Told { cells, ..told })))
    }

    fn assemble(&self, buckets: &Buckets, told: Told, only: Option<&[Key]>) -> Answer {
        let starts: &[i64] = if self.query.interval.is_some() { &buckets.starts } else { &[] };
        let mut answer = assemble(self.compiled, told.cells, starts, self.query.group_by.is_empty());
        if let Some(keys) = only {
            let place = |key: &Key| keys.iter().position(|other| other == key).unwrap_or(keys.len());
            answer.sort_by_key(|series| place(&series.key));
        }
        answer
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

fn points(points: &[analytics_domain::metric::Point]) -> Vec<PointOut> {
    let point = |point: &analytics_domain::metric::Point| PointOut {
        time: time::format(point.time),
        value: point.value.ok(),
        reason: point.value.err(),
    };
    points.iter().map(point).collect()
}
