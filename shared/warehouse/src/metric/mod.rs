//! Metrics: measures over events, answered from rollups where those are complete and from the events where they are not.

mod freshness;
mod query;
mod read;
mod rollup;
mod states;

pub use query::{Asked, Source, Told};
pub use rollup::{Due, Fact, Plan, SeriesState};
