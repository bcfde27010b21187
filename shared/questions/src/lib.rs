//! Questions about metrics as clients send them, and answers as JSON and CSV: for the API and for live streams.

mod csv;
mod encode;
mod errors;
mod people;
mod questions;

pub use csv::csv;
pub use encode::{AnswerOut, SeriesOut};
pub use errors::{invalid_fields, meaningless, unanswered, unknown};
pub use people::{PERIODS as PERIODS_TOLD, PeopleOut, PeopleQuestion, STEPS};
pub use questions::{Questions, other_account, refused};
