//! The service about itself: its health, its documents, its dashboard.

pub mod get_asyncapi;
pub mod get_dashboard;
pub mod get_health;
pub mod get_openapi;
pub mod refuse_route;

use analytics_http::openapi::OpenApi;

/// Describes this package's operations in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document.tag("System", "The state of the service, its documents and its dashboard");
    get_health::describe(document);
    get_openapi::describe(document);
    get_asyncapi::describe(document);
    get_dashboard::describe(document);
}
