//! `DELETE /api/metrics/{id}`: deletes a metric.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Reply, no_content, openapi::Document};
use analytics_runtime::Call;

use crate::{ABOUT_ID, define::remove};

/// What the API's document says of it.
pub fn describe(document: &mut Document) {
    document
        .operation(Operation::DeleteMetric, "Delete a metric", "One that no other metric uses")
        .id("id", "metric", ABOUT_ID)
        .if_match()
        .empty(204, "It is gone");
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
