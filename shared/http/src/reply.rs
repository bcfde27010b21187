//! Successful answers.

use http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::{ApiError, Reply};

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

/// 201 with this value as JSON, where it is found from now on, and its version.
///
/// # Errors
/// As [`json`].
pub fn created(value: &impl Serialize, place: &str, version: u64) -> Result<Reply, ApiError> {
    let body = serde_json::to_string(value).map_err(ApiError::internal)?;
    let mut reply = json_bytes(StatusCode::CREATED, body);
    // A place holds letters of any script, which a header may not.
    if let Ok(place) = HeaderValue::from_str(&percent_encoded(place)) {
        reply.headers_mut().insert(header::LOCATION, place);
    }
    Ok(with_version(reply, version))
}

/// The same with a version in `ETag`, for a later `If-Match`.
#[must_use]
pub fn with_version(mut reply: Reply, version: u64) -> Reply {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        reply.headers_mut().insert(header::ETAG, tag);
    }
    reply
}

/// 204.
#[must_use]
pub fn no_content() -> Reply {
    let mut reply = Response::new(Body::Empty);
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// 200 with a table, to be saved under a name.
#[must_use]
pub fn csv(table: String, name: &str) -> Reply {
    let mut reply = Response::new(Body::Text(table));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let disposition = format!("attachment; filename*=UTF-8''{}.csv", percent_encoded(name));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    reply
}

/// All but letters, digits, `-._~` and `/`, as in RFC 3986.
fn percent_encoded(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    utf8_percent_encode(text, KEPT).to_string()
}
