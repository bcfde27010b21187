//! Events: what clients send ([`Draft`]), what is refused and why ([`Rejection`]), and what accepted events travel in
//! ([`SealedBatch`]).

mod accept;
mod draft;
mod properties;
mod rejection;
mod sealed;
mod stored;

pub use accept::{Arrival, Outcome, accept};
pub use draft::{BodyError, Draft, Drafts, parse_batch, parse_lines, parse_single};
pub(crate) use rejection::pointer_segment;
pub use rejection::{Code, Rejection};
pub use sealed::{RejectedEvent, SealError, SealedBatch, SealedEvent, open, seal};
pub use stored::{Canonical, canonical_number, canonical_properties, version};

/// Limits of the API; each is named in the error of who exceeds it.
pub mod limits {
    /// Events in one batch.
    pub const BATCH_EVENTS: usize = 2_000;
    /// Bytes of one event.
    pub const EVENT_BYTES: usize = 32 * 1024;
    /// Bytes of a body, after decompression.
    pub const BODY_BYTES: usize = 4 * 1024 * 1024;
    /// Characters of `eventName`, `eventType`, `eventId`, `sessionId`, `userId`, and of a property's name.
    pub const NAME_CHARS: usize = 128;
    /// Properties of an event, nested ones included.
    pub const PROPERTIES: usize = 256;
    /// Objects and arrays within each other, the properties' own object included.
    pub const DEPTH: usize = 8;
    /// How far ahead of our clock an event's time may be.
    pub const FUTURE_MILLIS: i64 = 3_600_000;
    /// Bytes of a rejected event that are kept with its reason.
    pub const KEPT_BYTES: usize = 4 * 1024;
}
