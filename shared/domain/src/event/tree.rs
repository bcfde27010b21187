//! An event's properties as a tree, read as the event store reads them: members in order, the first of equally named, names
//! that belong to `serde_json` itself taken as plain names.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

use crate::number::Number;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Null,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// The object in a JSON text; an empty one if the text is none.
    #[must_use]
    pub fn object(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(object @ Self::Object(_)) => object,
            _ => Self::Object(Vec::new()),
        }
    }

    /// What stands at a path, null and objects aside. Dots go into objects; a name with dots counts like the objects that it
    /// could stand for. Of several, the first counts.
    #[must_use]
    pub fn leaf(&self, path: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find_map(|(name, value)| match (value, rest(path, name)?) {
            (Self::Null | Self::Object(_), "") | (Self::Null, _) => None,
            (value, "") => Some(value),
            (Self::Object(_), rest) => value.leaf(rest),
            _ => None,
        })
    }

    /// Whether an object stands at a path.
    #[must_use]
    pub fn has_object(&self, path: &str) -> bool {
        let Self::Object(members) = self else { return false };
        members.iter().any(|(name, value)| match (rest(path, name), value) {
            (Some(""), value) => matches!(value, Self::Object(_)),
            (Some(rest), value) => value.has_object(rest),
            // `a.b` stands for an object `a` with a member `b`.
            (None, value) => *value != Self::Null && rest(name, path).is_some(),
        })
    }

    /// What stands at a path, an object too.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        self.leaf(path).or_else(|| {
            let Self::Object(members) = self else { return None };
            members.iter().find_map(|(name, value)| match rest(path, name)? {
                "" => Some(value),
                rest => value.find(rest),
            })
        })
    }

    /// The text of a value; lists, objects and null have none.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Flag(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }
}

/// What of a path is left behind a name: nothing if it is the name, none if it does not start with the name.
fn rest<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    match path.strip_prefix(name)? {
        "" => Some(""),
        // A part between dots may be empty: `a.` has the part `a` and an empty one.
        rest => rest.strip_prefix('.').filter(|rest| !rest.is_empty()),
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members: Vec<(String, Tree)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(other, _)| *other == name) {
                map.next_value::<IgnoredAny>()?;
            } else {
                members.push((name, map.next_value()?));
            }
        }
        Ok(Tree::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(flag))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Integer(integer.into())))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Integer(integer.into())))
    }

    fn visit_f64<E: Error>(self, double: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(double).map_or(Tree::Null, Tree::Number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_by_paths_however_names_and_objects_share_the_dots() {
        let tree = Tree::object(r#"{"a":{"b.c":1,"n":null},"a.b":{"c":2,"d":3},"x.":4,".y":5,"e":{},"p..q":6}"#);
        let number = |path| tree.leaf(path).and_then(Tree::text).map(Cow::into_owned);
        assert_eq!(number("a.b.c").as_deref(), Some("1"));
        assert_eq!(number("a.b.d").as_deref(), Some("3"));
        assert_eq!(number("x.").as_deref(), Some("4"));
        assert_eq!(number(".y").as_deref(), Some("5"));
        assert_eq!(number("p..q").as_deref(), Some("6"));
        assert_eq!((number("a"), number("a.n"), number("e"), number("a.b")), (None, None, None, None));
        for path in ["a", "a.b", "e", "p", "p."] {
            assert!(tree.has_object(path), "{path}");
        }
        for path in ["a.n", "a.b.c", "q", "x."] {
            assert!(!tree.has_object(path), "{path}");
        }
    }

    #[test]
    fn names_of_the_parser_are_plain_names() {
        let text = r#"{"$serde_json::private::RawValue":"{\"x\":1}","$serde_json::private::Number":"7"}"#;
        assert_eq!(serde_json::to_string(&Tree::object(text)).expect("serialises"), text);
    }
}
