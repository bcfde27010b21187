//! Errors of domain and adapters as answers.

use analytics_domain::metric::{Meaningless, Problem};
use analytics_dynamo::TableError;
use analytics_http::{ApiError, FieldError};
use analytics_warehouse::{WarehouseError, metric::EVENT_NAMES};
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

/// Problems with names, where not all names of events were known: says so.
#[must_use]
pub(crate) fn about_names(mut problems: Vec<Problem>, events: &[String]) -> Vec<Problem> {
    if events.len() >= EVENT_NAMES {
        for problem in problems.iter_mut().filter(|problem| problem.code == "unknown_name") {
            problem.detail += ". The account sends more names than formulas are read with: of the last 30 days, the ";
            problem.detail += &format!("{EVENT_NAMES} that came last are known, and any other stands in quotes");
        }
    }
    problems
}

/// 422 for a formula that has no meaning any more: a metric in it is gone or has changed.
pub(crate) fn meaningless(problem: &Meaningless) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem.code, problem.message.clone())
}

pub(crate) fn unknown(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no metric {id}"))
}

pub(crate) fn table(error: TableError) -> ApiError {
    match error {
        TableError::Unavailable(cause) => ApiError::unavailable("the table of metrics", cause),
        TableError::Conflict => ApiError::new(
            StatusCode::CONFLICT,
            "conflict",
            "somebody else has changed metrics at the same time: look again and retry",
        ),
        TableError::Corrupt(cause) => ApiError::internal(cause),
    }
}

pub(crate) fn warehouse(error: WarehouseError) -> ApiError {
    match error {
        WarehouseError::OverLimits(cause) => too_large(cause),
        WarehouseError::Unavailable(cause) | WarehouseError::TimedOut(cause) | WarehouseError::Unfit(cause) => {
            ApiError::unavailable("the event store", cause)
        }
        WarehouseError::Refused(_) | WarehouseError::InvalidRows(_) | WarehouseError::InvalidCursor => {
            ApiError::internal(error)
        }
    }
}

/// For a question that has taken all the time that one may.
pub(crate) fn no_time() -> ApiError {
    too_large("the time of one question is up".to_owned())
}

/// For a split by a property with more values than can be ranked.
pub(crate) fn too_many_groups(most: usize) -> ApiError {
    let detail = format!(
        "the question makes more than {most} groups: narrow it by a filter or a shorter range, or split by a property with fewer \
         values"
    );
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail)
}

fn too_large(cause: String) -> ApiError {
    let detail = "the answer takes more than one may: take a shorter range, a longer interval, fewer dimensions in groupBy, \
                  fewer formulas, or properties among the metric's dimensions";
    let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail);
    ApiError { cause: Some(cause), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_says_so_where_not_all_names_are_known() {
        let problems =
            || vec![Problem::new("/formula", "unknown_name", "no event"), Problem::new("/name", "required", "x")];
        let known: Vec<String> = (0..EVENT_NAMES).map(|number| number.to_string()).collect();
        let told = about_names(problems(), &known);
        assert!(told[0].detail.contains("2000 that came last") && told[0].detail.contains("quotes"), "{told:?}");
        assert_eq!(told[1].detail, "x");
        assert_eq!(about_names(problems(), &known[1..]), problems());
    }
}
