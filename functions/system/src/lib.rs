//! The service about itself: its health, its documents, its dashboard.

pub mod get_asyncapi;
pub mod get_dashboard;
pub mod get_health;
pub mod get_openapi;
