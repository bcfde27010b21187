//! Successful answers.

use http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;

use crate::{ApiError, serve::Reply};

/// 200 with this value as JSON.
///
/// # Errors
/// If the value does not serialise, which is our mistake.
pub fn json(value: &impl Serialize) -> Result<Reply, ApiError> {
    serde_json::to_string(value).map(|body| json_bytes(StatusCode::OK, body)).map_err(ApiError::internal)
}

/// 202 with this value as JSON.
///
/// # Errors
/// As [`json`].
pub fn accepted(value: &impl Serialize) -> Result<Reply, ApiError> {
    serde_json::to_string(value).map(|body| json_bytes(StatusCode::ACCEPTED, body)).map_err(ApiError::internal)
}

/// JSON that is already text.
#[must_use]
pub fn json_bytes(status: StatusCode, body: String) -> Reply {
    let mut reply = Response::new(Body::Text(body));
    *reply.status_mut() = status;
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
