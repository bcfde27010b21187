//! What the functions behind the WebSocket share: who is connected, and what subscribers are told.

mod app;

pub use analytics_http::Identity;
pub use app::{App, Refused, may_follow};
