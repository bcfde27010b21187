//! WebSockets: who is connected, what they want, and the frames that they get.

mod refused;
pub mod stream_events;
pub mod ws_connect;
pub mod ws_disconnect;
pub mod ws_message;

pub use refused::{Refused, may_follow};
