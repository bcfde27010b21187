//! Metrics: defined, answered, and kept ready by rollups.

mod body;
mod context;
pub mod create_metric;
mod define;
pub mod delete_metric;
mod errors;
pub mod get_metric;
pub mod get_metric_data;
mod list;
pub mod list_metrics;
pub mod query_metrics;
pub mod rollup_metrics;
mod schema;
mod size;
pub mod update_metric;

use analytics_http::openapi::OpenApi;

/// What the document says of a metric's id in a path.
const ABOUT_ID: &str = "Id of a metric, such as delivery_rate";
pub use context::Defining;

/// Describes this package's operations in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document.tag("Metrics", "Define metrics, and get their numbers");
    list_metrics::describe(document);
    create_metric::describe(document);
    get_metric::describe(document);
    update_metric::describe(document);
    delete_metric::describe(document);
    get_metric_data::describe(document);
    query_metrics::describe(document);
}
