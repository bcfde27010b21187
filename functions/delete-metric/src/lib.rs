//! `DELETE /api/metrics/{id}`: a metric goes.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, no_content};
use analytics_metrics::{App, remove};
use lambda_http::Request;

/// Deletes a metric, of the version in `If-Match` if there is one, that no other metric uses.
///
/// # Errors
/// If the request may not, there is no such metric, it is in use or of another version, or the table does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let principal = app.verifier.authorize(&request, Operation::DeleteMetric, (app.now)()).await?;
    let incoming = Incoming::new(&request);
    let (id, version) = (incoming.path_parameter("id")?, incoming.if_match()?);
    remove(app, &principal.account_id, &id, version).await?;
    Ok(no_content())
}
