//! Events in: accepted by HTTP functions, sealed into a queue, and stored from there.

pub mod accept;
#[cfg(test)]
mod fakes;
mod schema;
pub mod store_events;
pub mod track_event;
pub mod track_events;

use analytics_http::openapi::OpenApi;

/// Describes this package's operations in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document.tag("Events", "Send and find events");
    track_event::describe(document);
    track_events::describe(document);
}
