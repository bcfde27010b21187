//! `GET /api/metrics`: the account's metrics and the built-in ones.

use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Reply, json};
use analytics_runtime::Call;

use crate::{context::metrics_of, list::list};

/// Lists a page of metrics, the account's own first.
///
/// # Errors
/// If the request makes no sense, or the table does not answer.
pub async fn handle(table: &MetricTable, call: Call) -> Result<Reply, ApiError> {
    let parameters = call.incoming().query();
    let (metrics, _) = metrics_of(table, call.account_id()).await?;
    json(&list(&metrics, call.account_id(), &parameters)?)
}
