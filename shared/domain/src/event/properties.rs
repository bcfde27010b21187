//! Looks through an event's properties, in one pass over text that is known to be valid JSON: for what cannot be kept, and
//! for what stands in another than the canonical form. Most clients send compact JSON, which then is sealed as it came.

use std::borrow::Cow;

use memchr::memchr;

use super::{
    limits,
    normal::is_nfc,
    rejection::{Code, Rejection, pointer_segment},
    spelling::{Problem, check_number, code_unit, half_a_character, is_needed, quote_or_escape},
    stored::canonical_properties,
};
use crate::metric::check_property;

/// The JSON text of `properties` in canonical form, borrowed if it is in that form already. `names` is room to work in.
///
/// # Errors
/// As [`check`]; and if the canonical form is larger than an event may be.
pub(super) fn canonical<'a>(text: &'a str, names: &mut Vec<&'a str>) -> Result<Cow<'a, str>, Rejection> {
    if check(text, names)? {
        return Ok(Cow::Borrowed(text));
    }
    let canonical = canonical_properties(text)
        .map_err(|error| Rejection::new(Code::InvalidJson, "/properties", error.to_string()))?
        .json;
    // One spelling may be longer than another: 1e15, or a character that only its parts are normal for. What is found can
    // be sent again, so the limits hold for the canonical form too.
    check(&canonical, &mut Vec::new())?;
    if canonical.len() > limits::EVENT_BYTES {
        let detail = format!("an event has at most {} bytes, with its numbers written out", limits::EVENT_BYTES);
        return Err(Rejection::new(Code::TooLarge, "/properties", detail));
    }
    Ok(Cow::Owned(canonical))
}

/// Checks the JSON text of `properties`, an object that a JSON parser has already found well-formed. Says whether it is in
/// canonical form.
///
/// # Errors
/// Names the first property that cannot be kept: nested too deep, a number that no 64-bit type holds, half a surrogate
/// pair, an empty or over-long name, or one property too many.
fn check<'a>(text: &'a str, names: &mut Vec<&'a str>) -> Result<bool, Rejection> {
    let mut scan = Scan::new(text, names);
    match scan.run() {
        Ok(()) => Ok(scan.is_canonical),
        Err((code, detail)) => {
            let pointer = match scan.top_name {
                "" => "/properties".to_owned(),
                name => format!("/properties/{}", pointer_segment(&unescape(name))),
            };
            Err(Rejection::new(code, pointer, detail))
        }
    }
}

/// Bytes that the event store keeps of lists and objects beside the JSON, at most: each element of a list with the path of the list
/// ([`super::element`]), and the path of each object.
#[must_use]
pub fn derived_bytes(properties: &str) -> usize {
    let mut names = Vec::new();
    let mut scan = Scan::new(properties, &mut names);
    // What is refused today may have been sealed by an older version. What was counted until then is the best that is known.
    drop(scan.run());
    scan.derived
}

/// What the JSON text of a string (without its quotes) says; the text itself where that is not valid Unicode.
fn unescape(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

struct Scan<'a, 'n> {
    text: &'a str,
    /// There is a backquote somewhere: every name that the event store cannot read holds one.
    has_backquotes: bool,
    /// The property that is being looked at, as it stands in the text.
    top_name: &'a str,
    members: usize,
    /// Nothing has been found yet that has another spelling in canonical form.
    is_canonical: bool,
    /// The names of the objects that are open, while everything is canonical.
    names: &'n mut Vec<&'a str>,
    /// The object or list that is open at each depth.
    levels: [Level; limits::DEPTH + 1],
    /// See [`derived_bytes`].
    derived: usize,
}

/// A string of the text.
#[derive(Clone, Copy)]
struct Text {
    /// Where its closing quote is.
    end: usize,
    is_escaped: bool,
    may_have_dots: bool,
}

/// An object or list that is open.
#[derive(Clone, Copy, Default)]
struct Level {
    place: Place,
    /// Bytes of its path, and of that of its present member.
    path: usize,
    member_path: usize,
    /// Where its names begin.
    start: usize,
    /// A bit for each name, by [`bit`]: only names with the same bit are compared.
    bits: u64,
}

/// What an open object or list is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// An object that stands in objects only.
    #[default]
    Object,
    /// A list in such an object: its elements are kept.
    List,
    /// Anything within a list.
    Beyond,
}

/// What an element takes beside its path and its text: the length of the path, a colon, the kind, the text's own length. A number may be
/// written longer than it stands in JSON.
const ELEMENT: usize = 8;
const NUMBER: usize = 24;

/// One of 64 bits for a name that is not empty; names of one object rarely share one.
fn bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let at = |index: usize| u32::from(bytes[index]);
    let mixed = at(0) + 5 * at(bytes.len() / 2) + 11 * at(bytes.len() - 1) + 23 * bytes.len() as u32;
    1 << (mixed % 64)
}

impl<'a, 'n> Scan<'a, 'n> {
    fn new(text: &'a str, names: &'n mut Vec<&'a str>) -> Self {
        names.clear();
        Self {
            text,
            has_backquotes: memchr(b'`', text.as_bytes()).is_some(),
            top_name: "",
            members: 0,
            is_canonical: true,
            names,
            levels: [Level::default(); limits::DEPTH + 1],
            derived: 0,
        }
    }

    fn run(&mut self) -> Result<(), Problem> {
        let bytes = self.text.as_bytes();
        let mut depth = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let string = self.string(at)?;
                    // Only a member's name is followed by a colon.
                    let behind = string.end + 1;
                    let is_name = bytes.get(behind) == Some(&b':');
                    if is_name || bytes[behind..].trim_ascii_start().first() == Some(&b':') {
                        self.member(&self.text[at..string.end], string, depth)?;
                    } else {
                        self.value(depth, string.end - at);
                    }
                    at = behind + usize::from(is_name);
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth > limits::DEPTH {
                        let detail = format!("objects and arrays may stand {} deep within each other", limits::DEPTH);
                        return Err((Code::TooDeep, detail));
                    }
                    self.open(byte, depth);
                }
                b'}' | b']' => {
                    self.names.truncate(self.levels[depth].start);
                    depth -= 1;
                }
                b'-' | b'0'..=b'9' => {
                    let start = at - 1;
                    let mut is_integer = true;
                    while let Some(more @ (b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) = bytes.get(at) {
                        is_integer &= more.is_ascii_digit();
                        at += 1;
                    }
                    self.is_canonical &= check_number(&self.text[start..at], is_integer)?;
                    self.value(depth, NUMBER);
                }
                b't' | b'f' => self.value(depth, "false".len()),
                b' ' | b'\n' | b'\r' | b'\t' => self.is_canonical = false,
                _ => {}
            }
        }
        if self.derived > limits::DERIVED_BYTES {
            let detail = format!(
                "the lists of an event take at most {} bytes as they are stored, each element with the path of its list: shorten the \
                 lists or the names of the properties that lead to them",
                limits::DERIVED_BYTES
            );
            return Err((Code::TooLarge, detail));
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8, depth: usize) {
        let above = self.levels[depth - 1];
        let place = match (above.place, bracket) {
            (Place::Object, b'{') => Place::Object,
            (Place::Object, _) => Place::List,
            (Place::List | Place::Beyond, _) => Place::Beyond,
        };
        if place == Place::Object {
            self.derived += above.member_path;
        }
        let path = above.member_path;
        self.levels[depth] = Level { place, path, member_path: path, start: self.names.len(), bits: 0 };
    }

    /// A text, a number or a flag of so many bytes.
    fn value(&mut self, depth: usize, bytes: usize) {
        let Level { place: Place::List, path, .. } = self.levels[depth] else { return };
        self.derived += path + bytes + ELEMENT;
    }

    /// The string that starts at `start`, behind its opening quote.
    fn string(&mut self, start: usize) -> Result<Text, Problem> {
        let bytes = self.text.as_bytes();
        let (mut piece, mut at) = (start, start);
        // `\uD83D` waits for its other half, which must follow at once.
        let mut high_half_ended_at = None;
        loop {
            let Some(piece_end) = quote_or_escape(&bytes[at..]) else { return Err(half_a_character()) };
            at += piece_end.at;
            // No character that canonical form escapes combines with one beside it, so pieces between them are normal by
            // themselves.
            self.is_canonical = self.is_canonical && (piece_end.is_ascii || is_nfc(&self.text[piece..at]));
            if bytes[at] == b'"' {
                if high_half_ended_at.is_some() {
                    return Err(half_a_character());
                }
                let is_escaped = piece > start;
                return Ok(Text { end: at, is_escaped, may_have_dots: is_escaped || piece_end.may_have_dots });
            }
            let unit =
                bytes.get(at + 1).filter(|&&kind| kind == b'u').and_then(|_| code_unit(bytes.get(at + 2..at + 6)?));
            high_half_ended_at = match (unit, high_half_ended_at) {
                (Some(0xDC00..=0xDFFF), Some(end)) if end == at => None,
                (Some(0xDC00..=0xDFFF), _) | (_, Some(_)) => return Err(half_a_character()),
                (Some(0xD800..=0xDBFF), None) => Some(at + 6),
                _ => None,
            };
            let end = at + if unit.is_some() { 6 } else { 2 };
            self.is_canonical &= is_needed(&bytes[at + 1..end]);
            (piece, at) = (end, end);
        }
    }

    fn member(&mut self, name: &'a str, text: Text, depth: usize) -> Result<(), Problem> {
        if depth == 1 {
            self.top_name = name;
        }
        self.members += 1;
        if self.members > limits::PROPERTIES {
            let detail =
                format!("an event has at most {} properties, those of nested objects included", limits::PROPERTIES);
            return Err((Code::TooManyProperties, detail));
        }
        if name.is_empty() {
            return Err((Code::Empty, "a property needs a name".to_owned()));
        }
        if name.len() > limits::NAME_CHARS && unescape(name).chars().count() > limits::NAME_CHARS {
            let detail = format!("a property's name has at most {} characters", limits::NAME_CHARS);
            return Err((Code::TooLong, detail));
        }
        if (self.has_backquotes || text.is_escaped) && name.contains(['`', '\\']) {
            check_property(&unescape(name)).map_err(|detail| (Code::InvalidName, detail))?;
        }
        let object = &mut self.levels[depth];
        object.member_path = object.path + usize::from(object.path > 0) + name.len();
        if text.may_have_dots && object.place == Place::Object {
            // A name with dots stands for objects, too.
            self.derived += name.bytes().filter(|byte| *byte == b'.').count() * object.member_path;
        }
        // In canonical form, equal names are spelled alike.
        if self.is_canonical {
            let bit = bit(name);
            self.is_canonical = object.bits & bit == 0 || !self.names[object.start..].contains(&name);
            object.bits |= bit;
            self.names.push(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> (Code, String) {
        serde_json::from_str::<&serde_json::value::RawValue>(text).expect("the scan is given JSON only");
        let rejection = check(text, &mut Vec::new()).expect_err("refused");
        (rejection.code, rejection.pointer)
    }

    #[test]
    fn a_name_that_the_event_store_cannot_read_is_refused() {
        let names = ["a.:`Nope`", "^`b", "x@`", "\\u003a\\u0060"];
        for name in names {
            let text = format!("{{\"o\":{{\"{name}\":1}}}}");
            assert_eq!(problem(&text), (Code::InvalidName, "/properties/o".to_owned()), "{name}");
        }
        check(r#"{"`a`":1,"a:b":2,"a\\b":3}"#, &mut Vec::new()).expect("these are names");
    }

    #[test]
    fn takes_what_marketers_send() {
        for text in [
            "{}",
            r#"{"text":"限时优惠 \"今天\" 🎉\ud83c\udf89\\","n":-1.5e3,"ok":true,"none":null,"tags":["a",{"b":[1]}]}"#,
            r#"{ "a" : 18446744073709551615 , "b" : -9223372036854775808, "c\"" :"x:" }"#,
        ] {
            assert!(check(text, &mut Vec::new()).is_ok(), "{text}");
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
            prop_assert_eq!(check(&text, &mut Vec::new()).is_ok(), parses, "{}", text);
        }

        #[test]
        fn no_more_is_derived_than_is_counted(object in object()) {
            let canonical = canonical_properties(&object).expect("is JSON");
            let derived: usize = canonical.elements.iter().chain(&canonical.objects).map(String::len).sum();
            prop_assert!(derived <= derived_bytes(&canonical.json), "{} of {}", derived, canonical.json);
        }

        /// Canonical text is borrowed, other text is made canonical, and which of the two it is, the scan knows by itself.
        #[test]
        fn knows_what_is_canonical(object in object()) {
            let canonical_text = canonical_properties(&object).expect("is JSON").json;
            let mut names = Vec::new();
            match check(&object, &mut names) {
                Ok(is_canonical) => prop_assert_eq!(is_canonical, object == canonical_text, "{}", object),
                Err(problem) => prop_assert_eq!(problem.code, Code::TooLong, "{}", object),
            }
            if let Ok(text) = canonical(&object, &mut names) {
                prop_assert_eq!(matches!(text, Cow::Borrowed(_)), object == canonical_text);
                prop_assert_eq!(&*text, &*canonical_text);
                let again = canonical(&canonical_text, &mut Vec::new());
                prop_assert!(matches!(again, Ok(Cow::Borrowed(_))), "{}", canonical_text);
            }
        }
    }

    /// Pieces of JSON in every spelling that clients have, and some that none has.
    fn string() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-z漢ñй ]{1,3}",
            1 => proptest::sample::select(vec![
                "\\n", "\\t", "\\\\", "\\\"", "\\/", "\\b", "\\f", "\\r", "\\u000a", "\\u0000", "\\u001F", "\\u001f", "\\u000B",
                "\\u000b", "\\u0041", "\\u00e9", "\\ud83c\\udf89", "🎉", "\u{7f}", "\u{2028}", "e\u{301}", "é", "\u{301}",
                "и\u{306}", "\u{212B}", "が", "か\u{3099}", "\u{958}", "\u{FFFD}", "：", "。", "$serde_json::private::Number",
            ]).prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
    }

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<u64>().prop_map(|number| number.to_string()),
            (-1e9..1e9_f64).prop_map(|number| number.to_string()),
            any::<f64>().prop_filter("is JSON", |number| number.is_finite()).prop_map(|number| format!("{number:?}")),
            any::<f64>().prop_filter("is JSON", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
            "-?(0|[1-9][0-9]{0,8})\\.[0-9]{1,12}",
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}",
            Just("-0".to_owned()),
            Just("0.00001".to_owned()),
        ]
    }

    fn object() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            Just("\"a\"".to_owned()),
            Just("\"\\u0061\"".to_owned()),
            Just("\"$serde_json::private::RawValue\"".to_owned()),
            Just("\"$serde_json::private::Number\"".to_owned()),
            string().prop_filter("a name", |name| name != "\"\""),
        ];
        let leaf = prop_oneof![
            string(),
            number(),
            proptest::sample::select(vec!["true", "false", "null", "{}", "[]", "{ }"]).prop_map(str::to_owned),
        ];
        let space = || proptest::sample::select(vec!["", "", "", "", "", "", "", " ", "\n\t"]);
        let objects = move |value: BoxedStrategy<String>| {
            (proptest::collection::vec((name.clone(), value), 0..4), space(), space()).prop_map(
                |(members, before, behind)| {
                    let members: Vec<String> =
                        members.into_iter().map(|(name, value)| format!("{name}{before}:{behind}{value}")).collect();
                    format!("{{{}}}", members.join(","))
                },
            )
        };
        let value = leaf.prop_recursive(3, 16, 4, {
            let objects = objects.clone();
            move |inner| {
                let list =
                    proptest::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(",")));
                prop_oneof![list, objects(inner.boxed())]
            }
        });
        objects(value.boxed())
    }

    #[test]
    fn lists_under_long_paths_and_names_of_many_dots_are_refused() {
        let path = |names: usize| format!("{{\"{}\":", "n".repeat(128)).repeat(names);
        let list = format!("{}[{}]{}", path(7), ["1"; 14_000].join(","), "}".repeat(7));
        let dotted: Vec<String> = (0..200).map(|number| format!("\"{}{number}\":1", "a.".repeat(60))).collect();
        for text in [list, format!("{{{}}}", dotted.join(","))] {
            assert!(text.len() <= limits::EVENT_BYTES);
            assert_eq!(problem(&text).0, Code::TooLarge);
        }
        let usual = format!("{{\"recipients\":[{}]}}", ["4242424242"; 2_900].join(","));
        check(&usual, &mut Vec::new()).expect("is taken");
    }

    #[test]
    fn a_canonical_form_that_is_too_large_is_refused() {
        let text = format!("{{\"a\":[{}]}}", ["1e15"; 2_000].join(","));
        let rejection = canonical(&text, &mut Vec::new()).expect_err("refused");
        assert_eq!((rejection.code, &*rejection.pointer), (Code::TooLarge, "/properties"));
    }
}
