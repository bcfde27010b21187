//! Metrics: measures over events, answered from rollups where those are complete and from the events where they are not.

mod freshness;
mod ledger;
mod plan;
mod query;
mod read;
mod rollup;
mod states;
mod survey;

pub use ledger::{Due, SeriesState};
pub use plan::Plan;
pub use query::{Asked, Source, Told};
pub use survey::Fact;
