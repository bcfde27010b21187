//! `POST /api/query`: numbers for formulas that are not stored, several at once.

use analytics_answers::Scope;
use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, json};
use analytics_metrics::{AnswerOut, QuestionApp, Questions};
use lambda_http::Request;
use serde::Serialize;

#[derive(Serialize)]
struct Results<'a> {
    results: Vec<AnswerOut<'a>>,
}

/// Answers each formula over the same time, split and filtered in the same way, in the order in which they came.
///
/// # Errors
/// If the request may not or makes no sense, or a store does not answer.
pub async fn handle(app: &QuestionApp, request: Request) -> Result<Reply, ApiError> {
    let now = (app.now)();
    let principal = app.verifier.authorize(&request, Operation::QueryMetrics, now).await?;
    let body = Incoming::new(&request).object()?;
    let questions = Questions::from_json(&body, &principal.account_id, now)?;
    let scope = Scope::account(&principal.account_id);
    let answers = app.answers.ask_one(&scope, &questions.ask, now).await.map_err(|error| questions.refused(error))?;
    json(&Results { results: answers.iter().map(AnswerOut::from).collect() })
}
