//! What formulas read of events: inputs, and the measures that are kept of them in rollups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    builtin,
    filter::{Filter, Test},
    syntax::Function,
};
use crate::catalogue;

/// The property that says what money an event's amounts are in.
pub const CURRENCY: &str = "currency";

/// An aggregation of the events of one name.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", from = "StoredInput")]
pub struct Input {
    pub event_name: String,
    pub function: Function,
    /// None for a count.
    pub property: Option<String>,
    /// For `unique`, `first`, `last` and `gain`: the properties that together tell objects apart, whose values are added up. In order.
    pub objects: Vec<String>,
    /// For a mean of last values: some of `objects`, which tell apart the sets whose means are added up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
    pub filter: Filter,
}

/// An input as metrics are stored with it, those of earlier versions included.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredInput {
    event_name: String,
    function: Function,
    property: Option<String>,
    #[serde(default)]
    objects: Vec<String>,
    #[serde(default)]
    within: Vec<String>,
    /// What told objects apart while it was one property.
    object: Option<String>,
    filter: Filter,
}

impl From<StoredInput> for Input {
    fn from(stored: StoredInput) -> Self {
        let StoredInput { event_name, function, property, objects, within, object, filter } = stored;
        let objects = match object {
            // Nobody had to write this: it stood for a post, whose id is that of its message within one chat.
            Some(object) if event_name == "post_stats_sampled" && object == "postId" => builtin::objects(&event_name),
            Some(object) => vec![object],
            None => objects,
        };
        Self { event_name, function, property, objects, within, filter }
    }
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
    /// How many numbers of this property have a [currency](CURRENCY) beside them, and the smallest and the largest hash of
    /// their currencies: if the two are equal, there is one currency.
    Currencies(String),
    /// The earliest number of each object.
    First { property: String, objects: Vec<String> },
    /// The latest number of each object.
    Last { property: String, objects: Vec<String> },
    /// Which texts each object has, by hash over both.
    UniquesOf { property: String, objects: Vec<String> },
    /// The latest number of each object, and which of the sets that these properties tell apart it belongs to.
    LastWithin { property: String, objects: Vec<String>, within: Vec<String> },
    /// How [old](AGE) each object was at the earliest sample that tells its age beside the number.
    FirstAge { property: String, objects: Vec<String> },
    /// What each object had before the time that is asked about, if that was sampled in the [days before](CARRIED); else its
    /// first number. Not kept: [`Measure::parts`].
    Start { property: String, objects: Vec<String> },
    /// By how much each object's number has grown since the last one before the time that is asked about. An object without
    /// one starts at 0 if it has an [age](AGE) and began in that time, else at its first number. Not kept: [`Measure::parts`].
    Gain { property: String, objects: Vec<String> },
}

/// The property that says how many minutes old an object was when it was sampled.
pub const AGE: &str = "ageMinutes";

/// For so many milliseconds an object goes on to have the number that was last sampled of it.
pub const CARRIED: i64 = 31 * 86_400_000;

/// What tells how a measure that is not kept changes from bucket to bucket: measures that are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    pub first: Measure,
    pub last: Measure,
    /// The ages of the objects at their first samples.
    pub age: Option<Measure>,
}

impl Measure {
    /// What it is made of, if it depends on what was before the time that is asked about.
    #[must_use]
    pub fn parts(&self) -> Option<Parts> {
        let (Of::Start { property, objects } | Of::Gain { property, objects }) = &self.of else { return None };
        let of = |of| Self { event_name: self.event_name.clone(), filter: self.filter.clone(), of };
        let (property, objects) = (|| property.clone(), || objects.clone());
        let has_age = matches!(self.of, Of::Gain { .. }) && builtin::has_age(&self.event_name);
        Some(Parts {
            first: of(Of::First { property: property(), objects: objects() }),
            last: of(Of::Last { property: property(), objects: objects() }),
            age: has_age.then(|| of(Of::FirstAge { property: property(), objects: objects() })),
        })
    }

    /// The measures that are kept for it: itself, or its parts.
    #[must_use]
    pub fn kept(self) -> Vec<Self> {
        match self.parts() {
            None => vec![self],
            Some(Parts { first, last, age }) => [first, last].into_iter().chain(age).collect(),
        }
    }
}

impl Of {
    /// Whether what is told of some events and of others tells what is of all: [`State::add`].
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        matches!(self, Self::Events | Self::Numbers(_) | Self::Distribution(_) | Self::Currencies(_))
    }
}

impl Input {
    /// All that is asked about events for this input: its measure, and that of its currencies.
    pub fn measures(&self) -> impl Iterator<Item = Measure> {
        [self.measure()].into_iter().chain(self.currencies())
    }

    /// Tells whether its amounts are of one currency; none if it takes no amounts, or its own filter names the currency.
    #[must_use]
    pub fn currencies(&self) -> Option<Measure> {
        let takes_numbers = !matches!(self.function, Function::Count | Function::Unique);
        let property = self.property.as_ref().filter(|_| takes_numbers)?;
        let is_told = names_one_currency(&self.filter) || !builtin::may_be_amount(&self.event_name, property);
        let of = Of::Currencies(property.clone());
        (!is_told).then(|| Measure { event_name: self.event_name.clone(), filter: self.filter.clone(), of })
    }

    #[must_use]
    pub fn measure(&self) -> Measure {
        let property = || self.property.clone().unwrap_or_default();
        let of = match self.function {
            Function::Count => Of::Events,
            Function::Sum | Function::Average | Function::Smallest | Function::Largest => Of::Numbers(property()),
            Function::Percentile(_) => Of::Distribution(property()),
            Function::Unique if self.objects.is_empty() => Of::Uniques(property()),
            Function::Unique => Of::UniquesOf { property: property(), objects: self.objects.clone() },
            Function::First if catalogue::is_sampled(&self.event_name) => {
                Of::Start { property: property(), objects: self.objects.clone() }
            }
            Function::First => Of::First { property: property(), objects: self.objects.clone() },
            Function::Last => Of::Last { property: property(), objects: self.objects.clone() },
            Function::Gain => Of::Gain { property: property(), objects: self.objects.clone() },
            Function::MeanLast => {
                Of::LastWithin { property: property(), objects: self.objects.clone(), within: self.within.clone() }
            }
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
        Self::call(self.function, &name)
    }

    /// A function of something, as a formula writes it.
    pub(super) fn call(function: Function, of: &str) -> String {
        match function {
            Function::Count => of.to_owned(),
            Function::MeanLast => format!("avg(last({of}))"),
            function => format!("{}({of})", function.name()),
        }
    }
}

/// Whether all events that meet a filter have the same currency.
fn names_one_currency(filter: &Filter) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().any(names_one_currency),
        Filter::Test { path, test: Test::In(values) } => path == CURRENCY && values.len() == 1,
        Filter::Any(_) | Filter::Not(_) | Filter::Test { .. } => false,
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
    /// What rollups hold of a series. Another version has other names in the tables, so that all is computed anew.
    const VERSION: u8 = 2;

    /// Names it in the tables: the start of a hash over all that it is.
    #[must_use]
    pub fn id(&self) -> u64 {
        // Structs of strings and numbers always serialise.
        let text = serde_json::to_vec(&(Self::VERSION, self)).unwrap_or_default();
        let hash = Sha256::digest(&text);
        hash.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
    }
}

/// What a measure came to in one bucket, for one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Events, or values where the measure is of a property. Of [`Of::Start`] the objects, of one bucket those that come in it.
    pub count: u64,
    /// Of [`Of::Start`] in one bucket what the objects that come in it start with.
    pub sum: f64,
    pub low: f64,
    /// Of [`Of::Start`] in one bucket by how much all objects together have more at its end than at the end of the one before.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Something would be divided by 0.
    ZeroDenominator,
    /// No event had a number to take.
    NoValues,
    /// Larger than numbers can be.
    Overflow,
    /// Amounts of several currencies would be added.
    SeveralCurrencies,
}

impl Reason {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeroDenominator => "zero_denominator",
            Self::NoValues => "no_values",
            Self::Overflow => "overflow",
            Self::SeveralCurrencies => "several_currencies",
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
            Self::First | Self::Last | Self::Gain | Self::MeanLast => any(state.sum),
            Self::Percentile(share) => super::sketch::percentile(&state.bins, share).ok_or(Reason::NoValues),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(event_name: &str, told_apart: &serde_json::Value) -> Input {
        let mut input =
            json!({"eventName": event_name, "function": "last", "property": "views", "filter": {"all": []}});
        for (name, value) in told_apart.as_object().into_iter().flatten() {
            input[name] = value.clone();
        }
        serde_json::from_value(input).expect("can be read")
    }

    #[test]
    fn inputs_that_were_stored_with_one_property_that_tells_objects_apart_are_read() {
        assert_eq!(stored("stock_counted", &json!({"object": "shelf"})).objects, ["shelf"]);
        assert_eq!(stored("post_stats_sampled", &json!({"object": "groupId"})).objects, ["groupId"]);
        assert_eq!(stored("stock_counted", &json!({"object": null})).objects, [""; 0]);
        assert_eq!(stored("stock_counted", &json!({})).objects, [""; 0]);
        let posts = stored("post_stats_sampled", &json!({"object": "postId"}));
        assert_eq!(posts.objects, ["groupId", "postId"], "message ids are those of one chat");
    }

    #[test]
    fn amounts_are_kept_with_their_currencies_unless_one_is_named() {
        let currencies = |event_name: &str, function, property: Option<&str>, filter: &str| {
            let filter = crate::metric::parse_filter(filter).expect("can be read");
            let property = property.map(str::to_owned);
            let input = Input {
                event_name: event_name.to_owned(),
                function,
                property,
                objects: Vec::new(),
                within: Vec::new(),
                filter,
            };
            assert_eq!(input.measures().count(), 1 + usize::from(input.currencies().is_some()));
            input.currencies().map(|measure| measure.of)
        };
        let of = |property: &str| Some(Of::Currencies(property.to_owned()));
        assert_eq!(currencies("cost_recorded", Function::Sum, Some("amount"), "a = 1"), of("amount"));
        assert_eq!(currencies("order_paid", Function::Percentile(95), Some("total"), "a = 1"), of("total"));
        assert_eq!(currencies("message_sent", Function::Average, Some("price"), "a = 1"), of("price"));
        assert_eq!(currencies("message_sent", Function::Average, Some("latencyMs"), "a = 1"), None);
        assert_eq!(currencies("order_paid", Function::Unique, Some("total"), "a = 1"), None);
        assert_eq!(currencies("order_paid", Function::Count, None, "a = 1"), None);
        for filter in ["currency = USD", "a = 1 and (currency = 840, b = 2)"] {
            assert_eq!(currencies("order_paid", Function::Sum, Some("total"), filter), None, "{filter}");
        }
        for filter in ["currency in (USD, EUR)", "currency != USD", "currency = USD or a = 1", "currency exists"] {
            assert_eq!(currencies("order_paid", Function::Sum, Some("total"), filter), of("total"), "{filter}");
        }
    }

    #[test]
    fn inputs_are_read_as_they_were_written() {
        for objects in [vec![], vec!["postId"], vec!["groupId", "postId"]] {
            let objects: Vec<String> = objects.into_iter().map(str::to_owned).collect();
            let input = Input { objects, ..stored("post_stats_sampled", &json!({})) };
            let json = serde_json::to_value(&input).expect("can be written");
            assert_eq!(serde_json::from_value::<Input>(json).expect("can be read"), input);
        }
    }
}
