//! One event as a client sends it, and its bytes.

use std::io::Write as _;

use analytics_domain::catalogue;
use jiff::Timestamp;
use uuid::Uuid;

use crate::rng::Rng;

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Integer(i64),
    /// A number of hundredths: 1234 is written as 12.34. Money must not pass through a binary fraction.
    Hundredths(i64),
    /// A number of thousandths: 13 is written as 0.013.
    Thousandths(i64),
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// An event. Its identity inside an account is (`name`, `at_ms`, `id`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub name: &'static str,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// A version 7 UUID of the same millisecond.
    pub id: String,
    pub session_id: Option<String>,
    pub user_id: Option<String>,
    pub properties: Vec<(&'static str, Value)>,
}

impl Event {
    pub fn new(name: &'static str, at_ms: i64, rng: &mut Rng) -> Self {
        let id = event_id(at_ms, rng.u64(), rng.u64()).hyphenated().to_string();
        Self { name, at_ms, id, session_id: None, user_id: None, properties: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, property: &'static str, value: impl Into<Value>) -> Self {
        self.properties.push((property, value.into()));
        self
    }

    #[must_use]
    pub fn session(mut self, id: &str) -> Self {
        self.session_id = Some(id.to_owned());
        self
    }

    #[must_use]
    pub fn user(mut self, id: &str) -> Self {
        self.user_id = Some(id.to_owned());
        self
    }

    pub fn property(&self, key: &str) -> Option<&Value> {
        self.properties.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The type that the catalogue has for the name: `message`, `link`, …
    pub fn event_type(&self) -> &'static str {
        catalogue::type_of(self.name)
    }

    /// The event as one JSON object.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(512);
        self.write_json(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Appends the event as one JSON object, without a line break.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write_head(out);
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(BETWEEN_ID_AND_TIME);
        out.extend_from_slice(rfc3339(self.at_ms).as_bytes());
        self.write_tail(out);
    }

    /// Everything before the id's first character.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        let (kind, name) = (self.event_type(), self.name);
        append(out, format_args!(r#"{{"eventType":"{kind}","eventName":"{name}","eventId":""#));
    }

    /// Everything after the timestamp's last character.
    pub(crate) fn write_tail(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        for (key, id) in [("sessionId", &self.session_id), ("userId", &self.user_id)] {
            if let Some(id) = id {
                append(out, format_args!(r#","{key}":"#));
                write_text(out, id);
            }
        }
        out.extend_from_slice(br#","properties":{"#);
        for (index, (key, value)) in self.properties.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            append(out, format_args!(r#"{comma}"{key}":"#));
            match value {
                Value::Text(text) => write_text(out, text),
                Value::Integer(number) => append(out, format_args!("{number}")),
                Value::Hundredths(number) => write_decimal(out, *number, 100),
                Value::Thousandths(number) => write_decimal(out, *number, 1_000),
                Value::Flag(flag) => append(out, format_args!("{flag}")),
            }
        }
        out.extend_from_slice(b"}}");
    }
}

/// What stands between an event's id and its time.
pub(crate) const BETWEEN_ID_AND_TIME: &[u8] = br#"","timestamp":""#;

/// A version 7 UUID of a millisecond, with the rest from two random numbers.
pub(crate) fn event_id(at_ms: i64, high: u64, low: u64) -> Uuid {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&high.to_be_bytes());
    random[8..].copy_from_slice(&low.to_be_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(at_ms.unsigned_abs(), &random).into_uuid()
}

/// `2026-07-01T08:15:30.123Z`: always 24 characters.
pub fn rfc3339(at_ms: i64) -> String {
    let time = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

/// `number` of the parts that a whole has: -1205 hundredths are -12.05.
fn write_decimal(out: &mut Vec<u8>, number: i64, parts: u64) {
    let sign = if number < 0 { "-" } else { "" };
    let (whole, rest) = (number.unsigned_abs() / parts, number.unsigned_abs() % parts);
    let width = if parts == 100 { 2 } else { 3 };
    append(out, format_args!("{sign}{whole}.{rest:0width$}"));
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => append(out, format_args!("\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_json_with_every_value_as_it_was_given() {
        let mut rng = Rng::keyed(&[1]);
        let event = Event::new("cost_recorded", 1_782_893_730_007, &mut rng)
            .session("run \"1\"")
            .with("amount", Value::Hundredths(1205))
            .with("kind", "реклама\n广告 \u{1}\\ 🍵")
            .with("margin", Value::Hundredths(-50))
            .with("usdRate", Value::Thousandths(13))
            .with("n", -3)
            .with("flag", true);
        let json: serde_json::Value = serde_json::from_str(&event.to_json()).expect("valid JSON");
        assert_eq!(json["eventType"], "money");
        assert_eq!(json["timestamp"], "2026-07-01T08:15:30.007Z");
        assert_eq!(json["sessionId"], "run \"1\"");
        assert_eq!(json["properties"]["amount"], 12.05);
        assert_eq!(json["properties"]["kind"], "реклама\n广告 \u{1}\\ 🍵");
        assert_eq!(json["properties"]["margin"], -0.5);
        assert_eq!(json["properties"]["usdRate"], 0.013);
        assert_eq!(json["properties"]["n"], -3);
        assert_eq!(json["properties"]["flag"], true);
    }

    #[test]
    fn ids_are_version_7_uuids_of_the_events_own_millisecond() {
        let event = Event::new("message_read", 1_782_893_730_007, &mut Rng::keyed(&[1]));
        let id = Uuid::parse_str(&event.id).expect("a UUID");
        assert_eq!(id.get_version_num(), 7);
        let (seconds, nanos) = id.get_timestamp().expect("a timestamp").to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_782_893_730, 7));
    }
}
