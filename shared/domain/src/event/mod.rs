//! Events: what clients send ([`Draft`]), what is refused and why ([`Rejection`]), and what accepted events travel in
//! ([`SealedBatch`]).

mod accept;
mod advice;
mod columns;
mod context;
mod draft;
mod fields;
mod names;
mod normal;
mod properties;
mod rejection;
mod sealed;
mod sealed_v1;
mod spelling;
mod stored;
mod tree;

pub use accept::{Arrival, Outcome, accept};
pub use advice::{Advice, advice};
pub use columns::{TYPED_PROPERTIES, column_path, column_source};
pub use draft::{BodyError, COMPUTED, Draft, Drafts, FIELDS, parse_batch, parse_lines, parse_single};
pub use properties::derived_bytes;
pub(crate) use rejection::pointer_segment;
pub use rejection::{Code, Rejection};
pub use sealed::{Context, OwnContext, RejectedEvent, SealError, SealedBatch, SealedEvent, open, seal};
pub use stored::{Canonical, canonical_number, canonical_properties, element, element_prefix, version};
pub use tree::Tree;

/// Limits of the API; each is named in the error of who exceeds it.
pub mod limits {
    /// Events in one batch.
    pub const BATCH_EVENTS: usize = 2_000;
    /// Bytes of one event.
    pub const EVENT_BYTES: usize = 32 * 1024;
    /// Bytes of [`super::derived_bytes`].
    pub const DERIVED_BYTES: usize = 8 * EVENT_BYTES;
    /// Bytes of a body, after decompression.
    pub const BODY_BYTES: usize = 4 * 1024 * 1024;
    /// Characters of `eventName`, `eventType`, `eventId`, `sessionId`, `userId`, and of a property's name.
    pub const NAME_CHARS: usize = 128;
    /// Characters of `context.userAgent`.
    pub const USER_AGENT_CHARS: usize = 256;
    /// Characters of `context.locale`: those that every program should have room for (RFC 5646, section 4.4.1).
    pub const LOCALE_CHARS: usize = 35;
    /// Properties of an event, nested ones included.
    pub const PROPERTIES: usize = 256;
    /// Objects and arrays within each other, the properties' own object included.
    pub const DEPTH: usize = 8;
    /// How far ahead of our clock an event's time may be.
    pub const FUTURE_MILLIS: i64 = 3_600_000;
    /// Bytes of a rejected event that are kept with its reason.
    pub const KEPT_BYTES: usize = 4 * 1024;
}
