//! Sealed batches: the enriched events of one accepted request, or a part of it, as one queue message. What is sealed
//! never changes, so delivering it again, in any company, stores the same rows again.
//!
//! On the wire: base64(version byte, then an LZ4 block of the postcard encoding). Compression is worth its time twice:
//! SQS bills by 64 KB, and each byte is hashed, signed, sent and stored on its way.

use std::{borrow::Cow, cell::RefCell};

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::rejection::Code;

/// Bytes of events that go into one message before it is encoded. Even what does not compress at all then stays below
/// the 1 MiB that SQS takes (4/3 for base64, 0.4 % for LZ4's worst case).
const BYTES_PER_MESSAGE: usize = 720 * 1024;

const VERSION: u8 = 1;

/// One message's worth of accepted and rejected events.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct SealedBatch<'a> {
    /// The request it came with.
    #[serde(borrow)]
    pub batch_id: Cow<'a, str>,
    pub account_id: Cow<'a, str>,
    /// When the request was accepted, by our clock, in epoch milliseconds.
    pub received_at: i64,
    /// How far the client's clock was behind ours (negative: ahead), if it said `sentAt`.
    pub clock_skew_ms: Option<i64>,
    pub ip: Cow<'a, str>,
    pub user_agent: Cow<'a, str>,
    pub locale: Cow<'a, str>,
    pub events: Vec<SealedEvent<'a>>,
    pub rejected: Vec<RejectedEvent<'a>>,
}

/// One accepted event.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct SealedEvent<'a> {
    /// Its place in the request.
    pub position: u32,
    /// Epoch milliseconds.
    pub timestamp: i64,
    #[serde(borrow)]
    pub event_type: Cow<'a, str>,
    pub event_name: Cow<'a, str>,
    pub event_id: Cow<'a, str>,
    pub session_id: Cow<'a, str>,
    pub user_id: Cow<'a, str>,
    /// A JSON object, as it came.
    pub properties: &'a str,
}

/// One event that was refused, kept with its reason.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct RejectedEvent<'a> {
    pub position: u32,
    pub code: Code,
    #[serde(borrow)]
    pub pointer: Cow<'a, str>,
    pub detail: Cow<'a, str>,
    pub event_name: Cow<'a, str>,
    /// The event as it came, perhaps cut.
    pub event: Cow<'a, str>,
}

/// A message that is not a sealed batch, or not one of a version known here.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("not base64")]
    Base64,
    #[error("sealed by a version this one doesn't know: {0}")]
    Version(u8),
    #[error("empty")]
    Empty,
    #[error("not an LZ4 block")]
    Unpack(#[from] lz4_flex::block::DecompressError),
    #[error("could not be packed")]
    Pack(#[from] lz4_flex::block::CompressError),
    #[error("not a sealed batch inside")]
    Encoding(#[from] postcard::Error),
    #[error("{0} bytes unpacked, more than any batch has")]
    TooLarge(u32),
}

impl SealedEvent<'_> {
    fn size(&self) -> usize {
        // Numbers and lengths take at most 32 bytes.
        32 + self.event_type.len()
            + self.event_name.len()
            + self.event_id.len()
            + self.session_id.len()
            + self.user_id.len()
            + self.properties.len()
    }
}

impl RejectedEvent<'_> {
    fn size(&self) -> usize {
        32 + self.pointer.len() + self.detail.len() + self.event_name.len() + self.event.len()
    }
}

/// Encodes a request's events as few messages as they fit in, each below SQS's 1 MiB.
///
/// # Errors
/// None is known that values of these types can meet; one would be a bug, and must not pass as an empty message.
pub fn seal(mut batch: SealedBatch) -> Result<Vec<String>, SealError> {
    let mut messages = Vec::with_capacity(1);
    let mut events = std::mem::take(&mut batch.events).into_iter().peekable();
    let mut rejected = std::mem::take(&mut batch.rejected).into_iter().peekable();
    while events.peek().is_some() || rejected.peek().is_some() {
        let mut room = BYTES_PER_MESSAGE;
        let mut fits = |size: usize| {
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        batch.events.clear();
        batch.events.extend(std::iter::from_fn(|| events.next_if(|event| fits(event.size()))));
        batch.rejected.clear();
        batch.rejected.extend(std::iter::from_fn(|| rejected.next_if(|event| fits(event.size()))));
        messages.push(encode(&batch)?);
    }
    Ok(messages)
}

/// Buffers that every batch of a thread is encoded in. Fresh ones of this size would be mapped and cleared by the kernel
/// for each batch, which takes as long as compressing it.
struct Scratch {
    plain: Vec<u8>,
    packed: Vec<u8>,
    table: CompressTable,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { plain: Vec::new(), packed: Vec::new(), table: CompressTable::large() });
}

/// Lets postcard write to the end of a buffer.
struct Onto<'b>(&'b mut Vec<u8>);

impl Flavor for Onto<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn encode(batch: &SealedBatch) -> Result<String, SealError> {
    SCRATCH.with_borrow_mut(|Scratch { plain, packed, table }| {
        plain.clear();
        postcard::serialize_with_flavor(batch, Onto(plain))?;
        let largest = 5 + get_maximum_output_size(plain.len());
        if packed.len() < largest {
            packed.resize(largest, 0);
        }
        packed[0] = VERSION;
        packed[1..5].copy_from_slice(&u32::try_from(plain.len()).unwrap_or(u32::MAX).to_le_bytes());
        let length = compress_into_with_table(plain, &mut packed[5..], table)?;
        Ok(base64_simd::STANDARD.encode_to_string(&packed[..5 + length]))
    })
}

/// Unpacks a message; [`SealedBatch::from_bytes`] reads the result, borrowing from it.
///
/// # Errors
/// If the text is not a sealed batch of a version known here.
pub fn open(message: &str) -> Result<Vec<u8>, SealError> {
    /// A request is at most 4 MB, its overhead small; what claims more is not ours, and is not given the memory.
    const LARGEST: u32 = 16 * 1024 * 1024;
    let packed = base64_simd::STANDARD.decode_to_vec(message).map_err(|_| SealError::Base64)?;
    let (&version, packed) = packed.split_first().ok_or(SealError::Empty)?;
    if version != VERSION {
        return Err(SealError::Version(version));
    }
    let (length, packed) = packed.split_first_chunk::<4>().ok_or(SealError::Empty)?;
    match u32::from_le_bytes(*length) {
        length @ ..=LARGEST => Ok(lz4_flex::block::decompress(packed, length as usize)?),
        length => Err(SealError::TooLarge(length)),
    }
}

impl<'a> SealedBatch<'a> {
    /// Reads what [`open`] unpacked.
    ///
    /// # Errors
    /// If the bytes are not a sealed batch.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, SealError> {
        Ok(postcard::from_bytes(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: u32, properties: &str) -> SealedEvent<'_> {
        SealedEvent {
            position,
            timestamp: 1_795_512_600_000,
            event_type: "message".into(),
            event_name: "message_sent".into(),
            event_id: position.to_string().into(),
            session_id: "".into(),
            user_id: "".into(),
            properties,
        }
    }

    #[test]
    fn opens_to_what_was_sealed() {
        let batch = SealedBatch {
            account_id: "demo".into(),
            clock_skew_ms: Some(-3),
            events: vec![event(0, "{}"), event(1, r#"{"text":"限时优惠"}"#)],
            rejected: vec![RejectedEvent {
                position: 2,
                code: Code::Required,
                pointer: "/eventName".into(),
                detail: "is missing".into(),
                event_name: "".into(),
                event: "{}".into(),
            }],
            ..SealedBatch::default()
        };
        let messages = seal(batch.clone()).expect("seals");
        assert_eq!(messages.len(), 1);
        let bytes = open(&messages[0]).expect("opens");
        assert_eq!(SealedBatch::from_bytes(&bytes).expect("reads"), batch);
    }

    #[test]
    fn splits_what_sqs_would_not_take_and_loses_nothing() {
        // Random letters hardly compress.
        let mut state = 1_u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from(state >> 58).expect("six bits"))
        };
        let blobs: Vec<String> = (0..128).map(|_| (0..32 * 1024).map(|_| letter()).collect()).collect();
        let events = blobs.iter().zip(0..).map(|(blob, position)| event(position, blob)).collect();
        let messages = seal(SealedBatch { events, ..SealedBatch::default() }).expect("seals");
        assert!(messages.len() > 4);
        assert!(messages.iter().all(|message| message.len() < 1024 * 1024));
        let opened: Vec<Vec<u8>> = messages.iter().map(|message| open(message).expect("opens")).collect();
        let positions: Vec<u32> = opened
            .iter()
            .flat_map(|bytes| SealedBatch::from_bytes(bytes).expect("reads").events)
            .map(|event| event.position)
            .collect();
        assert_eq!(positions, (0..128).collect::<Vec<u32>>());
    }

    #[test]
    fn refuses_what_it_did_not_seal() {
        assert!(matches!(open("{}"), Err(SealError::Base64)));
        assert!(matches!(open(""), Err(SealError::Empty)));
        assert!(matches!(open("AAAAAAAA"), Err(SealError::Version(0))));
        assert!(matches!(open("Af////8A"), Err(SealError::TooLarge(u32::MAX))));
        assert!(matches!(open("AQIAAAD/////"), Err(SealError::Unpack(_))));
    }
}
