//! Live streams: what clients and we say to each other over a WebSocket, and what is kept for each socket.

mod chart;
mod feed;
mod frame;
mod message;
mod shown;
mod watch;

pub use chart::Chart;
pub use feed::{Feed, Head, MEMORY};
pub use frame::{Changed, Differences, Frame, Totals};
pub use message::{Action, MessageError};
pub use shown::Shown;
pub use watch::{Connection, LiveMessage, STREAMS, Stream, Subscription, Way};
