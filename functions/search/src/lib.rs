//! Events out.

pub mod search_events;

use analytics_http::openapi::Document;

/// What the API's document says of this function. It belongs to the events.
pub fn describe(document: &mut Document) {
    search_events::describe(document);
}
