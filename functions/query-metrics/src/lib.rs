//! `POST /api/query`: numbers for formulas that are not stored, several at once.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, json};
use analytics_metrics::{AnswerOut, App, Questions, answer_all};
use lambda_http::Request;
use serde::Serialize;

#[derive(Serialize)]
struct Results {
    results: Vec<AnswerOut>,
}

/// Answers each formula over the same time, split and filtered in the same way, in the order in which they came.
///
/// # Errors
/// If the request may not or makes no sense, or a store does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let now = (app.now)();
    let principal = app.verifier.authorize(&request, Operation::QueryMetrics, now).await?;
    let body = Incoming::new(&request).object()?;
    let Questions { questions, query, known } = Questions::from_json(app, &principal.account_id, &body, now).await?;
    json(&Results { results: answer_all(app, &principal.account_id, &known, &questions, &query).await? })
}
