//! `POST /api/metrics`: a new metric.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, created};
use analytics_metrics::{App, define};
use lambda_http::Request;

/// Creates a metric and says what the names in its formula mean.
///
/// # Errors
/// If the request may not, the definition makes no sense or its name is taken, or a store does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let principal = app.verifier.authorize(&request, Operation::CreateMetric, (app.now)()).await?;
    let body = Incoming::new(&request).object()?;
    let defined = define(app, &principal.account_id, &body).await?;
    let place = format!("/api/metrics/{}", defined.metric.metric_id);
    created(&defined, &place, defined.metric.version)
}
