//! `PUT /api/metrics/{id}`: another definition for a metric.

use analytics_http::{ApiError, Reply, json, with_version};
use analytics_runtime::Call;

use crate::{Defining, define::edit};

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
