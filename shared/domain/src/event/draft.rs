//! A request's events as they came: split into fields in one pass over the body, nothing judged yet, so that one bad
//! event does not hold up its neighbours.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::limits;

/// The fields of an event, in the order in which a [`Draft`] holds them.
pub(super) const FIELDS: [&str; 8] =
    ["eventType", "eventName", "eventId", "timestamp", "sessionId", "userId", "properties", "sentAt"];

/// One event as it came, each field still JSON text.
#[derive(Debug, Default)]
pub struct Draft<'a> {
    pub(super) fields: [Option<&'a RawValue>; FIELDS.len()],
    /// The first field that events don't have.
    pub(super) unknown: Option<Box<str>>,
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
    /// The client's clock when it sent the request, still JSON text.
    pub sent_at: Option<&'a RawValue>,
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
}

/// Reads the body of `POST /api/events`: one event.
///
/// # Errors
/// If the body is not one JSON value.
pub fn parse_single(body: &[u8]) -> Result<Drafts<'_>, BodyError> {
    let draft: Draft = serde_json::from_str(utf8(body)?).map_err(|error| BodyError::Json(error.to_string()))?;
    let sent_at = draft.fields[7];
    Ok(Drafts { events: vec![draft], sent_at })
}

/// Reads the body of `POST /api/events/batch`: `{"events": […], "sentAt": …}` or the bare array.
///
/// # Errors
/// If the body is not JSON, is of another shape, has no event or too many.
pub fn parse_batch(body: &[u8]) -> Result<Drafts<'_>, BodyError> {
    // The limit is found while parsing, and a parse error is all that serde can end with: so it is noted beside it.
    let mut too_many = false;
    let mut parser = serde_json::Deserializer::from_str(utf8(body)?);
    let drafts = Batch { too_many: &mut too_many }.deserialize(&mut parser).and_then(|drafts| {
        parser.end()?;
        Ok(drafts)
    });
    match drafts {
        _ if too_many => Err(BodyError::TooManyEvents),
        Err(error) if error.is_data() => Err(BodyError::Shape(
            "the body is neither an array of events nor an object with an array `events` (and optionally `sentAt`)",
        )),
        Err(error) => Err(BodyError::Json(error.to_string())),
        Ok(drafts) if drafts.events.is_empty() => Err(BodyError::Empty),
        Ok(drafts) => Ok(drafts),
    }
}

/// Reads NDJSON: an event a line. A line that is not JSON is one bad event.
///
/// # Errors
/// If there is no line with content, or too many.
pub fn parse_lines(body: &[u8]) -> Result<Drafts<'_>, BodyError> {
    let mut events = Vec::new();
    for line in body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
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
    if events.is_empty() { Err(BodyError::Empty) } else { Ok(Drafts { events, sent_at: None }) }
}

fn utf8(body: &[u8]) -> Result<&str, BodyError> {
    std::str::from_utf8(body).map_err(|error| BodyError::Utf8(error.valid_up_to()))
}

impl Draft<'_> {
    /// Bytes of the event's values: what [`limits::EVENT_BYTES`] limits.
    pub(super) fn size(&self) -> usize {
        self.fields.iter().flatten().map(|value| value.get().len()).sum()
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
        while let Some(key) = map.next_key::<FieldName>()? {
            match key {
                FieldName::Known(index) => draft.fields[index] = Some(map.next_value()?),
                FieldName::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    draft.unknown.get_or_insert(name);
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

enum FieldName {
    Known(usize),
    Unknown(Box<str>),
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = FieldName;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a field's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<FieldName, E> {
                // The places of FIELDS; a `match` on text is quicker than looking through them.
                Ok(FieldName::Known(match name {
                    "eventType" => 0,
                    "eventName" => 1,
                    "eventId" => 2,
                    "timestamp" => 3,
                    "sessionId" => 4,
                    "userId" => 5,
                    "properties" => 6,
                    "sentAt" => 7,
                    other => return Ok(FieldName::Unknown(other.into())),
                }))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// The whole body of a batch.
struct Batch<'f> {
    too_many: &'f mut bool,
}

impl<'de> DeserializeSeed<'de> for Batch<'_> {
    type Value = Drafts<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Drafts<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = Drafts<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a batch of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Drafts<'de>, A::Error> {
        let mut events = Vec::with_capacity(64);
        while let Some(draft) = seq.next_element()? {
            if events.len() == limits::BATCH_EVENTS {
                *self.too_many = true;
                return Err(A::Error::custom("too many events"));
            }
            events.push(draft);
        }
        Ok(Drafts { events, sent_at: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Drafts<'de>, A::Error> {
        let mut drafts = None;
        let mut sent_at = None;
        while let Some(key) = map.next_key::<Cow<str>>()? {
            match &*key {
                "events" => drafts = Some(map.next_value_seed(Batch { too_many: &mut *self.too_many })?),
                "sentAt" => sent_at = Some(map.next_value()?),
                other => return Err(A::Error::custom(format_args!("unknown field {other}"))),
            }
        }
        let drafts: Drafts = drafts.ok_or_else(|| A::Error::custom("no events"))?;
        Ok(Drafts { sent_at, ..drafts })
    }
}
