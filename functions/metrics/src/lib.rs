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
mod size;
pub mod update_metric;

pub use context::Defining;
