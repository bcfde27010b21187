//! One field of an event: JSON text in; a name, an id or a time out, or what is wrong with it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    limits,
    normal::nfc_cow,
    rejection::{Code, Rejection},
    spelling::is_visible,
};
use crate::time;

/// A field that is null is absent.
pub(super) fn optional(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// The text of a JSON string; what it is instead, if it is none.
pub(super) fn text(raw: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    let json = raw.get();
    match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(Cow::Borrowed(&json[1..json.len() - 1])),
        [b'"', ..] => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|_| Rejection::new(Code::InvalidString, "", "the string is not valid Unicode")),
        other => {
            let what = match other.first() {
                Some(b'{') => "an object",
                Some(b'[') => "an array",
                Some(b't' | b'f') => "a boolean",
                Some(b'n') => "null",
                _ => "a number",
            };
            Err(Rejection::new(Code::InvalidType, "", format!("must be a string, this is {what}")))
        }
    }
}

/// What nearly every name and id is: a short string of visible ASCII without escapes, of which there is nothing more to
/// check.
fn plain_text(json: &str) -> Option<&str> {
    let [b'"', inner @ .., b'"'] = json.as_bytes() else { return None };
    let is_short = (1..=limits::NAME_CHARS).contains(&inner.len());
    (is_short && is_visible(inner)).then(|| &json[1..json.len() - 1])
}

/// A name: absent or null, or a string that a person could have meant, in normalization form C.
pub(super) fn name<'a>(raw: Option<&'a RawValue>, pointer: &str) -> Result<Option<Cow<'a, str>>, Rejection> {
    let Some(raw) = optional(raw) else { return Ok(None) };
    if let Some(plain) = plain_text(raw.get()) {
        return Ok(Some(Cow::Borrowed(plain)));
    }
    let text = text(raw).map_err(|problem| Rejection { pointer: pointer.to_owned(), ..problem })?;
    let text = nfc_cow(text);
    if text.trim().is_empty() {
        return Err(Rejection::new(Code::Empty, pointer, "must contain a visible character"));
    }
    if text.len() > limits::NAME_CHARS && text.chars().count() > limits::NAME_CHARS {
        let detail = format!("has at most {} characters", limits::NAME_CHARS);
        return Err(Rejection::new(Code::TooLong, pointer, detail));
    }
    if text.chars().any(char::is_control) {
        return Err(Rejection::new(Code::InvalidCharacter, pointer, "must not hold control characters"));
    }
    Ok(Some(text))
}

/// An id: as a name, or an integer of 64 bits, which stands for its decimal text: the ids of Telegram are numbers.
pub(super) fn id<'a>(raw: Option<&'a RawValue>, pointer: &str) -> Result<Option<Cow<'a, str>>, Rejection> {
    let json = raw.map_or("", RawValue::get);
    if !matches!(json.as_bytes(), [b'-' | b'0'..=b'9', ..]) {
        return name(raw, pointer);
    }
    if json.contains(['.', 'e', 'E']) {
        let detail = "must be a string or an integer without fraction and exponent: write it in quotes";
        return Err(Rejection::new(Code::InvalidType, pointer, detail));
    }
    match json {
        "-0" => Ok(Some(Cow::Borrowed("0"))),
        _ if json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok() => Ok(Some(Cow::Borrowed(json))),
        _ => {
            let detail = "the number is larger than 64 bits hold: write it in quotes";
            Err(Rejection::new(Code::NumberOutOfRange, pointer, detail))
        }
    }
}

/// A point in time, as text or as a number of milliseconds.
pub(super) fn moment(raw: &RawValue, pointer: &str) -> Result<i64, Rejection> {
    let said = match text(raw) {
        Ok(text) => text,
        // A number stands for itself; anything else is no time.
        Err(_) => Cow::Borrowed(raw.get()),
    };
    time::parse(&said).ok_or_else(|| {
        let code = if raw.get().starts_with(['{', '[', 't', 'f']) { Code::InvalidType } else { Code::InvalidTimestamp };
        Rejection::new(code, pointer, time::problem(&said))
    })
}
