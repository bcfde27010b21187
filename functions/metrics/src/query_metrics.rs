//! `POST /api/query`: numbers for formulas that are not stored, several at once.

use analytics_answers::{Answers, Scope};
use analytics_domain::access::Operation;
use analytics_http::{ApiError, Reply, json, openapi::OpenApi};
use analytics_questions::{AnswerOut, PeopleOut, PeopleQuestion, Questions};
use analytics_runtime::Call;
use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::MetricQuery;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MetricResults")]
struct Results<'a> {
    results: Vec<ResultOut<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum ResultOut<'a> {
    Numbers(AnswerOut<'a>),
    People(PeopleOut<'a>),
}

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let description = "Send `formula` with any other fields of a definition, or `metric` with an id, or `queries` with a list of both. Or send \
                       `funnel` or `retention` for what people do one after another";
    document
        .operation(Operation::QueryMetrics, "Get numbers for formulas and metrics", description)
        .body::<MetricQuery>()
        .answer::<Results<'_>>(200, "An answer for each, in order; of a funnel or retention one");
}

/// Answers each formula over the same time, split and filtered in the same way, in the order in which they came.
///
/// # Errors
/// If the request makes no sense, or a store does not answer.
pub async fn handle(answers: &Answers, call: Call) -> Result<Reply, ApiError> {
    let body = call.incoming().object()?;
    if let Some(question) = PeopleQuestion::from_json(&body, call.account_id(), call.now) {
        let question = question?;
        let scope = Scope::account(call.account_id());
        let answer = answers.ask_people(&scope, &question.people, &question.window, call.now).await;
        let answer = answer.map_err(|error| question.refused(error))?;
        return json(&Results { results: vec![ResultOut::People(PeopleOut::new(&question, &answer))] });
    }
    let questions = Questions::from_json(&body, call.account_id(), call.now)?;
    let scope = Scope::account(call.account_id());
    let answers = answers.ask_one(&scope, &questions.ask, call.now).await.map_err(|error| questions.refused(error))?;
    let results = answers.iter().map(AnswerOut::from).map(ResultOut::Numbers).collect();
    json(&Results { results })
}
