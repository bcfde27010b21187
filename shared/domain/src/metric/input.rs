//! What formulas read of events: inputs, and the measures that are kept of them in rollups.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{filter::Filter, syntax::Function};

/// An aggregation of the events of one name.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub event_name: String,
    pub function: Function,
    /// None for a count.
    pub property: Option<String>,
    /// For `first` and `last`: the property that tells objects apart, whose values are added up.
    pub object: Option<String>,
    pub filter: Filter,
}

/// What is kept of events so that inputs can be read from it: parts of it merge without loss, whatever they were split by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    pub event_name: String,
    pub filter: Filter,
    pub of: Of,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Of {
    /// How many events.
    Events,
    /// How many numbers, their sum, the smallest and the largest.
    Numbers(String),
    /// How many numbers in each [bin](super::sketch).
    Distribution(String),
    /// Which texts, by hash.
    Uniques(String),
    /// The earliest number of each object.
    First { property: String, object: Option<String> },
    /// The latest number of each object.
    Last { property: String, object: Option<String> },
}

impl Of {
    /// Whether what is told of some events and of others tells what is of all: [`State::add`].
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        matches!(self, Self::Events | Self::Numbers(_) | Self::Distribution(_))
    }
}

impl Input {
    #[must_use]
    pub fn measure(&self) -> Measure {
        let property = || self.property.clone().unwrap_or_default();
        let of = match self.function {
            Function::Count => Of::Events,
            Function::Sum | Function::Average | Function::Smallest | Function::Largest => Of::Numbers(property()),
            Function::Percentile(_) => Of::Distribution(property()),
            Function::Unique => Of::Uniques(property()),
            Function::First => Of::First { property: property(), object: self.object.clone() },
            Function::Last => Of::Last { property: property(), object: self.object.clone() },
        };
        Measure { event_name: self.event_name.clone(), filter: self.filter.clone(), of }
    }

    /// As a formula writes it.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = match &self.property {
            Some(property) => format!("{}.{property}", self.event_name),
            None => self.event_name.clone(),
        };
        match self.function {
            Function::Count => name,
            function => format!("{}({name})", function.name()),
        }
    }
}

/// A measure split by dimensions: what one set of rollups holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    pub measure: Measure,
    /// Properties, in order.
    pub dimensions: Vec<String>,
}

impl Series {
    /// Names it in the tables: the start of a hash over all that it is.
    #[must_use]
    pub fn id(&self) -> u64 {
        // Structs of strings and numbers always serialise.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let hash = Sha256::digest(&text);
        hash.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
    }
}

/// What a measure came to in one bucket, for one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Events, or values where the measure is of a property.
    pub count: u64,
    pub sum: f64,
    pub low: f64,
    pub high: f64,
    pub uniques: u64,
    /// Values by bin, bins ascending.
    pub bins: Vec<(i32, u64)>,
}

impl State {
    /// Puts to it what is told of other events, where [`Of::adds_up`]: different texts are more than their number.
    pub fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let is_first = self.count == 0;
        self.low = if is_first { other.low } else { self.low.min(other.low) };
        self.high = if is_first { other.high } else { self.high.max(other.high) };
        self.count += other.count;
        self.sum += other.sum;
        // Two ascending runs: sorting them is merging them.
        self.bins.extend(&other.bins);
        self.bins.sort_by_key(|(bin, _)| *bin);
        self.bins.dedup_by(|(bin, count), (kept, sum)| {
            let is_same = bin == kept;
            *sum += if is_same { *count } else { 0 };
            is_same
        });
    }
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Something would be divided by 0.
    ZeroDenominator,
    /// No event had a number to take.
    NoValues,
    /// Larger than numbers can be.
    Overflow,
}

impl Reason {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeroDenominator => "zero_denominator",
            Self::NoValues => "no_values",
            Self::Overflow => "overflow",
        }
    }
}

impl Function {
    /// The input's value.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(self, state: &State) -> Result<f64, Reason> {
        let any = |value: f64| if state.count == 0 { Err(Reason::NoValues) } else { Ok(value) };
        match self {
            Self::Count => Ok(state.count as f64),
            Self::Sum => Ok(state.sum),
            Self::Unique => Ok(state.uniques as f64),
            Self::Average => any(state.sum / state.count as f64),
            Self::Smallest => any(state.low),
            Self::Largest => any(state.high),
            Self::First | Self::Last => any(state.sum),
            Self::Percentile(share) => super::sketch::percentile(&state.bins, share).ok_or(Reason::NoValues),
        }
    }
}
