//! Defining metrics: created, changed and removed with all others in view.

use std::time::Duration;

use analytics_answers::{Warning, about_names};
use analytics_domain::{
    account::AccountId,
    metric::{Definition, Function, METRICS, Metric, Metrics, Problem, Resolved, ResolvedKind, Term, compile},
    time,
};
use analytics_dynamo::MetricTable;
use analytics_http::ApiError;
use analytics_questions::{invalid_fields, unknown};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    body::Body,
    context::{Defining, metrics_of},
    errors, size,
};

/// Different values of a dimension from which on an answer split by it is slow and rarely of use.
const MANY_VALUES: u64 = 1_000;

/// What looking for the names of events, and at the properties that warnings are about, may take of the function's 10 seconds.
const NAMES_TIME: Duration = Duration::from_secs(4);
const FACTS_TIME: Duration = Duration::from_secs(3);

/// A metric as answers show it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Metric")]
pub struct MetricOut {
    pub metric_id: String,
    #[schemars(with = "String")]
    account_id: AccountId,
    #[serde(flatten)]
    definition: Definition,
    built_in: bool,
    pub version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    updated_at: Option<String>,
}

impl MetricOut {
    #[must_use]
    pub fn new(metric: &Metric, metrics: &Metrics, account_id: &AccountId) -> Self {
        let built_in = metrics.is_built_in(&metric.id);
        let when = |moment| (!built_in).then(|| time::format(moment));
        Self {
            metric_id: metric.id.clone(),
            account_id: account_id.to_owned(),
            definition: metric.definition.clone(),
            built_in,
            version: metric.version,
            created_at: when(metric.created_at),
            updated_at: when(metric.updated_at),
        }
    }
}

/// A metric, the meaning of the names in its formula, and warnings.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DefinedMetric")]
pub struct Defined {
    #[serde(flatten)]
    pub metric: MetricOut,
    resolved: Vec<Resolved>,
    warnings: Vec<Warning>,
}

/// The metric of this id.
///
/// # Errors
/// 404 if there is none.
pub fn built_in_or_own<'m>(metrics: &'m Metrics, id: &str) -> Result<&'m Metric, ApiError> {
    metrics.get(id).ok_or_else(|| unknown(id))
}

/// Creates a metric at a time in epoch milliseconds.
///
/// # Errors
/// If the definition makes no sense, is there already, or the stores do not answer.
pub async fn define(
    defining: &Defining,
    account_id: &AccountId,
    body: &Map<String, Value>,
    now: i64,
) -> Result<Defined, ApiError> {
    let Body { definition, metric_id } = Body::read(body, account_id, None).map_err(invalid_fields)?;
    let (metrics, revision) = metrics_of(&defining.table, account_id).await?;
    if metrics.own().len() >= METRICS {
        let detail = format!("an account has at most {METRICS} metrics: delete one first");
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_metrics", detail));
    }
    let pointer = if metric_id.is_some() { "/metricId" } else { "/name" };
    let id = metric_id.unwrap_or_else(|| id_of(&definition.name));
    refuse_taken(&metrics, (&definition.name, &id), pointer, None)?;
    let draft = Draft { id, version: 1, created_at: now, now };
    save(defining, account_id, &metrics, revision, definition, draft).await
}

/// Changes a metric; `version` is the one that the change was made from, if the client says so.
///
/// # Errors
/// As [`define`]; 404, and 412 if the metric is of another version.
pub async fn edit(
    defining: &Defining,
    account_id: &AccountId,
    (id, version): (&str, Option<u64>),
    body: &Map<String, Value>,
    now: i64,
) -> Result<Defined, ApiError> {
    let (metrics, revision) = metrics_of(&defining.table, account_id).await?;
    let metric = own(&metrics, id)?;
    let Body { definition, .. } = Body::read(body, account_id, Some(metric)).map_err(invalid_fields)?;
    check_version(metric, version)?;
    if definition.name != metric.definition.name {
        refuse_taken(&metrics, (&definition.name, id), "/name", Some(id))?;
    }
    let draft = Draft { id: id.to_owned(), version: metric.version + 1, created_at: metric.created_at, now };
    save(defining, account_id, &metrics, revision, definition, draft).await
}

/// Removes a metric.
///
/// # Errors
/// 404; 412 if it is of another version; 409 if another metric uses it, naming each.
pub async fn remove(
    table: &MetricTable,
    account_id: &AccountId,
    id: &str,
    version: Option<u64>,
) -> Result<(), ApiError> {
    let (metrics, revision) = metrics_of(table, account_id).await?;
    let metric = own(&metrics, id)?;
    check_version(metric, version)?;
    let users: Vec<&str> = metrics.users_of(id).into_iter().map(|metric| metric.id.as_str()).collect();
    if !users.is_empty() {
        let detail = format!("{id} stands in the formulas of {}: change or delete those first", users.join(", "));
        return Err(ApiError::new(StatusCode::CONFLICT, "metric_in_use", detail));
    }
    table.delete(account_id, id, revision).await.map_err(errors::table)
}

struct Draft {
    id: String,
    pub version: u64,
    created_at: i64,
    now: i64,
}

async fn save(
    defining: &Defining,
    account_id: &AccountId,
    metrics: &Metrics,
    revision: i64,
    definition: Definition,
    draft: Draft,
) -> Result<Defined, ApiError> {
    let events = timeout(NAMES_TIME, defining.warehouse.event_names(account_id, draft.now))
        .await
        .map_err(|_| ApiError::unavailable("the event store", "no names of events in time"))?
        .map_err(errors::warehouse)?;
    let vocabulary = metrics.vocabulary(events.clone(), Some(&draft.id));
    let (formula, resolved) =
        compile(&definition, &vocabulary).map_err(|problems| invalid_fields(about_names(problems, events.len())))?;
    let metric = Metric {
        id: draft.id,
        definition,
        formula,
        version: draft.version,
        created_at: draft.created_at,
        updated_at: draft.now,
    };
    metrics.check(&metric).map_err(|problem| {
        let pointer =
            if problem.code == "not_additive" || problem.code == "not_a_distribution" { "/type" } else { "/formula" };
        invalid_fields(vec![problem.into_problem(pointer, &metric.definition.formula)])
    })?;
    size::check(metrics, &metric)?;
    let warnings = warnings(defining, account_id, &metric, &resolved, &events, draft.now).await?;
    // Before it is saved, so that nothing is left to fail once it is. A note without a metric is harmless.
    defining.work.ask(account_id, draft.now).await.map_err(errors::table)?;
    defining.table.put(account_id, &metric, revision).await.map_err(errors::table)?;
    let metrics = metrics.with(metric.clone());
    Ok(Defined { metric: MetricOut::new(&metric, &metrics, account_id), resolved, warnings })
}

async fn warnings(
    defining: &Defining,
    account_id: &AccountId,
    metric: &Metric,
    resolved: &[Resolved],
    events: &[String],
    now: i64,
) -> Result<Vec<Warning>, ApiError> {
    let mut warnings = Vec::new();
    let mut names: Vec<&str> =
        resolved.iter().filter(|entry| entry.kind == ResolvedKind::Event).map(|entry| entry.means.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let (come, missing): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| events.iter().any(|event| event == name));
    for name in missing {
        let detail = format!("no event {name} has come in the last 30 days");
        warnings.push(Warning { code: "no_events_yet", detail });
    }
    if come.is_empty() {
        return Ok(warnings);
    }
    let come: Vec<String> = come.into_iter().map(str::to_owned).collect();
    let numbers: Vec<String> = metric
        .formula
        .inputs()
        .into_iter()
        .filter_map(|term| match term {
            Term::Events(input) if !matches!(input.function, Function::Count | Function::Unique) => {
                input.property.clone()
            }
            _ => None,
        })
        .collect();
    let dimensions = &metric.definition.dimensions;
    let paths: Vec<String> = dimensions.iter().chain(&numbers).cloned().collect();
    let Ok(facts) = timeout(FACTS_TIME, defining.warehouse.survey(account_id, &come, &paths, now)).await else {
        tracing::warn!("the properties of events were not looked at in time");
        return Ok(warnings);
    };
    let facts = facts.map_err(errors::warehouse)?;
    for (path, fact) in paths.iter().zip(&facts) {
        if dimensions.contains(path) && fact.values >= MANY_VALUES {
            let detail = format!(
                "{path} had about {} values in the last day: splits by it are slow, and are not kept ready beyond 20,000 \
                 an hour",
                fact.values
            );
            warnings.push(Warning { code: "many_values", detail });
        }
        if numbers.contains(path) && fact.numbers == 0 && fact.texts > 0 {
            let detail = format!("{path} holds text, not numbers: only JSON numbers are aggregated");
            warnings.push(Warning { code: "not_a_number", detail });
        }
        if dimensions.contains(path) && fact.texts == 0 {
            let detail = format!("no event of the last day has {path}");
            warnings.push(Warning { code: "no_values_yet", detail });
        }
    }
    Ok(warnings)
}

fn own<'m>(metrics: &'m Metrics, id: &str) -> Result<&'m Metric, ApiError> {
    if let Some(metric) = metrics.own().iter().find(|metric| metric.id == id) {
        return Ok(metric);
    }
    Err(match metrics.is_built_in(id) {
        true => ApiError::new(
            StatusCode::CONFLICT,
            "built_in",
            format!("{id} is built in and stays as it is: create a metric of your own from its formula"),
        ),
        false => unknown(id),
    })
}

fn check_version(metric: &Metric, version: Option<u64>) -> Result<(), ApiError> {
    match version {
        Some(version) if version != metric.version => Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "version_mismatch",
            format!("{} is at version {} by now: look again and retry", metric.id, metric.version),
        )),
        _ => Ok(()),
    }
}

/// Formulas name a metric by its id or its name: neither may be another's. `pointer` is to what the id was made of.
fn refuse_taken(
    metrics: &Metrics,
    (name, id): (&str, &str),
    pointer: &str,
    except: Option<&str>,
) -> Result<(), ApiError> {
    let is_other = |other: &&Metric| Some(other.id.as_str()) != except;
    let has_id = |other: &&Metric| except.is_none() && (other.id == id || other.definition.name == id);
    let has_name = |other: &&Metric| other.id == name || other.definition.name.to_lowercase() == name.to_lowercase();
    let others = || metrics.all().filter(is_other);
    let taken = others().find(has_name).map(|other| ("/name", other));
    let Some((pointer, other)) = others().find(has_id).map(|other| (pointer, other)).or(taken) else { return Ok(()) };
    let detail = format!("{} ({}) has this name already", other.definition.name, other.id);
    Err(invalid_fields(vec![Problem::new(pointer, "name_taken", detail)]).with_status(StatusCode::CONFLICT))
}

/// A name as it stands in addresses and formulas: letters and digits of any script in lower case, `_` between.
fn id_of(name: &str) -> String {
    let mut id = String::new();
    for character in name.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            id.push(character);
        } else if !id.ends_with('_') && !id.is_empty() {
            id.push('_');
        }
    }
    let id = id.trim_end_matches('_');
    if id.is_empty() || id.starts_with(|character: char| character.is_ascii_digit()) {
        format!("metric_{id}").trim_end_matches('_').to_owned()
    } else {
        id.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_that_formulas_can_hold() {
        assert_eq!(id_of("Message Delivery Rate"), "message_delivery_rate");
        assert_eq!(id_of("  CTR (7d), %  "), "ctr_7d");
        assert_eq!(id_of("点击率"), "点击率");
        assert_eq!(id_of("7-day"), "metric_7_day");
        assert_eq!(id_of("🎉"), "metric");
    }
}
