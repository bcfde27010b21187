//! What the functions around metrics share: an account's metrics, defining them, and answering questions about them.

mod answer;
mod app;
mod csv;
mod define;
mod errors;
mod questions;

pub use answer::{AnswerOut, Question, answer};
pub use app::{App, Known};
pub use csv::csv;
pub use define::{Defined, MetricOut, built_in_or_own, define, edit, remove};
pub use errors::invalid_fields;
pub use questions::Questions;
