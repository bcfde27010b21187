//! What of an event goes into storage: its properties in canonical form, the text to search, and the version by which
//! the first accepted copy of an event wins.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

/// An event's properties, made ready for storage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Canonical {
    /// Compact JSON in which each value has one spelling: strings escaped only where they must be, numbers in their
    /// shortest form, the first of equally named members.
    pub json: String,
    /// Every string value in lower case, one a line.
    pub text: String,
}

/// Brings the JSON text of an object into canonical form.
///
/// # Errors
/// If the text is not JSON.
pub fn canonical_properties(properties: &str) -> Result<Canonical, serde_json::Error> {
    let mut canonical =
        Canonical { json: String::with_capacity(properties.len()), text: String::with_capacity(properties.len() / 2) };
    let mut parser = serde_json::Deserializer::from_str(properties);
    Writer { out: &mut canonical }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(canonical)
}

/// A number's one spelling: an integer where it is one, else the shortest decimal that reads back the same.
#[must_use]
pub fn canonical_number(value: f64) -> String {
    /// Up to here every integer is a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value == 0.0 {
        "0".to_owned()
    } else if value.fract() == 0.0 && value.abs() <= EXACT {
        format!("{value:.0}")
    } else {
        serde_json::Number::from_f64(value).map_or_else(|| "null".to_owned(), |number| number.to_string())
    }
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

struct Writer<'o> {
    out: &'o mut Canonical,
}

impl Writer<'_> {
    fn string(&mut self, value: &str) {
        write_string(&mut self.out.json, value);
        if !self.out.text.is_empty() {
            self.out.text.push('\n');
        }
        if value.is_ascii() {
            let start = self.out.text.len();
            self.out.text.push_str(value);
            self.out.text[start..].make_ascii_lowercase();
        } else {
            self.out.text.push_str(&value.to_lowercase());
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
        let mut seen: Vec<Cow<'de, str>> = Vec::new();
        self.out.json.push('{');
        while let Some(Name(name)) = map.next_key()? {
            if seen.contains(&name) {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            }
            if !seen.is_empty() {
                self.out.json.push(',');
            }
            write_string(&mut self.out.json, &name);
            self.out.json.push(':');
            map.next_value_seed(Writer { out: &mut *self.out })?;
            seen.push(name);
        }
        self.out.json.push('}');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut before = '[';
        loop {
            self.out.json.push(before);
            if seq.next_element_seed(Writer { out: &mut *self.out })?.is_none() {
                break;
            }
            before = ',';
        }
        // The last separator stands before no element: an opening bracket stays, a comma goes.
        if before == ',' {
            self.out.json.pop();
        }
        self.out.json.push(']');
        Ok(())
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        self.string(value);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.out.json.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.out.json.push_str("null");
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.out.json.push_str(itoa::Buffer::new().format(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.out.json.push_str(itoa::Buffer::new().format(value));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.out.json.push_str(&canonical_number(value));
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
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
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
    fn gathers_strings_of_any_script_in_lower_case() {
        let canonical =
            canonical_properties(r#"{"a":"Скидка ÄÖ","b":{"c":["限时优惠","Sale"]},"d":7}"#).expect("is JSON");
        assert_eq!(canonical.text, "скидка äö\n限时优惠\nsale");
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
            prop_assert_eq!(&back["t"], &value["t"]);
            prop_assert_eq!(&back["l"], &value["l"]);
        }
    }
}
