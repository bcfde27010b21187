//! Errors of the stores as answers.

use analytics_dynamo::TableError;
use analytics_http::ApiError;
use analytics_questions::unanswered;
use analytics_warehouse::WarehouseError;
use http::StatusCode;

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

/// For facts about events that a definition is checked by.
pub(crate) fn warehouse(error: WarehouseError) -> ApiError {
    unanswered(error.into())
}
