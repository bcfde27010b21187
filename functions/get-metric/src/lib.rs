//! `GET /api/metrics/{id}`: one metric's definition.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, json, with_version};
use analytics_metrics::{App, MetricOut, built_in_or_own};
use lambda_http::Request;

/// Shows a metric; its version stands in `ETag`.
///
/// # Errors
/// If the request may not, there is no such metric, or the table does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let principal = app.verifier.authorize(&request, Operation::GetMetric, (app.now)()).await?;
    let id = Incoming::new(&request).path_parameter("id")?;
    let (metrics, _) = app.metrics(&principal.account_id).await?;
    let metric = built_in_or_own(&metrics, &id)?;
    Ok(with_version(json(&MetricOut::new(metric, &metrics, &principal.account_id))?, metric.version))
}
