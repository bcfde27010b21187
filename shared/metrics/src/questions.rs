//! What is asked: a metric by its id, or formulas in a body.

use analytics_domain::{
    event::limits,
    metric::{
        Definition, Metrics, Problem, QUERIES, Query, QueryDraft, ResolvedKind, check_kind, compile, unknown_field,
    },
    text::nfc,
};
use analytics_http::ApiError;
use serde_json::{Map, Value};
use tokio::time::timeout_at;

use crate::{
    App, Known,
    answer::Question,
    body::other_account,
    errors::{self, invalid_fields, meaningless},
};

impl Question {
    /// About a stored or built-in metric.
    ///
    /// # Errors
    /// 404 if there is none; 422 if its formula has lost its meaning.
    pub fn of_metric(metrics: &Metrics, id: &str) -> Result<Self, ApiError> {
        let metric = metrics.get(id).ok_or_else(|| errors::unknown(id))?;
        Ok(Self {
            metric_id: Some(metric.id.clone()),
            name: metric.definition.name.clone(),
            kind: metric.definition.kind,
            unit: metric.definition.unit.clone(),
            formula: metrics.expand(&metric.formula).map_err(|problem| meaningless(&problem))?,
        })
    }
}

/// What may stand beside the formula of a single question, for suggestions of the nearest name.
const BESIDE_ONE: [&str; 14] = [
    "metric",
    "queries",
    "accountId",
    "from",
    "to",
    "period",
    "interval",
    "timezone",
    "groupBy",
    "filter",
    "compare",
    "limit",
    "orderBy",
    "currency",
];

/// Several questions about the same time.
pub struct Questions {
    pub questions: Vec<Question>,
    pub query: Query,
    pub known: Known,
}

impl Questions {
    /// Reads a body: the parts of a [`QueryDraft`], and either `formula` (with what else makes up a definition), or
    /// `metric`, or a list `queries` of such.
    ///
    /// # Errors
    /// Names every field that makes no sense.
    pub async fn from_json(app: &App, account_id: &str, body: &Map<String, Value>, now: i64) -> Result<Self, ApiError> {
        let mut problems: Vec<Problem> = other_account(body, account_id).into_iter().collect();
        let (draft, mut rest) = split(body, &mut problems);
        rest.remove("accountId");
        Self::new(app, account_id, draft, rest, problems, now).await
    }

    /// Of a range, and a list such as `queries` is.
    ///
    /// # Errors
    /// As [`Questions::from_json`].
    pub async fn of_list(
        app: &App,
        account_id: &str,
        draft: QueryDraft,
        queries: Vec<Value>,
        now: i64,
    ) -> Result<Self, ApiError> {
        let rest = Map::from_iter([("queries".to_owned(), Value::from(queries))]);
        Self::new(app, account_id, draft, rest, Vec::new(), now).await
    }

    async fn new(
        app: &App,
        account_id: &str,
        draft: QueryDraft,
        rest: Map<String, Value>,
        mut problems: Vec<Problem>,
        now: i64,
    ) -> Result<Self, ApiError> {
        let asked: Vec<(String, Map<String, Value>)> = match rest.get("queries") {
            None => vec![(String::new(), rest)],
            Some(Value::Array(queries)) if (1..=QUERIES).contains(&queries.len()) && rest.len() == 1 => {
                let place = |(at, query): (usize, &Value)| {
                    let pointer = format!("/queries/{at}");
                    match query {
                        Value::Object(query) => Some((pointer, query.clone())),
                        _ => {
                            problems.push(Problem::new(pointer, "wrong_type", "must be an object"));
                            None
                        }
                    }
                };
                queries.iter().enumerate().filter_map(place).collect()
            }
            Some(_) => {
                let known = [&Definition::FIELDS[..], &BESIDE_ONE].concat();
                problems.extend(rest.keys().filter_map(|name| unknown_field(name, &known)));
                let detail = format!("must be a list of 1 to {QUERIES} objects, with no formula or metric beside it");
                problems.push(Problem::new("/queries", "invalid_value", detail));
                Vec::new()
            }
        };
        let query = draft.settle_of(asked.len(), now, app.retention_days).map_err(|errors| {
            problems.extend(
                errors.into_iter().map(|error| Problem::new(format!("/{}", error.parameter), error.code, error.detail)),
            );
        });
        let Ok(query) = query else { return Err(invalid_fields(problems)) };
        if !problems.is_empty() {
            return Err(invalid_fields(problems));
        }
        let known = app.known(account_id, None, &query, now).await?;
        let compile = |events| {
            let vocabulary = known.metrics.vocabulary(events, None);
            let of = |(pointer, query): &(String, _)| {
                // A question by itself stands among the parts of the time that it is about.
                let beside = if pointer.is_empty() { &BESIDE_ONE[..] } else { &["metric"] };
                question(query, beside, &known.metrics, &vocabulary)
            };
            asked.iter().map(of).collect::<Vec<_>>()
        };
        let mut events = Vec::new();
        let mut found = compile(Vec::new());
        // Which events have come matters only where names are not those of events and metrics as they stand.
        if !found.iter().all(|one| one.as_ref().is_ok_and(|(_, is_exact)| *is_exact)) {
            let names = timeout_at(known.deadline, app.warehouse.event_names(account_id, now)).await;
            events = names.map_err(|_| errors::no_time())?.map_err(errors::warehouse)?;
            found = compile(events.clone());
        }
        let mut questions = Vec::new();
        for ((pointer, _), found) in asked.iter().zip(found) {
            match found {
                Ok((question, _)) => questions.push(question),
                Err(found) => problems.extend(
                    errors::about_names(found, &events)
                        .into_iter()
                        .map(|problem| Problem { pointer: format!("{pointer}{}", problem.pointer), ..problem }),
                ),
            }
        }
        if problems.is_empty() { Ok(Self { questions, query, known }) } else { Err(invalid_fields(problems)) }
    }
}

/// Takes the parts of a query out of a body.
fn split(body: &Map<String, Value>, problems: &mut Vec<Problem>) -> (QueryDraft, Map<String, Value>) {
    let mut draft = QueryDraft::default();
    let mut rest = Map::new();
    for (name, value) in body {
        if !QueryDraft::NAMES.contains(&name.as_str()) {
            rest.insert(name.clone(), value.clone());
            continue;
        }
        match value {
            Value::Null => {}
            Value::String(text) => drop(draft.set(name, text)),
            Value::Number(number) if matches!(name.as_str(), "from" | "to" | "limit") => {
                draft.set(name, &number.to_string());
            }
            Value::Array(names) if name == "groupBy" && names.iter().all(Value::is_string) => {
                draft.group_by = names.iter().filter_map(Value::as_str).map(|name| nfc(name).into_owned()).collect();
            }
            _ => problems.push(Problem::new(format!("/{name}"), "wrong_type", "must be a string")),
        }
    }
    (draft, rest)
}

/// What is asked, and whether each name in it is that of a metric or an event as it stands.
fn question(
    query: &Map<String, Value>,
    beside: &[&str],
    metrics: &Metrics,
    vocabulary: &analytics_domain::metric::Vocabulary,
) -> Result<(Question, bool), Vec<Problem>> {
    if let Some(id) = query.get("metric") {
        let known = [&Definition::FIELDS[..], beside].concat();
        let unknown: Vec<Problem> = query.keys().filter_map(|name| unknown_field(name, &known)).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let id = id.as_str().filter(|_| query.len() == 1);
        let Some(id) = id else {
            let detail = "must be the id of a metric, without formula and other fields of a definition";
            return Err(vec![Problem::new("/metric", "invalid_value", detail)]);
        };
        return Question::of_metric(metrics, id)
            .map(|question| (question, true))
            .map_err(|error| vec![Problem::new("/metric", error.code, error.detail)]);
    }
    // A formula needs no name and no type of its own.
    let mut definition = query.clone();
    let formula = query.get("formula").and_then(Value::as_str).unwrap_or_default();
    let name: String = formula.chars().take(limits::NAME_CHARS.min(100)).collect();
    definition.entry("name").or_insert_with(|| Value::from(if name.is_empty() { "formula" } else { &name }));
    definition.entry("type").or_insert_with(|| Value::from("gauge"));
    let definition = Definition::from_json(&definition, beside)?;
    let (formula, resolved) = compile(&definition, vocabulary)?;
    let is_exact = resolved.iter().all(|one| one.kind == ResolvedKind::Metric || one.name == one.means);
    let problem =
        |problem: analytics_domain::metric::Meaningless| vec![problem.into_problem("/formula", &definition.formula)];
    let formula = metrics.expand(&formula).map_err(problem)?;
    check_kind(&formula, definition.kind).map_err(problem)?;
    let Definition { name, kind, unit, .. } = definition;
    Ok((Question { metric_id: None, name, kind, unit, formula }, is_exact))
}
