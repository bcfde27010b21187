//! The accept path, shared by the functions that take events: from a request to sealed batches in the queue and an
//! answer, with every event judged by itself.

mod app;
mod fanout;
mod ports;
mod take;

pub use app::{App, handle};
pub use fanout::Fanout;
pub use ports::{Answers, SealedQueue, Unavailable};
pub use take::{IngestError, Taken, seal_body};
