//! `POST /api/metrics`: a new metric.

use analytics_http::{ApiError, Reply, created};
use analytics_runtime::Call;

use crate::{Defining, define::define};

/// Creates a metric and says what the names in its formula mean.
///
/// # Errors
/// If the definition makes no sense or its name is taken, or a store does not answer.
pub async fn handle(defining: &Defining, call: Call) -> Result<Reply, ApiError> {
    let body = call.incoming().object()?;
    let defined = define(defining, call.account_id(), &body, call.now).await?;
    let place = format!("/api/metrics/{}", defined.metric.metric_id);
    created(&defined, &place, defined.metric.version)
}
