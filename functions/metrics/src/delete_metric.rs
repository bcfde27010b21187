//! `DELETE /api/metrics/{id}`: deletes a metric.

use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Reply, no_content};
use analytics_runtime::Call;

use crate::define::remove;

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
