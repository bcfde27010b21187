//! What the functions behind the WebSocket share: the gateway's events, who is connected, and what they are told.

mod app;
mod event;

pub use analytics_http::Identity;
pub use app::{App, Refused, may_follow};
pub use event::{Answer, SocketEvent};
