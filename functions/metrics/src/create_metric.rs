//! `POST /api/metrics`: a new metric.

use analytics_domain::{access::Operation, metric::METRICS};
use analytics_http::{ApiError, Reply, created, openapi::OpenApi};
use analytics_runtime::Call;

use crate::{
    Defining,
    define::{Defined, define},
    schema::MetricDefinition,
};

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let description = format!(
        "An account has at most {METRICS} metrics. A metricId in the body becomes the id, if no other metric has it."
    );
    document
        .operation(Operation::CreateMetric, "Define a metric", &description)
        .body::<MetricDefinition>()
        .refusal(409, "Another metric has this name or id, or metrics were changed at the same time: see `code`")
        .answer::<Defined>(201, "The metric, what the names in its formula mean, and what may surprise")
        .sends(201, "Location", "Path of the new metric")
        .sends(201, "ETag", "Its version, for If-Match");
}

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
