//! `PUT /api/metrics/{id}`: another definition for a metric.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, json, with_version};
use analytics_metrics::{App, edit};
use lambda_http::Request;

/// Replaces a definition, of the version in `If-Match` if there is one. The metrics that use it follow.
///
/// # Errors
/// If the request may not, there is no such metric or it is of another version, the definition makes no sense, or a store
/// does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let principal = app.verifier.authorize(&request, Operation::UpdateMetric, (app.now)()).await?;
    let incoming = Incoming::new(&request);
    let (id, version, body) = (incoming.path_parameter("id")?, incoming.if_match()?, incoming.object()?);
    let defined = edit(app, &principal.account_id, &id, version, &body).await?;
    Ok(with_version(json(&defined)?, defined.metric.version))
}
