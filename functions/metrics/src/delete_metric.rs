//! `DELETE /api/metrics/{id}`: deletes a metric.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Reply, no_content, openapi::OpenApi};
use analytics_runtime::Call;

use crate::{ABOUT_ID, define::remove};

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document
        .operation(
            Operation::DeleteMetric,
            "Delete a metric",
            "Deletes a metric of the account. A metric that another metric uses is not deleted",
        )
        .id("id", "metric", ABOUT_ID)
        .if_match()
        .empty(204, "The metric is deleted");
}

/// Deletes a metric, of the version in `If-Match` if there is one, that no other metric uses.
///
/// # Errors
/// If there is no such metric, it is in use or of another version, or the table does not answer.
pub async fn handle(table: &MetricTable, call: Call) -> Result<Reply, ApiError> {
    let incoming = call.incoming();
    let (id, version) = (incoming.path_parameter("id")?, incoming.if_match()?);
    remove(table, call.account_id(), &id, version).await?;
    Ok(no_content())
}
