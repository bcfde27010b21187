//! What the functions around metrics share: an account's metrics, defining them, and questions and answers as JSON and CSV.

mod body;
mod context;
mod csv;
mod define;
mod encode;
mod errors;
mod list;
mod questions;
mod size;

pub use context::{Defining, metrics_of};
pub use csv::csv;
pub use define::{Defined, MetricOut, built_in_or_own, define, edit, remove};
pub use encode::{AnswerOut, SeriesOut};
pub use errors::invalid_fields;
pub use list::{MetricPage, list};
pub use questions::{Questions, refused};
pub use size::{ACCOUNT_BYTES, METRIC_BYTES};
