//! Conditions on the properties of an event: the one filter language. It stands in braces behind a name, in `filter`, in a
//! metric's `filters` and in live subscriptions, and `property.NAME[OP]=VALUE` of a search is read into it too.
//!
//! A property's *text* is the string itself, a number as [`Number`] writes it, `true` or `false`. A list meets a test if one of
//! its elements does; lists and objects within a list have no text. Equality goes by the text, so that an id counts the same
//! whether it was sent as `7` or `"7"`; numbers are also equal by value.
//!
//! [`super::meets`] evaluates a filter in memory; the event store has the same as SQL, and a test holds the two together.

use serde::{Deserialize, Serialize};

use crate::number::Number;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    /// Holds always where empty.
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Test {
        path: String,
        test: Test,
    },
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Test {
    /// One of these.
    In(Vec<Literal>),
    /// Numbers by value, against a number; texts by their bytes, against a text.
    Compare(Comparison, Literal),
    /// The text holds this one; [case](crate::text::fold) does not count.
    Contains(String),
    /// There is a value: a text, a number, a flag, a list or an object, even an empty one. Null is none.
    Exists,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it holds for two values that are ordered so.
    #[must_use]
    pub const fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Literal {
    Text(String),
    /// The number, and the text that reads like it.
    Number(Number),
    /// The number only: a text that reads like it is not meant.
    Amount(Number),
    Flag(bool),
}

impl Literal {
    /// The text of a property that has this value; none if no text is meant.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Amount(_) => None,
            Self::Flag(flag) => Some(flag.to_string()),
        }
    }

    #[must_use]
    pub const fn number(&self) -> Option<Number> {
        match self {
            Self::Number(number) | Self::Amount(number) => Some(*number),
            Self::Text(_) | Self::Flag(_) => None,
        }
    }

    /// Whether a property of this value can be told by its text.
    const fn has_one_text(&self) -> bool {
        match self {
            Self::Text(_) | Self::Flag(_) | Self::Number(Number::Integer(_)) => true,
            Self::Number(Number::Double(_)) | Self::Amount(_) => false,
        }
    }
}

impl Filter {
    /// What holds for every event.
    pub const EVERYTHING: Self = Self::All(Vec::new());

    /// Both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let mut all = match self {
            Self::All(all) => all,
            one => vec![one],
        };
        match other {
            Self::All(more) => all.extend(more.iter().cloned()),
            one => all.push(one.clone()),
        }
        Self::All(all)
    }

    /// Every property that it looks at, in order, perhaps several times.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Not(part) => part.paths(),
            Self::Test { path, .. } => vec![path],
        }
    }

    /// The texts that it compares a property with, one after another.
    #[must_use]
    pub fn texts_of(&self, property: &str) -> Vec<String> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(|part| part.texts_of(property)).collect(),
            Self::Not(part) => part.texts_of(property),
            Self::Test { path, test: Test::In(values) } if path == property => {
                values.iter().filter_map(Literal::text).collect()
            }
            Self::Test { .. } => Vec::new(),
        }
    }

    /// Whether it can be told from the text of the properties alone, which is all that rollups keep of them.
    #[must_use]
    pub fn reads_text_only(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::reads_text_only),
            Self::Not(part) => part.reads_text_only(),
            Self::Test { test, .. } => match test {
                Test::In(values) => values.iter().all(Literal::has_one_text),
                Test::Compare(_, value) => matches!(value, Literal::Text(_)),
                Test::Contains(_) => true,
                Test::Exists => false,
            },
        }
    }

    /// How many tests it is made of.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::size).sum(),
            Self::Not(part) => part.size(),
            Self::Test { test: Test::In(values), .. } => values.len(),
            Self::Test { .. } => 1,
        }
    }
}
