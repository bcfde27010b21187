//! Names of fields, read as bytes: a name with half a surrogate pair is no text, and refused by the parser it would take
//! every other event of its body with it.

use std::fmt;

use serde::{Deserializer, de::Visitor};

use super::{
    limits,
    rejection::{Code, Rejection, pointer_segment},
};

/// A field that is not one of those that may be there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Name(Box<str>),
    /// Holds half a surrogate pair.
    NoText,
}

impl Unknown {
    pub(super) fn new(name: &[u8]) -> Self {
        std::str::from_utf8(name).map_or(Self::NoText, |name| Self::Name(name.into()))
    }

    /// Refuses it, naming the field that is probably meant. `parent` is the pointer to the object that has the field, `what`
    /// says what has these fields, and `otherwise` where else something belongs.
    pub(super) fn refuse(&self, parent: &str, what: &str, fields: &[&str], otherwise: &str) -> Rejection {
        let Self::Name(name) = self else {
            let detail = "a field's name holds one half of a pair \\uD800 to \\uDFFF, so it is not valid Unicode";
            return Rejection::new(Code::InvalidString, parent, detail);
        };
        let short: String = name.chars().take(limits::NAME_CHARS).collect();
        let detail = match nearest(&short, fields) {
            Some(field) => format!("{what} no field \"{short}\": did you mean \"{field}\"?"),
            None => format!("{what} the fields {}{otherwise}", fields.join(", ")),
        };
        Rejection::new(Code::UnknownField, format!("{parent}/{}", pointer_segment(&short)), detail)
    }
}

/// Reads a field's name, whatever is wrong with it as text, and gives it to `read`.
pub(super) fn field_name<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&[u8]) -> T,
) -> Result<T, D::Error> {
    struct NameVisitor<R>(R);
    impl<T, R: FnOnce(&[u8]) -> T> Visitor<'_> for NameVisitor<R> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("a field's name")
        }

        fn visit_str<E>(self, name: &str) -> Result<T, E> {
            Ok((self.0)(name.as_bytes()))
        }

        fn visit_bytes<E>(self, name: &[u8]) -> Result<T, E> {
            Ok((self.0)(name))
        }
    }
    deserializer.deserialize_bytes(NameVisitor(read))
}

/// The name that is most like this one, if one is like it at all. Case, `_` and `-` make no difference.
pub(super) fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    /// Below this, two names have little in common but some letters.
    const ALIKE: f64 = 0.8;
    let bare = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let wanted = bare(name);
    let likeness = |other: &&'n str| (strsim::jaro_winkler(&wanted, &bare(other)), *other);
    let (likeness, nearest) = names.iter().map(likeness).max_by(|left, right| left.0.total_cmp(&right.0))?;
    (likeness > ALIKE).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_the_one_that_is_meant() {
        let names = ["eventName", "eventType", "userAgent"];
        assert_eq!(nearest("event_name", &names), Some("eventName"));
        assert_eq!(nearest("evenTtype", &names), Some("eventType"));
        assert_eq!(nearest("useragent", &names), Some("userAgent"));
        assert_eq!(nearest("colour", &names), None);
    }
}
