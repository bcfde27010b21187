//! What the functions behind the WebSocket share: who may follow what, and how a refusal is told.

mod refused;

pub use analytics_http::Identity;
pub use refused::{Refused, may_follow};
