//! Metrics: measures over events, answered from rollups where those are complete and from the events where they are not.

mod carried;
mod freshness;
mod group_aliases;
mod ledger;
mod plan;
mod query;
mod read;
mod rollup;
mod select;
mod shape;
#[cfg(test)]
mod snapshots;
mod states;
mod survey;

pub use freshness::Rollups;
pub use ledger::{Bucket, Mutation, Noted, SeriesState};
pub use plan::Plan;
pub use query::{Asked, Source, Tenant, Told};
pub(crate) use read::{Source as ReadSource, condition, group_text, text};
pub use rollup::Span;
pub use survey::{EVENT_NAMES, Fact};
