//! Points in time as the API takes and gives them: RFC 3339 or epoch milliseconds in, RFC 3339 in UTC out.

use jiff::{SpanRound, Timestamp, Unit};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type EpochMillis = i64;

/// What the API accepts as a time, for error messages.
pub const FORMATS: &str = "a time with its UTC offset as in RFC 3339 (2026-11-24T09:30:00Z, 2026-11-24T12:30:00.250+03:00) or epoch milliseconds (1795512600000)";

/// Reads RFC 3339, or epoch milliseconds written as digits. Finer than a millisecond is cut off.
///
/// Dates before 1970 or after 9999, and numbers that look like seconds (below 10^11, which as milliseconds would be
/// before March 1973), are refused: each is a sign of a wrong unit rather than of an event that old.
#[must_use]
pub fn parse(text: &str) -> Option<EpochMillis> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|&millis| is_plausible(millis));
    }
    // RFC 3339 wants the offset, and a 'T' or a space between date and time; the parser behind takes more than that.
    let time = text.as_bytes().get(10)?;
    if !matches!(time, b'T' | b't' | b' ') {
        return None;
    }
    let millis = text.parse::<Timestamp>().ok()?.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(millis).ok().filter(|&millis| is_plausible(millis))
}

fn is_plausible(millis: EpochMillis) -> bool {
    const SMALLEST: EpochMillis = 100_000_000_000;
    const LARGEST: EpochMillis = 253_402_300_799_999;
    (SMALLEST..=LARGEST).contains(&millis)
}

/// RFC 3339 in UTC with milliseconds: `2026-11-24T09:30:00.000Z`.
#[must_use]
pub fn format(millis: EpochMillis) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |time| format!("{time:.3}"))
}

/// A length of time as people say it: `3h 5m`, `2d`.
#[must_use]
pub fn humanize(millis: i64) -> String {
    let span = jiff::SignedDuration::from_millis(millis.abs());
    let span = jiff::Span::try_from(span)
        .and_then(|span| span.round(SpanRound::new().largest(Unit::Hour).smallest(Unit::Second)));
    span.map_or_else(|_| format!("{millis} ms"), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc_3339_and_epoch_milliseconds() {
        for text in
            ["2026-11-24T09:30:00Z", "2026-11-24t12:30:00.000+03:00", "2026-11-24 09:30:00.0009Z", "1795512600000"]
        {
            assert_eq!(parse(text), Some(1_795_512_600_000), "{text}");
        }
        assert_eq!(format(1_795_512_600_000), "2026-11-24T09:30:00.000Z");
    }

    #[test]
    fn refuses_what_is_not_a_point_in_time() {
        for text in [
            "",
            "yesterday",
            "2026-11-24",
            "2026-11-24T09:30:00",
            "24.11.2026 09:30",
            "1795512600",
            "-5",
            "1e12",
            "99999999999999999999",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "20261124T093000Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn says_lengths_of_time_in_words() {
        assert_eq!(humanize(11_100_000), "3h 5m");
        assert_eq!(humanize(-1_000), "1s");
    }
}
