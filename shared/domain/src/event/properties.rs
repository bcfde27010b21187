//! Looks through an event's properties for what cannot be kept: one pass over text that is known to be valid JSON.

use memchr::memchr2;

use super::{
    limits,
    rejection::{Code, Rejection, pointer_segment},
};

/// Checks the JSON text of `properties`, an object that a JSON parser has already found well-formed.
///
/// # Errors
/// Names the first property that cannot be kept: nested too deep, a number that no 64-bit type holds, half a surrogate
/// pair, an empty or over-long name, or one property too many.
pub(super) fn check(text: &str) -> Result<(), Rejection> {
    let mut scan = Scan { text, top_name: "", members: 0 };
    scan.run().map_err(|(code, detail)| {
        let pointer = match scan.top_name {
            "" => "/properties".to_owned(),
            name => format!("/properties/{}", pointer_segment(&unescape(name))),
        };
        Rejection::new(code, pointer, detail)
    })
}

/// What the JSON text of a string (without its quotes) says; the text itself where that is not valid Unicode.
fn unescape(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

type Problem = (Code, String);

struct Scan<'a> {
    text: &'a str,
    /// The property that is being looked at, as it stands in the text.
    top_name: &'a str,
    members: usize,
}

impl<'a> Scan<'a> {
    fn run(&mut self) -> Result<(), Problem> {
        let bytes = self.text.as_bytes();
        let mut depth = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let end = string_end(bytes, at)?;
                    // Only a member's name is followed by a colon.
                    if bytes[end + 1..].trim_ascii_start().first() == Some(&b':') {
                        self.member(&self.text[at..end], depth)?;
                    }
                    at = end + 1;
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth > limits::DEPTH {
                        let detail = format!("objects and arrays may stand {} deep within each other", limits::DEPTH);
                        return Err((Code::TooDeep, detail));
                    }
                }
                b'}' | b']' => depth -= 1,
                b'-' | b'0'..=b'9' => {
                    let rest = &bytes[at..];
                    let more =
                        rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
                    let end = at + more.unwrap_or(rest.len());
                    check_number(&self.text[at - 1..end])?;
                    at = end;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn member(&mut self, name: &'a str, depth: usize) -> Result<(), Problem> {
        if depth == 1 {
            self.top_name = name;
        }
        self.members += 1;
        if self.members > limits::PROPERTIES {
            return Err((Code::TooManyProperties, format!("an event has at most {} properties", limits::PROPERTIES)));
        }
        if name.is_empty() {
            return Err((Code::Empty, "a property needs a name".to_owned()));
        }
        if name.len() > limits::NAME_CHARS && unescape(name).chars().count() > limits::NAME_CHARS {
            let detail = format!("a property's name has at most {} characters", limits::NAME_CHARS);
            return Err((Code::TooLong, detail));
        }
        Ok(())
    }
}

/// Where the string that starts at `at` (behind its opening quote) has its closing quote.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, Problem> {
    // `\uD83D` waits for its other half, which must follow at once.
    let mut high_half_ended_at = None;
    loop {
        let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else { return Err(half_a_character()) };
        at += found;
        if bytes[at] == b'"' {
            return if high_half_ended_at.is_some() { Err(half_a_character()) } else { Ok(at) };
        }
        let unit = bytes.get(at + 1).filter(|&&kind| kind == b'u').and_then(|_| code_unit(bytes.get(at + 2..at + 6)?));
        high_half_ended_at = match (unit, high_half_ended_at) {
            (Some(0xDC00..=0xDFFF), Some(end)) if end == at => None,
            (Some(0xDC00..=0xDFFF), _) | (_, Some(_)) => return Err(half_a_character()),
            (Some(0xD800..=0xDBFF), None) => Some(at + 6),
            _ => None,
        };
        at += if unit.is_some() { 6 } else { 2 };
    }
}

fn code_unit(digits: &[u8]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn half_a_character() -> Problem {
    let detail = "a \\uD800 to \\uDFFF escape stands without its other half, so the string is not valid Unicode";
    (Code::InvalidString, detail.to_owned())
}

/// Integers must fit 64 bits, others a finite double: that is what storage and formulas compute with.
fn check_number(number: &str) -> Result<(), Problem> {
    let is_integer = !number.contains(['.', 'e', 'E']);
    let fits = match number.len() {
        ..=18 if is_integer => true,
        _ if is_integer => number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok(),
        _ => number.parse::<f64>().is_ok_and(f64::is_finite),
    };
    if fits {
        return Ok(());
    }
    let detail = "the number is larger than 64 bits hold: send it as a string if it is an id".to_owned();
    Err((Code::NumberOutOfRange, detail))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> (Code, String) {
        serde_json::from_str::<&serde_json::value::RawValue>(text).expect("the scan is given JSON only");
        let rejection = check(text).expect_err("refused");
        (rejection.code, rejection.pointer)
    }

    #[test]
    fn takes_what_marketers_send() {
        for text in [
            "{}",
            r#"{"text":"限时优惠 \"今天\" 🎉\ud83c\udf89\\","n":-1.5e3,"ok":true,"none":null,"tags":["a",{"b":[1]}]}"#,
            r#"{ "a" : 18446744073709551615 , "b" : -9223372036854775808, "c\"" :"x:" }"#,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn names_the_property_that_cannot_be_kept() {
        assert_eq!(problem(r#"{"a":1,"b/c":1e400}"#), (Code::NumberOutOfRange, "/properties/b~1c".into()));
        assert_eq!(problem(r#"{"a":{"b":18446744073709551616}}"#), (Code::NumberOutOfRange, "/properties/a".into()));
        assert_eq!(problem(r#"{"a":"\ud83d"}"#), (Code::InvalidString, "/properties/a".into()));
        assert_eq!(problem(r#"{"a":"\ud83d x\ude00"}"#), (Code::InvalidString, "/properties/a".into()));
        assert_eq!(problem(r#"{"a":"\ude00"}"#), (Code::InvalidString, "/properties/a".into()));
        assert_eq!(problem(r#"{"a":1,"":2}"#), (Code::Empty, "/properties".into()));
        assert_eq!(problem(&format!(r#"{{"{}":1}}"#, "я".repeat(129))).0, Code::TooLong);
        assert_eq!(problem(&format!(r#"{{"deep":{}1{}}}"#, "[".repeat(8), "]".repeat(8))).0, Code::TooDeep);
        let many: Vec<String> = (0..257).map(|n| format!("\"p{n}\":{n}")).collect();
        assert_eq!(problem(&format!("{{{}}}", many.join(","))).0, Code::TooManyProperties);
    }

    proptest! {
        /// serde_json's own reading of strings is the opponent: it refuses the same halves of surrogate pairs.
        #[test]
        fn agrees_with_a_full_parse_on_what_is_valid_unicode(
            units in proptest::collection::vec(prop_oneof![
                Just("\\ud83d"), Just("\\ude00"), Just("a"), Just("\\n"), Just("\\\\"), Just("\\\""), Just("я"), Just("\\u0041")
            ], 0..8)
        ) {
            let text = format!("{{\"k\":\"{}\"}}", units.concat());
            let parses = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(check(&text).is_ok(), parses, "{}", text);
        }
    }
}
