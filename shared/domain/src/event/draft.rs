//! A request's events as they came: split into fields in one pass over the body, nothing judged yet, so that one bad
//! event does not hold up its neighbours.

use std::{borrow::Cow, fmt};

use memchr::memmem;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    fields::{moment, optional},
    limits,
    names::{Unknown, field_name},
    rejection::Rejection,
};

/// The fields of an event, in the order in which a [`Draft`] holds them.
pub const FIELDS: [&str; 10] = [
    "eventType",
    "eventName",
    "eventId",
    "timestamp",
    "sessionId",
    "userId",
    "properties",
    "sentAt",
    "accountId",
    "context",
];

/// Fields that an event has when it is found, and that are computed anew when it is sent again.
pub const COMPUTED: [&str; 3] = ["receivedAt", "clockSkewMs", "correctedTimestamp"];

/// What stands in the place of bytes that are no text, once something on the way has taken them for text.
const REPLACEMENT: &str = "\u{FFFD}";

/// One event as it came, each field still JSON text.
#[derive(Debug, Default)]
pub struct Draft<'a> {
    pub(super) fields: [Option<&'a RawValue>; FIELDS.len()],
    /// The first field that events don't have.
    pub(super) unknown: Option<Unknown>,
    /// Not an object: what it is instead; or not even JSON (only a line of NDJSON can be that).
    pub(super) broken: Option<Box<Broken>>,
}

#[derive(Debug)]
pub(super) enum Broken {
    NotAnObject(&'static str),
    NotJson { why: String, text: String },
}

/// All events of one request.
#[derive(Debug, Default)]
pub struct Drafts<'a> {
    pub events: Vec<Draft<'a>>,
    /// The client's clock when it sent the request, in epoch milliseconds.
    pub sent_at: Option<i64>,
    /// Some of the text is not what was sent: an event with U+FFFD in it is refused.
    pub is_damaged: bool,
    /// JSON pointer to the list of events in the body.
    pub list: &'static str,
}

impl Drafts<'_> {
    /// The same, of a body that something on its way may have taken for text: what was not UTF-8 in it is U+FFFD now.
    #[must_use]
    pub fn of_text(self, body: &[u8]) -> Self {
        Self { is_damaged: memmem::find(body, REPLACEMENT.as_bytes()).is_some(), ..self }
    }
}

/// What makes a body as a whole unusable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is not valid JSON: {0}")]
    Json(String),
    #[error("the body is not valid UTF-8: byte {0} belongs to no character")]
    Utf8(usize),
    #[error("{0}")]
    Shape(&'static str),
    #[error("the batch is empty: send at least one event")]
    Empty,
    #[error("the batch has more than {} events: split it", limits::BATCH_EVENTS)]
    TooManyEvents,
    /// The request's own `sentAt`, for all of its events.
    #[error("the request's sentAt {}", .0.detail)]
    SentAt(Rejection),
}

/// Reads the body of `POST /api/events`: one event.
///
/// # Errors
/// If the body is not one JSON value.
pub fn parse_single(body: &[u8]) -> Result<Drafts<'_>, BodyError> {
    let text = utf8(without_mark(body))?;
    match serde_json::from_str(text) {
        Ok(draft) => Ok(Drafts { events: vec![draft], ..Drafts::default() }),
        Err(_) if holds_lines(text) => Err(BodyError::Shape(
            "the body holds several JSON values: send many events to POST /api/events/batch, as an array or, one a line, \
             with Content-Type: application/x-ndjson",
        )),
        Err(error) => Err(BodyError::Json(error.to_string())),
    }
}

/// Reads the body of `POST /api/events/batch`: `{"events": […], "sentAt": …}` or the bare array.
///
/// # Errors
/// If the body is not JSON, is of another shape, has no event or too many.
pub fn parse_batch(body: &[u8]) -> Result<Drafts<'_>, BodyError> {
    // The limit is found while parsing, and a parse error is all that serde can end with: so it is noted beside it.
    let (mut too_many, mut sent_at) = (false, None);
    let text = utf8(without_mark(body))?;
    let list = if text.trim_ascii_start().starts_with('{') { "/events" } else { "" };
    let mut parser = serde_json::Deserializer::from_str(text);
    let events = Batch { too_many: &mut too_many, sent_at: &mut sent_at }.deserialize(&mut parser).and_then(|events| {
        parser.end()?;
        Ok(events)
    });
    match events {
        _ if too_many => Err(BodyError::TooManyEvents),
        Err(_) if holds_lines(text) => Err(BodyError::Shape(
            "the body holds several JSON values: to send an event a line, set Content-Type: application/x-ndjson",
        )),
        Err(error) if error.is_data() => Err(BodyError::Shape(
            "the body is neither an array of events nor an object with an array `events` (and optionally `sentAt`)",
        )),
        Err(error) => Err(BodyError::Json(error.to_string())),
        Ok(events) if events.is_empty() => Err(BodyError::Empty),
        Ok(events) => {
            let sent_at = optional(sent_at).map(|raw| moment(raw, "/sentAt")).transpose().map_err(BodyError::SentAt)?;
            Ok(Drafts { events, sent_at, list, ..Drafts::default() })
        }
    }
}

/// Reads NDJSON: an event a line. A line that is not JSON is one bad event.
///
/// # Errors
/// If there is no line with content, or too many.
pub fn parse_lines(body: &[u8]) -> Result<Drafts<'_>, BodyError> {
    let mut events = Vec::new();
    // Files that were put together have a mark at the start of each.
    let lines = body.split(|&byte| byte == b'\n').map(|line| without_mark(line).trim_ascii());
    for line in lines.filter(|line| !line.is_empty()) {
        if events.len() == limits::BATCH_EVENTS {
            return Err(BodyError::TooManyEvents);
        }
        let parsed = match utf8(line) {
            Ok(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        events.push(parsed.unwrap_or_else(|why| {
            let text = String::from_utf8_lossy(&line[..line.len().min(limits::KEPT_BYTES)]).into_owned();
            Draft { broken: Some(Box::new(Broken::NotJson { why, text })), ..Draft::default() }
        }));
    }
    if events.is_empty() { Err(BodyError::Empty) } else { Ok(Drafts { events, ..Drafts::default() }) }
}

/// Without the byte order mark that some programs begin a text with.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(text)
}

/// Whether a text that is not one JSON value begins with an object and goes on with another one.
fn holds_lines(text: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    text.trim_ascii_start().starts_with('{')
        && matches!(values.next(), Some(Ok(_)))
        && text[values.byte_offset()..].trim_ascii_start().starts_with('{')
}

fn utf8(body: &[u8]) -> Result<&str, BodyError> {
    simdutf8::compat::from_utf8(body).map_err(|error| BodyError::Utf8(error.valid_up_to()))
}

impl Draft<'_> {
    /// Bytes of the event's values: what [`limits::EVENT_BYTES`] limits.
    pub(super) fn size(&self) -> usize {
        self.fields.iter().flatten().map(|value| value.get().len()).sum()
    }

    /// The first field in which bytes were replaced because they were no text.
    pub(super) fn damaged_field(&self) -> Option<&'static str> {
        let is_damaged = |value: &RawValue| memmem::find(value.get().as_bytes(), REPLACEMENT.as_bytes()).is_some();
        let mut fields = FIELDS.into_iter().zip(self.fields);
        fields.find_map(|(name, value)| value.is_some_and(is_damaged).then_some(name))
    }

    /// The event as text for the record of what was rejected, cut at [`limits::KEPT_BYTES`].
    pub(super) fn excerpt(&self) -> String {
        if let Some(Broken::NotJson { text, .. }) = self.broken.as_deref() {
            return text.clone();
        }
        let mut text = String::from("{");
        for (name, value) in
            FIELDS.iter().zip(&self.fields).filter_map(|(name, value)| value.map(|value| (name, value)))
        {
            let comma = if text.len() > 1 { "," } else { "" };
            text.extend([comma, "\"", name, "\":", value.get()]);
            if text.len() > limits::KEPT_BYTES {
                text.truncate(text.floor_char_boundary(limits::KEPT_BYTES));
                return text;
            }
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Draft<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DraftVisitor)
    }
}

struct DraftVisitor;

impl<'de> Visitor<'de> for DraftVisitor {
    type Value = Draft<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft<'de>, A::Error> {
        let mut draft = Draft::default();
        while let Some(key) = map.next_key_seed(FieldKey)? {
            match key {
                Key::Known(index) => draft.fields[index] = Some(map.next_value()?),
                Key::Computed => drop(map.next_value::<IgnoredAny>()?),
                Key::Unknown(unknown) => {
                    map.next_value::<IgnoredAny>()?;
                    draft.unknown.get_or_insert(unknown);
                }
            }
        }
        Ok(draft)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Draft<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(not_an_object("an array"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Draft<'de>, E> {
        Ok(not_an_object("a string"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Draft<'de>, E> {
        Ok(not_an_object("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Draft<'de>, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Draft<'de>, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Draft<'de>, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_unit<E>(self) -> Result<Draft<'de>, E> {
        Ok(not_an_object("null"))
    }
}

fn not_an_object<'a>(what: &'static str) -> Draft<'a> {
    Draft { broken: Some(Box::new(Broken::NotAnObject(what))), ..Draft::default() }
}

enum Key {
    Known(usize),
    Computed,
    Unknown(Unknown),
}

/// Reads a field's name.
struct FieldKey;

impl<'de> DeserializeSeed<'de> for FieldKey {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        field_name(deserializer, |name| {
            // The places of FIELDS; a `match` is quicker than looking through them.
            Ok(Key::Known(match name {
                b"eventType" => 0,
                b"eventName" => 1,
                b"eventId" => 2,
                b"timestamp" => 3,
                b"sessionId" => 4,
                b"userId" => 5,
                b"properties" => 6,
                b"sentAt" => 7,
                b"accountId" => 8,
                b"context" => 9,
                other if COMPUTED.iter().any(|name| name.as_bytes() == other) => return Ok(Key::Computed),
                other => return Err(Unknown::new(other)),
            }))
        })
        .map(|key| key.unwrap_or_else(Key::Unknown))
    }
}

/// The whole body of a batch.
struct Batch<'f, 'de> {
    too_many: &'f mut bool,
    sent_at: &'f mut Option<&'de RawValue>,
}

impl<'de> DeserializeSeed<'de> for Batch<'_, 'de> {
    type Value = Vec<Draft<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_, 'de> {
    type Value = Vec<Draft<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a batch of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::with_capacity(64);
        while let Some(draft) = seq.next_element()? {
            if events.len() == limits::BATCH_EVENTS {
                *self.too_many = true;
                return Err(A::Error::custom("too many events"));
            }
            events.push(draft);
        }
        Ok(events)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut events = None;
        while let Some(key) = map.next_key::<Cow<str>>()? {
            match &*key {
                "events" => {
                    let list = Batch { too_many: &mut *self.too_many, sent_at: &mut *self.sent_at };
                    events = Some(map.next_value_seed(list)?);
                }
                "sentAt" => *self.sent_at = Some(map.next_value()?),
                other => return Err(A::Error::custom(format_args!("unknown field {other}"))),
            }
        }
        events.ok_or_else(|| A::Error::custom("no events"))
    }
}
