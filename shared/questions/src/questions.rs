//! Questions as bodies of requests hold them, and why they have no answer.

use analytics_answers::{Ask, AskError, Query, Refusal};
use analytics_domain::{
    account::AccountId,
    event::limits,
    metric::{Definition, Problem, QUERIES, QueryDraft, unknown_field},
    number::Number,
    text::nfc,
};
use analytics_http::ApiError;
use serde_json::{Map, Value};

use crate::errors::{self, invalid_fields};

/// What may stand beside the formula of a single question, for suggestions of the nearest name.
pub(crate) const BESIDE_ONE: [&str; 16] = [
    "metric",
    "queries",
    "funnel",
    "retention",
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

/// A question, and where in the body its queries are.
#[derive(Debug)]
pub struct Questions {
    pub ask: Ask,
    /// The pointer of each query; empty if the body itself is the query.
    pointers: Vec<String>,
}

impl Questions {
    /// Reads a body: the parts of a [`QueryDraft`], and either `formula` (with what else makes up a definition), or `metric`, or a
    /// list `queries` of such.
    ///
    /// # Errors
    /// Names every field that makes no sense.
    pub fn from_json(body: &Map<String, Value>, account_id: &AccountId, now: i64) -> Result<Self, ApiError> {
        let mut problems: Vec<Problem> = other_account(body, account_id).into_iter().collect();
        let (draft, mut rest) = split(body, &mut problems);
        rest.remove("accountId");
        Self::new(draft, &rest, problems, now)
    }

    /// Reads a list such as `queries` is, asked over one window.
    ///
    /// # Errors
    /// As [`Questions::from_json`].
    pub fn of_list(draft: QueryDraft, queries: Vec<Value>, now: i64) -> Result<Self, ApiError> {
        let rest = Map::from_iter([("queries".to_owned(), Value::from(queries))]);
        Self::new(draft, &rest, Vec::new(), now)
    }

    fn new(
        draft: QueryDraft,
        rest: &Map<String, Value>,
        mut problems: Vec<Problem>,
        now: i64,
    ) -> Result<Self, ApiError> {
        let (mut queries, mut pointers) = (Vec::new(), Vec::new());
        let mut add = |pointer: String, found: Result<Query, Vec<Problem>>| match found {
            Ok(query) => {
                queries.push(query);
                pointers.push(pointer);
            }
            Err(found) => problems.extend(found.into_iter().map(|problem| within(&pointer, problem))),
        };
        match rest.get("queries") {
            // A question by itself stands among the parts of its window.
            None => add(String::new(), query(rest, &BESIDE_ONE)),
            Some(Value::Array(queries)) if (1..=QUERIES).contains(&queries.len()) && rest.len() == 1 => {
                for (index, one) in queries.iter().enumerate() {
                    let wrong_type = || vec![Problem::new("", "wrong_type", "must be an object")];
                    let found = one.as_object().ok_or_else(wrong_type).and_then(|one| query(one, &["metric"]));
                    add(format!("/queries/{index}"), found);
                }
            }
            Some(_) => {
                let known = [&Definition::FIELDS[..], &BESIDE_ONE].concat();
                problems.extend(rest.keys().filter_map(|name| unknown_field(name, &known)));
                let detail = format!("must be a list of 1 to {QUERIES} objects, with no formula or metric beside it");
                problems.push(Problem::new("/queries", "invalid_value", detail));
            }
        }
        let window = draft.read(now).map_err(|errors| problems.extend(errors.into_iter().map(field)));
        match window {
            Ok(window) if problems.is_empty() => Ok(Self { ask: Ask { queries, window }, pointers }),
            _ => Err(invalid_fields(problems)),
        }
    }

    /// Why there is no answer, with pointers into the body.
    #[must_use]
    pub fn refused(&self, error: AskError) -> ApiError {
        match error {
            AskError::Queries(refused) => {
                let problems = refused.into_iter().flat_map(|(index, refusal)| {
                    let pointer = self.pointers.get(index).map_or("", String::as_str);
                    problems(refusal).into_iter().map(move |problem| within(pointer, problem))
                });
                invalid_fields(problems.collect())
            }
            AskError::Window(errors) => invalid_fields(errors.into_iter().map(field).collect()),
            other => errors::unanswered(other),
        }
    }
}

/// Why a question about one metric, whose window was read from parameters, has no answer.
#[must_use]
pub fn refused(error: AskError) -> ApiError {
    match error {
        AskError::Queries(mut refused) => match refused.pop() {
            Some((_, Refusal::UnknownMetric(id))) => errors::unknown(&id),
            Some((_, Refusal::Meaningless(problem))) => errors::meaningless(&problem),
            Some((_, Refusal::Invalid(problems))) => invalid_fields(problems),
            None => ApiError::internal("no query is refused"),
        },
        AskError::Window(errors) => ApiError::invalid_parameters(errors),
        other => errors::unanswered(other),
    }
}

pub(crate) fn problems(refusal: Refusal) -> Vec<Problem> {
    match refusal {
        Refusal::Invalid(problems) => problems,
        Refusal::UnknownMetric(id) => {
            let ApiError { code, detail, .. } = errors::unknown(&id);
            vec![Problem::new("/metric", code, detail)]
        }
        Refusal::Meaningless(problem) => vec![Problem::new("/metric", problem.code, problem.message)],
    }
}

fn within(pointer: &str, problem: Problem) -> Problem {
    Problem { pointer: format!("{pointer}{}", problem.pointer), ..problem }
}

/// A problem of a parameter where parameters are fields.
pub(crate) fn field(error: analytics_domain::search::ParameterError) -> Problem {
    Problem::new(format!("/{}", error.parameter), error.code, error.detail)
}

/// Refuses a body that names another account than the token's.
#[must_use]
pub fn other_account(body: &Map<String, Value>, account_id: &AccountId) -> Option<Problem> {
    match body.get("accountId")? {
        Value::Null => None,
        Value::String(id) if id == account_id.as_str() => None,
        Value::String(_) => {
            let detail = "is not the account of the token: leave it out, or use a token of that account";
            Some(Problem::new("/accountId", "account_mismatch", detail))
        }
        _ => Some(Problem::new("/accountId", "wrong_type", "must be a string")),
    }
}

/// Takes the parts of a window out of a body.
pub(crate) fn split(body: &Map<String, Value>, problems: &mut Vec<Problem>) -> (QueryDraft, Map<String, Value>) {
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
                // To JSON, 42.0 is the number 42.
                let text = Number::from_json(number).map_or_else(|| number.to_string(), |number| number.to_string());
                draft.set(name, &text);
            }
            Value::Array(names) if name == "groupBy" && names.iter().all(Value::is_string) => {
                draft.group_by = names.iter().filter_map(Value::as_str).map(|name| nfc(name).into_owned()).collect();
            }
            _ => problems.push(Problem::new(format!("/{name}"), "wrong_type", "must be a string")),
        }
    }
    (draft, rest)
}

fn query(query: &Map<String, Value>, beside: &[&str]) -> Result<Query, Vec<Problem>> {
    let known = [&Definition::FIELDS[..], beside].concat();
    let mut query = query.clone();
    // What is null is absent.
    query.retain(|name, value| !value.is_null() || !known.contains(&name.as_str()));
    if let Some(id) = query.get("metric") {
        let unknown: Vec<Problem> = query.keys().filter_map(|name| unknown_field(name, &known)).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let id = id.as_str().filter(|_| query.len() == 1);
        return id.map(|id| Query::Metric(id.to_owned())).ok_or_else(|| {
            let detail = "must be the id of a metric, without formula and other fields of a definition";
            vec![Problem::new("/metric", "invalid_value", detail)]
        });
    }
    // A formula needs no name and no type of its own.
    let formula = query.get("formula").and_then(Value::as_str).unwrap_or_default();
    let name: String = formula.chars().take(limits::NAME_CHARS.min(100)).collect();
    query.entry("name").or_insert_with(|| Value::from(if name.is_empty() { "formula" } else { &name }));
    query.entry("type").or_insert_with(|| Value::from("gauge"));
    Definition::from_json(&query, beside).map(|definition| Query::Formula(Box::new(definition)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<usize, Vec<(Option<String>, String)>> {
        let body = body.as_object().expect("is an object");
        let questions = Questions::from_json(body, &AccountId::stored("shop"), 1_795_512_600_000);
        let problems = |error: ApiError| error.errors.into_iter().map(|error| (error.pointer, error.code)).collect();
        questions.map(|questions| questions.ask.queries.len()).map_err(problems)
    }

    #[test]
    fn a_number_counts_by_its_value() {
        assert_eq!(read(&json!({"metric": "ctr", "limit": 42.0})), Ok(1));
        let refused = read(&json!({"metric": "ctr", "limit": 42.5})).expect_err("refused");
        assert_eq!(refused, [(Some("/limit".to_owned()), "out_of_range".to_owned())]);
    }

    #[test]
    fn what_is_null_is_absent() {
        assert_eq!(
            read(&json!({"formula": "sent", "type": null, "name": null, "metric": null, "period": null})),
            Ok(1)
        );
        assert_eq!(read(&json!({"metric": "ctr", "formula": null, "unit": null})), Ok(1));
        assert_eq!(
            read(&json!({"queries": [{"formula": "sent", "type": null}, {"metric": "ctr", "name": null}]})),
            Ok(2)
        );
        let unknown = read(&json!({"formula": "sent", "colour": null})).expect_err("refused");
        assert_eq!(unknown, [(Some("/colour".to_owned()), "unknown_field".to_owned())]);
        let none = read(&json!({"formula": null})).expect_err("refused");
        assert_eq!(none, [(Some("/formula".to_owned()), "required".to_owned())]);
        let both = read(&json!({"metric": "ctr", "formula": "sent"})).expect_err("refused");
        assert_eq!(both, [(Some("/metric".to_owned()), "invalid_value".to_owned())]);
    }
}
