//! `GET /api/metrics`: the account's metrics and the built-in ones.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, json};
use analytics_metrics::{App, MetricOut};
use lambda_http::Request;
use serde::Serialize;

#[derive(Serialize)]
struct Metrics {
    metrics: Vec<MetricOut>,
}

/// Lists all metrics, the account's own first. There are at most 518, so they come in one page.
///
/// # Errors
/// If the request may not, or the table does not answer.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ApiError> {
    let principal = app.verifier.authorize(&request, Operation::ListMetrics, (app.now)()).await?;
    Incoming::new(&request).no_parameters()?;
    let (metrics, _) = app.metrics(&principal.account_id).await?;
    json(&Metrics { metrics: metrics.all().map(|metric| MetricOut::new(metric, &metrics)).collect() })
}
