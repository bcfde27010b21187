//! `GET /api/openapi.json`: the description of this API.

use std::sync::LazyLock;

use analytics_http::{ApiError, Reply, json_bytes, openapi};
use http::{HeaderValue, StatusCode, header};
use lambda_http::Request;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());

/// Answers with the OpenAPI document.
///
/// # Errors
/// Never.
pub async fn handle(_: &(), _: Request) -> Result<Reply, ApiError> {
    let mut reply = json_bytes(StatusCode::OK, DOCUMENT.clone());
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(reply)
}
