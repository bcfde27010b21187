//! `GET /api/openapi.json`: the description of this API.

use std::sync::LazyLock;

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Reply, json_bytes, openapi::OpenApi};
use http::{HeaderValue, StatusCode, header};
use lambda_http::Request;
use serde_json::{Map, Value};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

const ABOUT: &str = "Event analytics for Telegram marketing. Send a token with each request, except for the health check, the OpenAPI \
                     and AsyncAPI documents and the dashboard. Everything belongs to the token's account. A `format` that JSON \
                     Schema does not know (formula, filter, path, time-zone, day-or-time and others) stands for rules that a \
                     schema cannot state: see `docs/api`. If a request breaks a rule, `detail` says how to correct it.";

/// The whole document: what each package says of its functions.
#[must_use]
pub fn document() -> Value {
    let mut document = OpenApi::default();
    ingest::describe(&mut document);
    search::describe(&mut document);
    metrics::describe(&mut document);
    super::describe(&mut document);
    document.finish("Analytics", env!("CARGO_PKG_VERSION"), ABOUT)
}

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document
        .operation(Operation::GetOpenapi, "Get this document", "The routes and shapes of the HTTP API, as OpenAPI 3.1")
        .answer::<Map<String, Value>>(200, "An OpenAPI document");
}

/// Answers with the OpenAPI document.
///
/// # Errors
/// Never.
pub async fn handle(_: &(), _: Request) -> Result<Reply, ApiError> {
    let mut reply = json_bytes(StatusCode::OK, DOCUMENT.clone());
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use analytics_domain::access::named_routes;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_has_its_target() {
        let document = document();
        let mut ids = BTreeSet::new();
        for route in named_routes() {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            assert_eq!(operation["operationId"], route.operation.id());
            assert!(ids.insert(route.operation.id()), "{}", route.operation.id());
            let answers = operation["responses"].as_object().expect("there are answers");
            assert!(answers.keys().any(|status| status.starts_with('2')), "{}", route.operation.id());
        }
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
