//! What the service says of itself: its health, its documents, its page.

pub mod get_asyncapi;
pub mod get_dashboard;
pub mod get_health;
pub mod get_openapi;
