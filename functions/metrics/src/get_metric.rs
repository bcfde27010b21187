//! `GET /api/metrics/{id}`: one metric's definition.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Reply, json, openapi::OpenApi, with_version};
use analytics_runtime::Call;

use crate::{
    ABOUT_ID,
    context::metrics_of,
    define::{MetricOut, built_in_or_own},
};

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document
        .operation(Operation::GetMetric, "Get a metric's definition", "A metric of the account, or a built-in metric")
        .id("id", "metric", ABOUT_ID)
        .answer::<MetricOut>(200, "The metric")
        .sends(200, "ETag", "Its version, for If-Match");
}

/// Shows a metric; its version stands in `ETag`.
///
/// # Errors
/// If there is no such metric, or the table does not answer.
pub async fn handle(table: &MetricTable, call: Call) -> Result<Reply, ApiError> {
    let id = call.incoming().path_parameter("id")?;
    let (metrics, _) = metrics_of(table, call.account_id()).await?;
    let metric = built_in_or_own(&metrics, &id)?;
    Ok(with_version(json(&MetricOut::new(metric, &metrics, call.account_id()))?, metric.version))
}
