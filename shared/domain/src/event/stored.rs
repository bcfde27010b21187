//! What of an event goes into storage: its properties in canonical form, the text to search, and the version by which
//! the first accepted copy of an event wins.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::columns::{TYPED_PROPERTIES, column_source};
use crate::{
    number::Number,
    text::{fold, nfc},
};

/// An event's properties, made ready for storage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Canonical {
    /// Compact JSON in which each value has one spelling: strings escaped only where they must be and in Unicode's form C, numbers
    /// in their shortest form, the first of equally named members.
    pub json: String,
    /// Every string value with its case folded, one a line.
    pub text: String,
    /// The texts, numbers and flags that stand in lists: see [`element`].
    pub elements: Vec<String>,
    /// Paths at which objects stand, in order. A name with dots stands for objects too.
    pub objects: Vec<String>,
    /// See [`column_source`]; empty where it is the same as `json`.
    pub source: String,
}

/// An element of a list as storage keeps it: `kind` is `t` for a text, `n` for a number, `b` for a flag. The path's length in front
/// makes sure that no other path and text read the same.
#[must_use]
pub fn element(path: &str, kind: char, text: &str) -> String {
    format!("{}{kind}{text}", element_prefix(path))
}

/// What all elements of the list at a path start with, before their kind.
#[must_use]
pub fn element_prefix(path: &str) -> String {
    format!("{}:{path}", path.len())
}

/// Brings the JSON text of an object into canonical form.
///
/// # Errors
/// If the text is not JSON.
pub fn canonical_properties(properties: &str) -> Result<Canonical, serde_json::Error> {
    let mut writer = Building {
        out: Canonical {
            json: String::with_capacity(properties.len()),
            text: String::with_capacity(properties.len() / 2),
            ..Canonical::default()
        },
        path: String::new(),
        objects: BTreeSet::new(),
        dotted: BTreeSet::new(),
        place: Place::Object,
    };
    let mut parser = serde_json::Deserializer::from_str(properties);
    Writer { to: &mut writer }.deserialize(&mut parser)?;
    parser.end()?;
    let mut canonical = writer.out;
    canonical.objects = writer.objects.into_iter().collect();
    // Objects in typed properties are rare.
    if canonical.objects.iter().any(|path| TYPED_PROPERTIES.contains(&path.as_str())) {
        canonical.source = column_source(&canonical.json).unwrap_or_default();
    }
    Ok(canonical)
}

/// A number's one spelling in JSON: an integer where it is one, else the shortest decimal that reads back the same.
#[must_use]
pub fn canonical_number(value: f64) -> String {
    match Number::from_f64(value) {
        Some(Number::Integer(integer)) => integer.to_string(),
        Some(Number::Double(double)) => {
            serde_json::Number::from_f64(double).map_or_else(null, |number| number.to_string())
        }
        None => null(),
    }
}

fn null() -> String {
    "null".to_owned()
}

/// The version of an event accepted at `received_at` (epoch milliseconds) at this place of this request. Of equal events
/// the one with the highest version stays, so a version falls with time and place: the first stays. Two requests of one
/// millisecond are told apart by their ids, so that whatever order they are stored in, the same one stays.
#[must_use]
pub fn version(received_at: i64, position: u32, batch_id: &str) -> u64 {
    // 42 bits hold the milliseconds until the year 2109, 12 every place in a batch (at most 2,000), 10 are left.
    let time = u64::try_from(received_at).unwrap_or_default() << 22;
    let place = u64::from(position & 0xFFF) << 10;
    let request = batch_id.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) & 0x3FF;
    u64::MAX - (time | place | request)
}

/// A canonical form under construction.
struct Building {
    out: Canonical,
    /// Where the value stands that is read next.
    path: String,
    /// As in [`Canonical`].
    objects: BTreeSet<String>,
    /// Paths with dots at which values were found. Of several values at one path, the first counts.
    dotted: BTreeSet<String>,
    place: Place,
}

/// What the value that is read next is a part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Object,
    /// A list whose elements count.
    List,
    /// A list within a list, an object within one, or a list at a path that has a value already.
    Beyond,
}

impl Building {
    /// Notes that a value other than null stands here. False if another one did already.
    fn stands_here(&mut self) -> bool {
        if !self.path.contains('.') {
            return true;
        }
        if !self.dotted.insert(self.path.clone()) {
            return false;
        }
        self.note_objects_above();
        true
    }

    /// What stands before each dot of the path is an object, or a name with dots that stands for one.
    fn note_objects_above(&mut self) {
        for (at, _) in self.path.match_indices('.') {
            let (above, below) = (&self.path[..at], &self.path[at + 1..]);
            if !above.is_empty() && !below.is_empty() && !self.objects.contains(above) {
                self.objects.insert(above.to_owned());
            }
        }
    }

    fn object_stands_here(&mut self) {
        if self.place == Place::Object && !self.path.is_empty() {
            self.note_objects_above();
            self.objects.insert(self.path.clone());
        }
    }

    /// A text, a number or a flag.
    fn scalar(&mut self, kind: char, text: &str) {
        match self.place {
            Place::Object => drop(self.stands_here()),
            Place::List => self.out.elements.push(element(&self.path, kind, text)),
            Place::Beyond => {}
        }
    }

    fn string(&mut self, value: &str) {
        let value = nfc(value);
        write_string(&mut self.out.json, &value);
        if !self.out.text.is_empty() {
            self.out.text.push('\n');
        }
        self.out.text.push_str(&fold(&value));
        self.scalar('t', &value);
    }

    fn number(&mut self, number: Number) {
        match number {
            Number::Integer(integer) => self.out.json.push_str(itoa::Buffer::new().format(integer)),
            Number::Double(double) => self.out.json.push_str(&canonical_number(double)),
        }
        if self.place == Place::List {
            self.scalar('n', &number.to_string());
        } else {
            self.scalar('n', "");
        }
    }
}

fn write_string(json: &mut String, value: &str) {
    let plain = !value.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if plain {
        json.extend(["\"", value, "\""]);
    } else {
        json.push_str(&serde_json::Value::from(value).to_string());
    }
}

struct Writer<'o> {
    to: &'o mut Building,
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { to } = self;
        to.object_stands_here();
        let place = to.place;
        if place != Place::Object {
            to.place = Place::Beyond;
        }
        let (mut seen, path_bytes): (Vec<Cow<'de, str>>, usize) = (Vec::new(), to.path.len());
        to.out.json.push('{');
        while let Some(Name(name)) = map.next_key()? {
            if seen.contains(&name) {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            }
            if !seen.is_empty() {
                to.out.json.push(',');
            }
            write_string(&mut to.out.json, &name);
            to.out.json.push(':');
            if path_bytes > 0 {
                to.path.push('.');
            }
            to.path.push_str(&name);
            map.next_value_seed(Writer { to: &mut *to })?;
            to.path.truncate(path_bytes);
            seen.push(name);
        }
        to.out.json.push('}');
        to.place = place;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { to } = self;
        let place = to.place;
        let counts = place == Place::Object && to.stands_here();
        to.place = if counts { Place::List } else { Place::Beyond };
        let mut before = '[';
        loop {
            to.out.json.push(before);
            if seq.next_element_seed(Writer { to: &mut *to })?.is_none() {
                break;
            }
            before = ',';
        }
        // The last separator stands before no element: an opening bracket stays, a comma goes.
        if before == ',' {
            to.out.json.pop();
        }
        to.out.json.push(']');
        to.place = place;
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.to.string(value);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let text = if value { "true" } else { "false" };
        self.to.out.json.push_str(text);
        self.to.scalar('b', text);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.to.out.json.push_str("null");
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.to.number(Number::Integer(value.into()));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.to.number(Number::Integer(value.into()));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match Number::from_f64(value) {
            Some(number) => self.to.number(number),
            None => self.to.out.json.push_str("null"),
        }
        Ok(())
    }
}

/// A member's name, borrowed where the text allows it.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(nfc(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(nfc(name).into_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spells_equal_values_equally() {
        let canonical = canonical_properties(
            "{ \"a\" : 1.0, \"b\":1e3, \"c\":-0.0, \"d\":\"\\u0041\\/\\n\", \"e\":[1, 2.50,[],{}], \"a\":2, \"f\":0.1,\"g\":null,\"h\":18446744073709551615 }",
        )
        .expect("is JSON");
        assert_eq!(
            canonical.json,
            r#"{"a":1,"b":1000,"c":0,"d":"A/\n","e":[1,2.5,[],{}],"f":0.1,"g":null,"h":18446744073709551615}"#
        );
    }

    #[test]
    fn gathers_strings_of_any_script_without_case() {
        let canonical =
            canonical_properties(r#"{"a":"Скидка ÄÖ","b":{"c":["限时优惠","Sale"]},"d":7}"#).expect("is JSON");
        assert_eq!(canonical.text, "скидка äö\n限时优惠\nsale");
    }

    #[test]
    fn notes_the_elements_of_lists_and_where_objects_stand() {
        let canonical = canonical_properties(
            r#"{"tags":["vip",1,2.50,true,null,["in"],{"x":["y"]}],"o":{},"p":{"q":{"l":[7]}},"a.b":[1],"a":{"b":[2]},"n.m":null}"#,
        )
        .expect("is JSON");
        let elements = ["4:tagstvip", "4:tagsn1", "4:tagsn2.5", "4:tagsbtrue", "5:p.q.ln7", "3:a.bn1"];
        assert_eq!(canonical.elements, elements.map(str::to_owned));
        assert_eq!(canonical.objects, ["a", "o", "p", "p.q"].map(str::to_owned));
    }

    #[test]
    fn canonically_equal_names_and_texts_become_one() {
        let canonical = canonical_properties("{\"и\u{306}\":\"и\u{306}\",\"й\":2}").expect("is JSON");
        assert_eq!(canonical.json, r#"{"й":"й"}"#);
    }

    #[test]
    fn the_first_accepted_copy_has_the_highest_version() {
        assert!(version(1_795_512_600_000, 0, "z") > version(1_795_512_600_000, 1, "a"));
        assert!(version(1_795_512_600_000, 1999, "z") > version(1_795_512_600_001, 0, "a"));
        assert_ne!(version(1_795_512_600_000, 0, "a"), version(1_795_512_600_000, 0, "b"));
    }

    proptest! {
        #[test]
        fn canonical_form_means_the_same_and_is_stable(number: f64, text in ".*", flag: bool) {
            prop_assume!(number.is_finite());
            let value = serde_json::json!({"n": number, "t": text, "l": [flag, null, {"x": text}]});
            let once = canonical_properties(&value.to_string()).expect("is JSON").json;
            prop_assert_eq!(&canonical_properties(&once).expect("is JSON").json, &once);
            let back: serde_json::Value = serde_json::from_str(&once).expect("is JSON");
            prop_assert_eq!(back["n"].as_f64(), Some(number + 0.0));
            prop_assert_eq!(back["t"].as_str(), Some(&*nfc(&text)));
            prop_assert_eq!(&back["l"][0], &value["l"][0]);
        }
    }
}
