//! Errors of domain and adapters as answers.

use analytics_answers::AskError;
use analytics_domain::metric::{Meaningless, Problem};
use analytics_http::{ApiError, FieldError};
use http::StatusCode;

/// 422 for fields of a body.
#[must_use]
pub fn invalid_fields(problems: Vec<Problem>) -> ApiError {
    let errors = problems.into_iter().map(|problem| FieldError {
        index: None,
        code: problem.code.to_owned(),
        pointer: Some(problem.pointer),
        parameter: None,
        detail: problem.detail,
    });
    ApiError::invalid("some fields are invalid: see errors", errors.collect())
}

/// 422 for a formula that has no meaning any more: a metric in it is gone or has changed.
#[must_use]
pub fn meaningless(problem: &Meaningless) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem.code, problem.message.clone())
}

/// 404 for a metric.
#[must_use]
pub fn unknown(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no metric {id}"))
}

/// For a question that no store has answered, or whose answer is too large.
#[must_use]
pub fn unanswered(error: AskError) -> ApiError {
    match error {
        AskError::TooLarge { how, cause } => {
            let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", how);
            ApiError { cause: Some(cause), ..error }
        }
        AskError::Unavailable { what, cause } => ApiError::unavailable(what, cause),
        AskError::Broken(_) | AskError::Queries(_) | AskError::Window(_) => ApiError::internal(error),
    }
}
