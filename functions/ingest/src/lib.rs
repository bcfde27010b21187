//! Events in: accepted by HTTP functions, sealed into a queue, and stored from there.

pub mod accept;
#[cfg(test)]
mod fakes;
pub mod store_events;
pub mod track_event;
pub mod track_events;
