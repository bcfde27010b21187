//! Formulas as trees, and what is said where one cannot be read.

use serde::{Deserialize, Serialize};

use super::filter::Filter;

/// Why a formula or filter cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {message}", at + 1)]
pub struct SyntaxError {
    /// Characters before the place.
    pub at: usize,
    pub code: &'static str,
    pub message: String,
}

impl SyntaxError {
    pub(super) fn new(at: usize, code: &'static str, message: impl Into<String>) -> Self {
        Self { at, code, message: message.into() }
    }

    /// The message with a line that points at the place: for people.
    #[must_use]
    pub fn explain(&self, text: &str) -> String {
        const BEFORE: usize = 40;
        let from = self.at.saturating_sub(BEFORE);
        let excerpt: String =
            text.chars().skip(from).take(2 * BEFORE).map(|c| if c == '\n' { ' ' } else { c }).collect();
        let dots = if from > 0 { "…" } else { "" };
        let indent = " ".repeat(self.at - from + dots.chars().count());
        format!("{self}\n{dots}{excerpt}\n{indent}^")
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What of an input's events is taken.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Function {
    Count,
    Sum,
    Average,
    Smallest,
    Largest,
    Unique,
    First,
    Last,
    /// How much a cumulative number has grown.
    Gain,
    /// The mean of the last values of objects: `avg(last(…))`.
    MeanLast,
    /// 1 to 99.
    Percentile(u8),
}

impl Function {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "count" => Self::Count,
            "sum" => Self::Sum,
            "avg" => Self::Average,
            "min" => Self::Smallest,
            "max" => Self::Largest,
            "unique" => Self::Unique,
            "first" => Self::First,
            "last" => Self::Last,
            "gain" => Self::Gain,
            _ => {
                let digits = name.strip_prefix('p')?;
                let share = digits.parse().ok().filter(|share| (1..=99).contains(share))?;
                (!digits.starts_with('0')).then_some(Self::Percentile(share))?
            }
        })
    }

    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Count => "count".to_owned(),
            Self::Sum => "sum".to_owned(),
            Self::Average => "avg".to_owned(),
            Self::Smallest => "min".to_owned(),
            Self::Largest => "max".to_owned(),
            Self::Unique => "unique".to_owned(),
            Self::First => "first".to_owned(),
            Self::Last => "last".to_owned(),
            Self::Gain => "gain".to_owned(),
            Self::MeanLast => "avg(last)".to_owned(),
            Self::Percentile(share) => format!("p{share}"),
        }
    }
}

/// A name as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    /// In quotes: meant exactly as it stands.
    pub quoted: bool,
    /// Characters before it.
    pub at: usize,
}

/// What a formula takes from events or from another metric.
#[derive(Clone, Debug, PartialEq)]
pub struct InputNode {
    pub function: Option<Function>,
    pub name: Name,
    pub property: Option<String>,
    pub filter: Option<Filter>,
    /// Properties that together tell apart the objects whose values are added up.
    pub by: Vec<String>,
    /// Of a mean of last values: properties that together tell apart the sets whose means are added up.
    pub within: Vec<String>,
}

/// A formula as a tree, over inputs of one kind or another.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Node<I> {
    Number(f64),
    Negate(Box<Node<I>>),
    Binary(Operator, Box<Node<I>>, Box<Node<I>>),
    Input(I),
}

impl<I> Node<I> {
    /// Its value, if it has no inputs.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Negate(node) => node.constant().map(|value| -value),
            Self::Binary(operator, left, right) => Some(operator.apply(left.constant()?, right.constant()?)),
            Self::Input(_) => None,
        }
    }

    /// The same tree over other inputs: each is replaced by a tree of the new kind.
    ///
    /// # Errors
    /// The first that `replace` gives.
    pub fn try_replace<J, E>(&self, replace: &mut impl FnMut(&I) -> Result<Node<J>, E>) -> Result<Node<J>, E> {
        Ok(match self {
            Self::Number(number) => Node::Number(*number),
            Self::Negate(node) => Node::Negate(Box::new(node.try_replace(replace)?)),
            Self::Binary(operator, left, right) => {
                Node::Binary(*operator, Box::new(left.try_replace(replace)?), Box::new(right.try_replace(replace)?))
            }
            Self::Input(input) => replace(input)?,
        })
    }

    /// All inputs, from left to right.
    #[must_use]
    pub fn inputs(&self) -> Vec<&I> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Negate(node) => node.inputs(),
            Self::Binary(_, left, right) => {
                let mut inputs = left.inputs();
                inputs.extend(right.inputs());
                inputs
            }
            Self::Input(input) => vec![input],
        }
    }
}

impl Operator {
    /// IEEE 754: dividing by zero gives infinity or NaN.
    #[must_use]
    pub fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
        }
    }
}
