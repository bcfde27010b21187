//! `PUT /api/metrics/{id}`: another definition for a metric.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Reply, json, openapi::OpenApi, with_version};
use analytics_runtime::Call;

use crate::{
    ABOUT_ID, Defining,
    define::{Defined, edit},
    schema::MetricDefinition,
};

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let description = "Takes what GET returns. metricId and createdAt, if sent, must be unchanged; accountId, if sent, must be the token's \
                       account.";
    document
        .operation(Operation::UpdateMetric, "Replace a metric's definition", description)
        .id("id", "metric", ABOUT_ID)
        .if_match()
        .body::<MetricDefinition>()
        .answer::<Defined>(200, "The metric as it is now")
        .sends(200, "ETag", "Its version, for If-Match");
}

/// Replaces a definition, of the version in `If-Match` if there is one. The metrics that use it follow.
///
/// # Errors
/// If there is no such metric or it is of another version, the definition makes no sense, or a store
/// does not answer.
pub async fn handle(defining: &Defining, call: Call) -> Result<Reply, ApiError> {
    let incoming = call.incoming();
    let (id, version, body) = (incoming.path_parameter("id")?, incoming.if_match()?, incoming.object()?);
    let defined = edit(defining, call.account_id(), (&id, version), &body, call.now).await?;
    Ok(with_version(json(&defined)?, defined.metric.version))
}
