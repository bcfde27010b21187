//! Points in time as the API takes and gives them: RFC 3339 or epoch milliseconds in, RFC 3339 in UTC out.

use jiff::{SpanRound, Timestamp, Unit, civil::DateTime, tz::Offset};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type EpochMillis = i64;

/// What the API accepts as a time, for error messages.
pub const FORMATS: &str = "a time with its UTC offset as in RFC 3339 (2026-11-24T09:30:00Z, 2026-11-24T12:30:00.250+03:00) or epoch milliseconds (1795512600000)";

/// Reads RFC 3339, or epoch milliseconds written as digits. Finer than a millisecond is cut off.
///
/// Times before March 1973 (10^11 ms) or after 9999 are refused: a smaller number is one of seconds, and neither is when an
/// event here can have happened.
#[must_use]
pub fn parse(text: &str) -> Option<EpochMillis> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|&millis| is_plausible(millis));
    }
    if let Some(millis) = parse_usual(text) {
        return Some(millis).filter(|&millis| is_plausible(millis));
    }
    // RFC 3339 wants the offset, and a 'T' or a space between date and time; the parser behind takes more than that.
    let time = text.as_bytes().get(10)?;
    if !matches!(time, b'T' | b't' | b' ') {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond).filter(|&millis| is_plausible(millis))
}

/// What to say to a text that [`parse`] does not read. Numbers that count another unit than milliseconds are recognised, and
/// the right spelling is named.
#[must_use]
pub fn problem(text: &str) -> String {
    let mut problem = format!("must be {FORMATS}");
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let (unit, millis) = match number {
        // Until the year 5138, so that no count of days or date in digits is meant.
        Some(number @ 1e8..1e11) => ("seconds", number * 1e3),
        Some(number @ 1e11..2.5e14) => ("milliseconds with a fraction or an exponent", number),
        Some(number @ 2.5e14..1e17) => ("microseconds", number / 1e3),
        Some(number @ 1e17..1e20) => ("nanoseconds", number / 1e6),
        _ => return problem,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 2^53 by the ranges above")]
    let millis = millis.trunc() as EpochMillis;
    let time = format(millis);
    problem += &format!("; this looks like {unit}: send milliseconds ({millis}) or RFC 3339 ({time})");
    problem
}

/// Reads the form that programs mostly write, `2026-11-24T09:30:00.000Z`, several times faster than the general parser.
fn parse_usual(text: &str) -> Option<EpochMillis> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2, f3, b'Z'] =
        text.as_bytes()
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0_i16, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0')))
    };
    let small = |tens, ones| number(&[tens, ones]).and_then(|number| i8::try_from(number).ok());
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, small(m1, m2)?, small(d1, d2)?);
    let (hour, minute, second) = (small(h1, h2)?, small(n1, n2)?, small(s1, s2)?);
    let nanos = i32::from(number(&[f1, f2, f3])?) * 1_000_000;
    let time = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    Some(Offset::UTC.to_timestamp(time).ok()?.as_millisecond())
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn the_quick_reading_agrees_with_the_general_one(
            millis in 0_i64..=253_402_300_799_999,
            odd in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z",
        ) {
            prop_assert_eq!(parse_usual(&format(millis)), Some(millis));
            let general = odd.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
            prop_assert!(parse_usual(&odd).is_none_or(|quick| Some(quick) == general), "{}", odd);
        }
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
    fn a_number_in_another_unit_is_recognised() {
        let looks = |text: &str| {
            let problem = problem(text);
            assert!(problem.starts_with("must be a time"), "{problem}");
            problem.split_once("; this looks like ").map(|(_, hint)| hint.to_owned()).unwrap_or_default()
        };
        let right = "send milliseconds (1795512600000) or RFC 3339 (2026-11-24T09:30:00.000Z)";
        for (text, unit) in [
            ("1795512600", "seconds"),
            ("1795512600.0", "seconds"),
            ("1.7955126e9", "seconds"),
            ("1795512600000.25", "milliseconds with a fraction or an exponent"),
            ("1795512600000000", "microseconds"),
            ("1795512600000000000", "nanoseconds"),
        ] {
            assert_eq!(looks(text), format!("{unit}: {right}"), "{text}");
        }
        for text in ["", "soon", "20261124", "-1795512600", "1e300", "NaN", "2026-11-24"] {
            assert_eq!(looks(text), "", "{text}");
        }
    }

    #[test]
    fn says_lengths_of_time_in_words() {
        assert_eq!(humanize(11_100_000), "3h 5m");
        assert_eq!(humanize(-1_000), "1s");
    }
}
