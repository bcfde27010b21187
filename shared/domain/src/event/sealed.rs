//! Sealed batches: the enriched events of one accepted request, or a part of it, as one queue message. What is sealed
//! never changes, so delivering it again, in any company, stores the same rows again.
//!
//! On the wire: base64(version byte, then an LZ4 block of the postcard encoding). Compression is worth its time twice:
//! SQS bills by 64 KB, and each byte is hashed, signed, sent and stored on its way.

use std::{borrow::Cow, cell::RefCell};

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::{rejection::Code, sealed_v1};

/// Bytes of events that go into one message before it is encoded. Even what does not compress at all then stays below
/// the 1 MiB that SQS takes (4/3 for base64, 0.4 % for LZ4's worst case).
const BYTES_PER_MESSAGE: usize = 720 * 1024;

const VERSION: u8 = 2;

/// One message's worth of accepted and rejected events.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct SealedBatch<'a> {
    /// The request it came with.
    #[serde(borrow)]
    pub batch_id: Cow<'a, str>,
    #[serde(borrow)]
    pub account_id: Cow<'a, str>,
    /// When the request was accepted, by our clock, in epoch milliseconds.
    pub received_at: i64,
    /// How far the client's clock was behind ours (negative: ahead), if it said `sentAt`.
    pub clock_skew_ms: Option<i64>,
    /// Of the request, as `user_agent` and `locale`; [`SealedBatch::context_of`] says what counts for an event.
    #[serde(borrow)]
    pub ip: Cow<'a, str>,
    #[serde(borrow)]
    pub user_agent: Cow<'a, str>,
    #[serde(borrow)]
    pub locale: Cow<'a, str>,
    #[serde(borrow)]
    pub events: Vec<SealedEvent<'a>>,
    #[serde(borrow)]
    pub rejected: Vec<RejectedEvent<'a>>,
}

/// One accepted event.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct SealedEvent<'a> {
    /// Its place in the request.
    pub position: u32,
    /// Epoch milliseconds.
    pub timestamp: i64,
    #[serde(borrow)]
    pub event_type: Cow<'a, str>,
    #[serde(borrow)]
    pub event_name: Cow<'a, str>,
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    #[serde(borrow)]
    pub session_id: Cow<'a, str>,
    #[serde(borrow)]
    pub user_id: Cow<'a, str>,
    /// A JSON object in canonical form.
    #[serde(borrow)]
    pub properties: Cow<'a, str>,
    /// What the event says of its sender that the request does not.
    #[serde(borrow)]
    pub own_context: Option<Box<OwnContext<'a>>>,
}

/// Where an event differs from its batch. Most events do not, so a batch carries its context once.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct OwnContext<'a> {
    /// Empty, as `user_agent` and `locale`: that of the batch.
    #[serde(borrow)]
    pub ip: Cow<'a, str>,
    #[serde(borrow)]
    pub user_agent: Cow<'a, str>,
    #[serde(borrow)]
    pub locale: Cow<'a, str>,
    /// By the event's own `sentAt`.
    pub clock_skew_ms: Option<i64>,
}

/// Who sent an event, in the end: what it says itself, else what its request says. Empty is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'b> {
    pub ip: &'b str,
    pub user_agent: &'b str,
    pub locale: &'b str,
    pub clock_skew_ms: Option<i64>,
}

/// One event that was refused, kept with its reason.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct RejectedEvent<'a> {
    pub position: u32,
    pub code: Code,
    #[serde(borrow)]
    pub pointer: Cow<'a, str>,
    #[serde(borrow)]
    pub detail: Cow<'a, str>,
    #[serde(borrow)]
    pub event_name: Cow<'a, str>,
    /// The event as it came, perhaps cut.
    #[serde(borrow)]
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
            + self.own_context.as_ref().map_or(0, |own| 16 + own.ip.len() + own.user_agent.len() + own.locale.len())
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

/// Unpacks a message, and leaves its version in front; [`SealedBatch::from_bytes`] reads the result, borrowing from it.
///
/// # Errors
/// If the text is not a sealed batch of a version known here.
pub fn open(message: &str) -> Result<Vec<u8>, SealError> {
    /// A request is at most 4 MB, its overhead small; what claims more is not ours, and is not given the memory.
    const LARGEST: u32 = 16 * 1024 * 1024;
    let packed = base64_simd::STANDARD.decode_to_vec(message).map_err(|_| SealError::Base64)?;
    let (&version, packed) = packed.split_first().ok_or(SealError::Empty)?;
    if !matches!(version, VERSION | sealed_v1::VERSION) {
        return Err(SealError::Version(version));
    }
    let (length, packed) = packed.split_first_chunk::<4>().ok_or(SealError::Empty)?;
    let length = match u32::from_le_bytes(*length) {
        length @ ..=LARGEST => length as usize,
        length => return Err(SealError::TooLarge(length)),
    };
    let mut bytes = vec![0; 1 + length];
    bytes[0] = version;
    let unpacked = lz4_flex::block::decompress_into(packed, &mut bytes[1..])?;
    bytes.truncate(1 + unpacked);
    Ok(bytes)
}

impl<'a> SealedBatch<'a> {
    /// Reads what [`open`] unpacked.
    ///
    /// # Errors
    /// If the bytes are not a sealed batch.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, SealError> {
        match bytes.split_first().ok_or(SealError::Empty)? {
            (&VERSION, bytes) => Ok(postcard::from_bytes(bytes)?),
            (&sealed_v1::VERSION, bytes) => Ok(postcard::from_bytes::<sealed_v1::Batch>(bytes)?.into()),
            (&version, _) => Err(SealError::Version(version)),
        }
    }

    /// Who sent this event of the batch.
    #[must_use]
    pub fn context_of<'b>(&'b self, event: &'b SealedEvent) -> Context<'b> {
        let batch = Context {
            ip: &self.ip,
            user_agent: &self.user_agent,
            locale: &self.locale,
            clock_skew_ms: self.clock_skew_ms,
        };
        let Some(own) = event.own_context.as_deref() else { return batch };
        let or = |own: &'b str, batch: &'b str| if own.is_empty() { batch } else { own };
        Context {
            ip: or(&own.ip, batch.ip),
            user_agent: or(&own.user_agent, batch.user_agent),
            locale: or(&own.locale, batch.locale),
            clock_skew_ms: own.clock_skew_ms.or(batch.clock_skew_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two accepted events and a rejected one, as the first version wrote them.
    const FIRST_VERSION: &str = "\
        Ad8AAAD0BiQwMTkzNjAwMC0wMDAwLTcwMDAtOA8ABAIA8h0EZGVtb4CXoM7BaAEFCzIwMy4wLjExMy45CmN1cmwvOC41LjAF\
        emgtQ04CACcAkwdtZXNzYWdlDAgA8hJfc2VudAEwAnMxABR7ImNhbXBhaWduSWQiOiIxMjMifQFeAAQ3APA6C2F0dGVuZGVk\
        IMOpATEAABt7ICJ0ZXh0IiA6ICLpmZDml7bkvJjmg6AiIH0BAgIKL2V2ZW50TmFtZQppcyBtaXNzaW5nAAJ7fQ==";

    fn event(position: u32, properties: &str) -> SealedEvent<'_> {
        SealedEvent {
            position,
            timestamp: 1_795_512_600_000,
            event_type: "message".into(),
            event_name: "message_sent".into(),
            event_id: position.to_string().into(),
            properties: properties.into(),
            ..SealedEvent::default()
        }
    }

    #[test]
    fn opens_to_what_was_sealed() {
        let batch = SealedBatch {
            account_id: "demo".into(),
            clock_skew_ms: Some(-3),
            events: vec![
                event(0, "{}"),
                SealedEvent {
                    own_context: Some(Box::new(OwnContext { ip: "2001:db8::1".into(), ..OwnContext::default() })),
                    ..event(1, r#"{"text":"限时优惠"}"#)
                },
            ],
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
    fn what_an_event_says_of_its_sender_counts_before_what_the_request_says() {
        let own = OwnContext { locale: "zh-CN".into(), clock_skew_ms: Some(7), ..OwnContext::default() };
        let batch = SealedBatch {
            ip: "203.0.113.9".into(),
            user_agent: "server".into(),
            locale: "en".into(),
            events: vec![event(0, "{}"), SealedEvent { own_context: Some(Box::new(own)), ..event(1, "{}") }],
            ..SealedBatch::default()
        };
        let request = Context { ip: "203.0.113.9", user_agent: "server", locale: "en", clock_skew_ms: None };
        assert_eq!(batch.context_of(&batch.events[0]), request);
        let own = Context { locale: "zh-CN", clock_skew_ms: Some(7), ..request };
        assert_eq!(batch.context_of(&batch.events[1]), own);
    }

    /// Written by the first version, and lying in a queue since.
    #[test]
    fn opens_what_the_first_version_sealed() {
        let bytes = open(FIRST_VERSION).expect("opens");
        let batch = SealedBatch::from_bytes(&bytes).expect("reads");
        let events: Vec<(u32, &str, &str)> =
            batch.events.iter().map(|event| (event.position, &*event.event_name, &*event.properties)).collect();
        assert_eq!(
            events,
            [(0, "message_sent", r#"{"campaignId":"123"}"#), (1, "attended é", r#"{ "text" : "限时优惠" }"#)]
        );
        assert_eq!((&*batch.account_id, batch.received_at, batch.clock_skew_ms), ("demo", 1_795_512_600_000, Some(-3)));
        let context = Context { ip: "203.0.113.9", user_agent: "curl/8.5.0", locale: "zh-CN", clock_skew_ms: Some(-3) };
        assert_eq!(batch.context_of(&batch.events[1]), context);
        assert_eq!((batch.rejected[0].code, &*batch.rejected[0].pointer), (Code::Required, "/eventName"));
    }

    #[test]
    fn refuses_what_it_did_not_seal() {
        assert!(matches!(open("{}"), Err(SealError::Base64)));
        assert!(matches!(open(""), Err(SealError::Empty)));
        assert!(matches!(open("AAAAAAAA"), Err(SealError::Version(0))));
        assert!(matches!(open("AwAAAAAA"), Err(SealError::Version(3))));
        assert!(matches!(open("Af////8A"), Err(SealError::TooLarge(u32::MAX))));
        assert!(matches!(open("Av////8A"), Err(SealError::TooLarge(u32::MAX))));
        assert!(matches!(SealedBatch::from_bytes(&[]), Err(SealError::Empty)));
        assert!(matches!(open("AQIAAAD/////"), Err(SealError::Unpack(_))));
    }
}
