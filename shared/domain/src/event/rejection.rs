//! Why an event was refused.

use serde::{Deserialize, Serialize};

/// Stable names of what can be wrong with an event; clients may rely on them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    InvalidJson,
    InvalidType,
    Required,
    Empty,
    TooLong,
    TooLarge,
    TooDeep,
    TooManyProperties,
    InvalidCharacter,
    InvalidString,
    InvalidTimestamp,
    TimestampRequired,
    TimestampInFuture,
    TimestampTooOld,
    NumberOutOfRange,
    UnknownField,
    // A sealed batch holds the place of a code in this list: new ones go to the end.
    AccountMismatch,
    InvalidUtf8,
    InvalidIp,
    InvalidLocale,
    InvalidName,
}

impl Code {
    pub const ALL: [Self; 21] = [
        Self::InvalidJson,
        Self::InvalidType,
        Self::Required,
        Self::Empty,
        Self::TooLong,
        Self::TooLarge,
        Self::TooDeep,
        Self::TooManyProperties,
        Self::InvalidCharacter,
        Self::InvalidString,
        Self::InvalidTimestamp,
        Self::TimestampRequired,
        Self::TimestampInFuture,
        Self::TimestampTooOld,
        Self::NumberOutOfRange,
        Self::UnknownField,
        Self::AccountMismatch,
        Self::InvalidUtf8,
        Self::InvalidIp,
        Self::InvalidLocale,
        Self::InvalidName,
    ];

    /// The name as it stands in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidType => "invalid_type",
            Self::Required => "required",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooManyProperties => "too_many_properties",
            Self::InvalidCharacter => "invalid_character",
            Self::InvalidString => "invalid_string",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TimestampRequired => "timestamp_required",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::UnknownField => "unknown_field",
            Self::AccountMismatch => "account_mismatch",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidIp => "invalid_ip",
            Self::InvalidLocale => "invalid_locale",
            Self::InvalidName => "invalid_name",
        }
    }
}

/// One thing wrong with one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: Code,
    /// JSON pointer (RFC 6901) within the event: `/properties/amount`; empty for the event as a whole.
    pub pointer: String,
    /// What is wrong and what would be right, for people.
    pub detail: String,
}

/// Characters of a pointer.
const POINTER_CHARS: usize = 256;
/// Characters of a detail.
const DETAIL_CHARS: usize = 512;

impl Rejection {
    /// A pointer or a detail that is too long is cut: an answer may have to carry hundreds of them.
    #[must_use]
    pub fn new(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, pointer: cut(pointer.into(), POINTER_CHARS), detail: cut(detail.into(), DETAIL_CHARS) }
    }
}

fn cut(mut text: String, characters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
    }
    text
}

/// Escapes one segment of a JSON pointer (RFC 6901, section 3).
pub(crate) fn pointer_segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pointer_and_a_long_detail_are_cut() {
        let rejection = Rejection::new(Code::TooLong, "я".repeat(10_000), "я".repeat(10_000));
        assert_eq!(
            (rejection.pointer.chars().count(), rejection.detail.chars().count()),
            (POINTER_CHARS, DETAIL_CHARS)
        );
        let short = Rejection::new(Code::TooLong, "/a", "я");
        assert_eq!((&*short.pointer, &*short.detail), ("/a", "я"));
    }

    /// Messages that were sealed long ago name a code by its place.
    #[test]
    fn codes_keep_their_places() {
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{}", code.name());
        }
        assert_eq!((Code::InvalidJson as usize, Code::UnknownField as usize), (0, 15));
    }
}
