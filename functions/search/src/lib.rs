//! Events out.

pub mod search_events;

use analytics_http::openapi::OpenApi;

/// Describes this package's operations in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    search_events::describe(document);
}
