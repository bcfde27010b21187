//! `GET /api/metrics`: the account's metrics and the built-in ones.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, json};
use analytics_metrics::{App, list};
use lambda_http::Request;

/// Lists a page of metrics, the account's own first.
///
/// # Errors
/// If the request may not or makes no sense, or the table does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let principal = app.verifier.authorize(&request, Operation::ListMetrics, (app.now)()).await?;
    let parameters = Incoming::new(&request).query();
    let (metrics, _) = app.metrics(&principal.account_id).await?;
    json(&list(&metrics, &principal.account_id, &parameters)?)
}
