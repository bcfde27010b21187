//! `GET /api/metrics/{id}/data`: a metric's numbers over time.

use analytics_answers::{Answers, Ask, Query, Scope};
use analytics_domain::{access::Operation, metric::QueryDraft, search::ParameterError};
use analytics_http::{ApiError, Reply, csv as csv_reply, json, openapi::OpenApi};
use analytics_questions::{AnswerOut, csv, refused};
use analytics_runtime::Call;

use crate::{ABOUT_ID, schema::Parameters};

/// How the answer is written.
enum Format {
    Json,
    Csv,
}

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let description = "Complete buckets are read from rollups, the rest from events. The numbers are the same: `source` says which were \
                       read.";
    document
        .operation(Operation::GetMetricData, "Get a metric's numbers over time", description)
        .id("id", "metric", ABOUT_ID)
        .query::<Parameters>()
        .answer::<AnswerOut<'_>>(200, "The numbers")
        .file(200, "The numbers", "text/csv");
}

/// Answers for a stored or built-in metric.
///
/// # Errors
/// If the request makes no sense, there is no such metric, or a store does not answer.
pub async fn handle(answers: &Answers, call: Call) -> Result<Reply, ApiError> {
    let incoming = call.incoming();
    let id = incoming.path_parameter("id")?;
    let (draft, format) = read(&incoming.query()).map_err(ApiError::invalid_parameters)?;
    let window = draft.read(call.now).map_err(ApiError::invalid_parameters)?;
    let ask = Ask { queries: vec![Query::Metric(id.clone())], window };
    let answers = answers.ask_one(&Scope::account(call.account_id()), &ask, call.now).await.map_err(refused)?;
    let answer = answers.first().ok_or_else(|| ApiError::internal("a query without an answer"))?;
    match format {
        Format::Json => json(&AnswerOut::from(answer)),
        Format::Csv => Ok(csv_reply(csv(answer), &id)),
    }
}

fn read(parameters: &[(String, String)]) -> Result<(QueryDraft, Format), Vec<ParameterError>> {
    let (mut draft, mut format, mut errors) = (QueryDraft::default(), Format::Json, Vec::new());
    for (name, value) in parameters {
        match (name.as_str(), value.as_str()) {
            ("format", "csv") => format = Format::Csv,
            ("format", "json") => format = Format::Json,
            ("format", _) => errors.push(ParameterError::new(name, "invalid_value", "must be json or csv")),
            _ if draft.set(name, value) => {}
            _ => {
                let known = QueryDraft::NAMES.join(", ");
                errors.push(ParameterError::new(name, "unknown_parameter", format!("is not one of {known}, format")));
            }
        }
    }
    if errors.is_empty() { Ok((draft, format)) } else { Err(errors) }
}
