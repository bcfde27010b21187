//! WebSockets: connections, subscriptions, and the frames that subscribers get.

mod refused;
pub mod stream_events;
pub mod ws_connect;
pub mod ws_disconnect;
pub mod ws_message;

pub use refused::{Refused, may_follow};
