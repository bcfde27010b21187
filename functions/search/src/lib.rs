//! Events out.

pub mod search_events;
