//! `GET /api/metrics`: the account's metrics and the built-in ones.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Reply, json, openapi::OpenApi};
use analytics_runtime::Call;

use crate::{
    context::metrics_of,
    list::{MetricPage, Parameters, list},
};

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let (summary, description) = ("List metrics", "The account's own, then the built-in ones");
    document
        .operation(Operation::ListMetrics, summary, description)
        .query::<Parameters>()
        .refusal(400, "No list of metrics has returned this cursor")
        .answer::<MetricPage>(200, "A page of metrics");
}

/// Lists a page of metrics, the account's own first.
///
/// # Errors
/// If the request makes no sense, or the table does not answer.
pub async fn handle(table: &MetricTable, call: Call) -> Result<Reply, ApiError> {
    let parameters = call.incoming().query();
    let (metrics, _) = metrics_of(table, call.account_id()).await?;
    json(&list(&metrics, call.account_id(), &parameters)?)
}
