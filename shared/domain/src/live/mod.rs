//! Live streams: what clients and we say to each other over a WebSocket, and what is kept for each socket.

mod feed;
mod frame;
mod message;
mod seen;
mod shown;
mod watch;

pub use feed::{Feed, Head, MEMORY};
pub use frame::{Changed, Differences, FRAME_BYTES, Frame, Totals};
pub use message::{Action, MessageError};
pub use seen::{Noted, Seen, event_identity, message_identity};
pub use shown::Shown;
pub use watch::{
    CONNECTIONS, Connection, FEEDS, Followed, LiveMessage, STREAMS, SUBSCRIPTION_BYTES, Stream, Subscription, Way,
};
