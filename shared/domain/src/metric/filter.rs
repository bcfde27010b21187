//! Conditions on the properties of an event: what stands in braces behind a name, in `filter`, and in a metric's
//! `filters`.
//!
//! A property's *text* is the string itself, a number as JSON writes it, `true` or `false`; lists, objects and what is not
//! there have none. Equality goes by the text, so that an id counts the same whether it was sent as `7` or `"7"`.

use serde::{Deserialize, Serialize};

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
    /// The text holds this one; upper and lower case are the same.
    Contains(String),
    /// There is a value: a text, a number, a flag or a list. An object is not one, the values within are.
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

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Literal {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl Literal {
    /// As the text of a property that has this value.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => crate::event::canonical_number(*number),
            Self::Flag(flag) => flag.to_string(),
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

impl Literal {
    /// Whether a property of this value is written in one way only: integers are, fractions may differ in their exponent.
    fn has_one_text(&self) -> bool {
        match self {
            Self::Text(_) | Self::Flag(_) => true,
            Self::Number(number) => number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0,
        }
    }
}
