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
}

impl Code {
    pub const ALL: [Self; 16] = [
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

impl Rejection {
    #[must_use]
    pub fn new(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, pointer: pointer.into(), detail: detail.into() }
    }
}

/// Escapes one segment of a JSON pointer (RFC 6901, section 3).
pub(crate) fn pointer_segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
