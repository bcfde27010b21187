//! Events in: accepted by HTTP functions, sealed into a queue, and stored from there.

pub mod accept;
#[cfg(test)]
mod fakes;
mod schema;
pub mod store_events;
pub mod track_event;
pub mod track_events;

use analytics_http::openapi::Document;

/// What the API's document says of these functions.
pub fn describe(document: &mut Document) {
    document.tag("Events", "Send and find events");
    track_event::describe(document);
    track_events::describe(document);
}
