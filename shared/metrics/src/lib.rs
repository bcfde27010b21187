//! What the functions around metrics share: an account's metrics, defining them, and answering questions about them.

mod answer;
mod app;
mod body;
mod csv;
mod define;
mod encode;
mod errors;
mod list;
mod questions;
mod size;
mod warnings;

pub use answer::{Question, answer, answer_all};
pub use app::{App, Known};
pub use csv::csv;
pub use define::{Defined, MetricOut, built_in_or_own, define, edit, remove};
pub use encode::AnswerOut;
pub use errors::invalid_fields;
pub use list::{MetricPage, list};
pub use questions::Questions;
pub use size::{ACCOUNT_BYTES, METRIC_BYTES};
