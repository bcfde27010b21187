//! Formulas computed the slow and plain way, over events in a list: what the product's answers are compared with. Nothing of
//! the product's own formulas, filters or tables is used here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// An event as sent.
#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    pub id: String,
    /// Epoch milliseconds.
    pub at: i64,
    pub user: Option<String>,
    pub properties: Map<String, Value>,
}

impl Event {
    /// As read from what was sent.
    pub fn from_json(event: &Value) -> Option<Self> {
        Some(Self {
            name: event["eventName"].as_str()?.to_owned(),
            id: event["eventId"].as_str()?.to_owned(),
            at: analytics_domain::time::parse(event["timestamp"].as_str()?)?,
            user: event["userId"].as_str().map(str::to_owned),
            properties: event["properties"].as_object().cloned().unwrap_or_default(),
        })
    }

    pub fn json(&self) -> Value {
        let mut event =
            json!({"eventName": self.name, "eventId": self.id, "timestamp": self.at, "properties": self.properties});
        if let Some(user) = &self.user {
            event["userId"] = json!(user);
        }
        event
    }

    /// What tests look at: the value, or each element of a list.
    fn tested(&self, path: &str) -> Vec<Value> {
        match (path, self.properties.get(path)) {
            ("$userId", _) => self.user.iter().map(|user| json!(user)).collect(),
            (_, Some(Value::Array(items))) => items.clone(),
            (_, value) => value.into_iter().cloned().collect(),
        }
    }

    /// A property as text.
    pub fn text(&self, path: &str) -> Option<String> {
        if path == "$userId" {
            return self.user.clone();
        }
        text_of(self.properties.get(path)?)
    }

    fn number(&self, path: &str) -> Option<f64> {
        self.properties.get(path)?.as_f64()
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        // 7.0 is 7, as it is stored.
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[derive(Clone, Debug)]
pub enum Filter {
    Equals(&'static str, Value),
    Differs(&'static str, Value),
    Less(&'static str, i32),
    AtLeast(&'static str, i32),
    In(&'static str, Vec<Value>),
    Contains(&'static str, &'static str),
    Exists(&'static str),
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    pub fn holds(&self, event: &Event) -> bool {
        let equals = |path: &str, value: &Value| {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let is_equal = |tested: &Value| {
                text_of(tested).as_ref() == Some(&text) || (value.is_number() && tested.as_f64() == value.as_f64())
            };
            event.tested(path).iter().any(is_equal)
        };
        match self {
            Self::Equals(path, value) => equals(path, value),
            Self::Differs(path, value) => !equals(path, value),
            Self::Less(path, limit) => {
                event.tested(path).iter().filter_map(Value::as_f64).any(|number| number < f64::from(*limit))
            }
            Self::AtLeast(path, limit) => {
                event.tested(path).iter().filter_map(Value::as_f64).any(|number| number >= f64::from(*limit))
            }
            Self::In(path, values) => values.iter().any(|value| equals(path, value)),
            Self::Contains(path, part) => {
                let holds = |text: String| text.to_lowercase().contains(&part.to_lowercase());
                event.tested(path).iter().filter_map(text_of).any(holds)
            }
            Self::Exists(path) => event.properties.get(*path).is_some_and(|value| !value.is_null()),
            Self::Not(part) => !part.holds(event),
            Self::And(left, right) => left.holds(event) && right.holds(event),
            Self::Or(left, right) => left.holds(event) || right.holds(event),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(path, value) => write!(out, "{path} = {value}"),
            Self::Differs(path, value) => write!(out, "{path} != {value}"),
            Self::Less(path, limit) => write!(out, "{path} < {limit}"),
            Self::AtLeast(path, limit) => write!(out, "{path} >= {limit}"),
            Self::In(path, values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(out, "{path} in ({})", values.join(", "))
            }
            Self::Contains(path, part) => write!(out, "{path} contains \"{part}\""),
            Self::Exists(path) => write!(out, "{path} exists"),
            Self::Not(part) => write!(out, "not ({part})"),
            Self::And(left, right) => write!(out, "({left}) and ({right})"),
            Self::Or(left, right) => write!(out, "({left}) or ({right})"),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Function {
    Count,
    Sum,
    Average,
    Smallest,
    Largest,
    Unique,
    First,
    Last,
    Gain,
    /// The mean over objects, added up over what these properties tell apart.
    MeanLast(Vec<&'static str>),
}

#[derive(Clone, Debug)]
pub enum Formula {
    Number(i32),
    Input {
        name: &'static str,
        function: Function,
        property: &'static str,
        /// Properties that together tell objects apart.
        by: Vec<&'static str>,
        filter: Option<Filter>,
    },
    /// Stands by itself only: its value is near the true one, not equal to it.
    Percentile(&'static str, &'static str, u8),
    Negated(Box<Formula>),
    Both(char, Box<Formula>, Box<Formula>),
}

impl fmt::Display for Formula {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Input { name, function, property, by, filter } => {
                let filter = filter.as_ref().map_or_else(String::new, |filter| format!("{{{filter}}}"));
                let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
                let function = match function {
                    Function::Count => return write!(out, "{name}{filter}"),
                    Function::Sum => "sum",
                    Function::Average => "avg",
                    Function::Smallest => "min",
                    Function::Largest => "max",
                    Function::Unique => "unique",
                    Function::First => "first",
                    Function::Last => "last",
                    Function::Gain => "gain",
                    Function::MeanLast(within) => {
                        let within =
                            if within.is_empty() { String::new() } else { format!(" by {}", within.join(", ")) };
                        return write!(out, "avg(last({name}.{property}{filter}{by}){within})");
                    }
                };
                write!(out, "{function}({name}.{property}{filter}{by})")
            }
            Self::Percentile(name, property, share) => write!(out, "p{share}({name}.{property})"),
            Self::Negated(part) => write!(out, "-({part})"),
            Self::Both(operator, left, right) => write!(out, "({left} {operator} {right})"),
        }
    }
}

/// The events that a number is of.
#[derive(Clone, Debug, Default)]
pub struct Scope<'e> {
    pub events: Vec<&'e Event>,
    /// Those like them of the month before, and of the same range.
    pub before: Vec<&'e Event>,
    /// Where the range begins.
    pub from: i64,
}

impl<'e> Scope<'e> {
    pub fn of(events: Vec<&'e Event>) -> Self {
        Self { events, ..Self::default() }
    }

    /// The events of a part of a range that begins then and of what goes before it, among all.
    pub fn within(all: &[&'e Event], range: Range<i64>, part: &Range<i64>) -> Self {
        let days_before = range.start - 31 * 86_400_000;
        let of = |part: Range<i64>| all.iter().copied().filter(|event| part.contains(&event.at)).collect();
        let start = part.start.max(range.start);
        Self { events: of(start..part.end.min(range.end)), before: of(days_before..start), from: range.start }
    }
}

/// Numbers of built-in events that are no amounts of money.
const NO_AMOUNTS: [&str; 8] =
    ["views", "forwards", "reactions", "replies", "members", "latencyMs", "waitS", "ageMinutes"];

impl Formula {
    /// Its value over these events; none where it has none, or where amounts of several currencies would be mixed.
    pub fn value(&self, scope: &Scope<'_>) -> Option<f64> {
        if self.currencies(&scope.events).len() > 1 { None } else { self.computed(scope) }
    }

    /// The currencies of the amounts that it takes.
    fn currencies(&self, events: &[&Event]) -> BTreeSet<String> {
        let (name, property, filter) = match self {
            Self::Number(_) => return BTreeSet::new(),
            Self::Negated(part) => return part.currencies(events),
            Self::Both(_, left, right) => return &left.currencies(events) | &right.currencies(events),
            Self::Percentile(name, property, _) => (name, property, None),
            Self::Input { function: Function::Count | Function::Unique, .. } => return BTreeSet::new(),
            Self::Input { name, property, filter, .. } => (name, property, filter.as_ref()),
        };
        let counts = |event: &&&Event| {
            event.name == *name
                && filter.is_none_or(|filter| filter.holds(event))
                && event.number(property).is_some()
                && !NO_AMOUNTS.contains(property)
        };
        events.iter().filter(counts).filter_map(|event| event.text("currency")).collect()
    }

    fn computed(&self, scope: &Scope<'_>) -> Option<f64> {
        let events = &scope.events;
        match self {
            Self::Number(number) => Some(f64::from(*number)),
            Self::Negated(part) => part.computed(scope).map(|value| -value),
            Self::Both(operator, left, right) => {
                let (left, right) = (left.computed(scope)?, right.computed(scope)?);
                match operator {
                    '+' => Some(left + right),
                    '-' => Some(left - right),
                    '*' => Some(left * right),
                    _ if right == 0.0 => None,
                    _ => Some(left / right),
                }
            }
            Self::Percentile(name, property, share) => {
                let mut values: Vec<f64> = events
                    .iter()
                    .filter(|event| event.name == *name)
                    .filter_map(|event| event.number(property))
                    .collect();
                values.sort_by(f64::total_cmp);
                let last = values.len().checked_sub(1)?;
                Some(values[(f64::from(*share) / 100.0 * last as f64).round() as usize])
            }
            Self::Input { name, function, property, by, filter } => {
                let counts =
                    |event: &&&Event| event.name == *name && filter.as_ref().is_none_or(|filter| filter.holds(event));
                let before: Vec<&Event> = scope.before.iter().filter(counts).copied().collect();
                let events: Vec<&Event> = events.iter().filter(counts).copied().collect();
                let numbers: Vec<f64> = events.iter().filter_map(|event| event.number(property)).collect();
                match function {
                    Function::Count => Some(events.len() as f64),
                    Function::Sum => Some(numbers.iter().sum()),
                    Function::Average if numbers.is_empty() => None,
                    Function::Average => Some(numbers.iter().sum::<f64>() / numbers.len() as f64),
                    Function::Smallest => numbers.into_iter().reduce(f64::min),
                    Function::Largest => numbers.into_iter().reduce(f64::max),
                    Function::Unique => {
                        let pair = |event: &&Event| Some((texts(event, by), event.text(property)?));
                        Some(events.iter().filter_map(pair).collect::<BTreeSet<_>>().len() as f64)
                    }
                    Function::First if name.ends_with("_sampled") => {
                        let mut objects = samples(&events, property, by);
                        let known = samples(&before, property, by);
                        objects
                            .extend(known.into_iter().map(|(object, values)| (object, vec![values[values.len() - 1]])));
                        sum_of(objects, |values| values[0].value)
                    }
                    Function::First => sum_of(samples(&events, property, by), |values| values[0].value),
                    Function::Last => sum_of(samples(&events, property, by), |values| values[values.len() - 1].value),
                    Function::Gain => {
                        let known = samples(&before, property, by);
                        let has_age = name.starts_with("post_") || name.starts_with("story_");
                        let mut objects = samples(&events, property, by);
                        for (object, values) in &mut objects {
                            let first = values[0];
                            let ages =
                                values.iter().filter(|sample| sample.at == first.at).filter_map(|sample| sample.age);
                            let began =
                                ages.reduce(f64::min).filter(|_| has_age).map(|age| first.at as f64 - 60_000.0 * age);
                            let base = match (known.get(object), began) {
                                (Some(known), _) => known[known.len() - 1].value,
                                (None, Some(began)) if began >= scope.from as f64 => 0.0,
                                (None, _) => first.value,
                            };
                            let end = values[values.len() - 1].value;
                            *values = vec![Sample { value: end - base, ..first }];
                        }
                        sum_of(objects, |values| values[0].value)
                    }
                    Function::MeanLast(within) => {
                        let mut by = by.clone();
                        by.extend(within);
                        let mut means: BTreeMap<Vec<Option<String>>, Vec<f64>> = BTreeMap::new();
                        for values in samples(&events, property, &by).into_values() {
                            let last = values[values.len() - 1];
                            means.entry(texts(last.event, within)).or_default().push(last.value);
                        }
                        let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
                        (!means.is_empty()).then(|| means.values().map(mean).sum())
                    }
                }
            }
        }
    }

    /// Whether it is made of first and last values only, which go on where there are none.
    pub fn is_level(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Input { function, .. } => {
                matches!(function, Function::First | Function::Last | Function::MeanLast(_))
            }
            Self::Percentile(..) => false,
            Self::Negated(part) => part.is_level(),
            Self::Both(_, left, right) => left.is_level() && right.is_level(),
        }
    }

    /// How far an answer may be off, relative to the value.
    pub const fn tolerance(&self) -> f64 {
        match self {
            Self::Percentile(..) => 0.005_001,
            _ => 1e-9,
        }
    }
}

/// A number of an object at a time.
#[derive(Clone, Copy)]
struct Sample<'e> {
    at: i64,
    value: f64,
    age: Option<f64>,
    event: &'e Event,
}

type Objects<'e> = BTreeMap<Vec<Option<String>>, Vec<Sample<'e>>>;

fn texts(event: &Event, paths: &[&str]) -> Vec<Option<String>> {
    paths.iter().map(|path| event.text(path)).collect()
}

/// The numbers of each object in the order of time, none without any.
fn samples<'e>(events: &[&'e Event], property: &str, by: &[&str]) -> Objects<'e> {
    let mut objects = Objects::new();
    for event in events {
        let Some(value) = event.number(property) else { continue };
        let sample = Sample { at: event.at, value, age: event.number("ageMinutes"), event };
        objects.entry(texts(event, by)).or_default().push(sample);
    }
    for values in objects.values_mut() {
        values.sort_by(|left, right| left.at.cmp(&right.at).then(left.value.total_cmp(&right.value)));
    }
    objects
}

fn sum_of(objects: Objects<'_>, of: impl Fn(&[Sample<'_>]) -> f64) -> Option<f64> {
    (!objects.is_empty()).then(|| objects.values().map(|values| of(values)).sum())
}

pub const NAMES: [&str; 5] = ["thing_made", "thing_sold", "thing_lost", "thing_sampled", "story_stats_sampled"];
/// Properties of texts, some of which are numbers.
pub const TEXTS: [&str; 3] = ["campaignId", "groupId", "$userId"];
const NUMBERS: [&str; 2] = ["amount", "weight"];

fn text_value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("spring"),
        json!("осень"),
        json!("限时 优惠"),
        json!("o'clock \\ \"{p0:String}\""),
        json!(""),
        json!(7),
        json!("7"),
    ])
}

pub fn event() -> impl Strategy<Value = Event> {
    let number = prop_oneof![
        (-50_i32..200).prop_map(|number| json!(number)),
        (0_i32..4_000).prop_map(|number| json!(f64::from(number) / 8.0)),
        Just(json!("12")),
        Just(json!(true)),
        Just(json!(null)),
        Just(json!([1, 2])),
        Just(json!({"of": 1})),
    ];
    (
        prop::sample::select(NAMES.to_vec()),
        // Half of the events are of the last two days, some of the last minutes.
        prop_oneof![3 => 0_i64..2 * 86_400_000, 3 => 0_i64..40 * 86_400_000, 1 => 0_i64..180_000],
        prop::option::of(prop::sample::select(vec!["u1", "u2", "u3"])),
        prop::option::of(text_value()),
        prop::option::of(text_value()),
        prop::option::weighted(0.8, number.clone()),
        prop::option::weighted(0.8, number),
        prop::option::of(prop::sample::select(vec![json!("a"), json!("b"), json!(3), json!("")])),
        any::<bool>(),
        prop_oneof![300 => Just(None), 20 => Just(Some(json!("USD"))), 1 => Just(Some(json!("EUR")))],
        prop::option::of(0_i32..40_000),
    )
        .prop_map(|(name, age, user, campaign, group, amount, weight, object, flag, currency, minutes)| {
            let mut properties = Map::new();
            let values = [
                ("campaignId", campaign),
                ("groupId", group),
                ("amount", amount),
                ("weight", weight),
                ("objectId", object),
                ("currency", currency),
                ("ageMinutes", minutes.map(|minutes| json!(minutes))),
            ];
            for (property, value) in values {
                if let Some(value) = value {
                    properties.insert(property.to_owned(), value);
                }
            }
            properties.insert("flag".to_owned(), json!(flag));
            Event { name: name.to_owned(), id: String::new(), at: age, user: user.map(str::to_owned), properties }
        })
}

pub fn filter() -> impl Strategy<Value = Filter> {
    let path = || prop::sample::select(vec!["campaignId", "groupId", "flag", "amount"]);
    let value = || prop_oneof![4 => text_value(), 1 => any::<bool>().prop_map(|flag| json!(flag))];
    let leaf = prop_oneof![
        (path(), value()).prop_map(|(path, value)| Filter::Equals(path, value)),
        (path(), value()).prop_map(|(path, value)| Filter::Differs(path, value)),
        (prop::sample::select(NUMBERS.to_vec()), -10_i32..150).prop_map(|(path, limit)| Filter::Less(path, limit)),
        (prop::sample::select(NUMBERS.to_vec()), -10_i32..150).prop_map(|(path, limit)| Filter::AtLeast(path, limit)),
        (path(), prop::collection::vec(value(), 1..4)).prop_map(|(path, values)| Filter::In(path, values)),
        (path(), prop::sample::select(vec!["ПРИ", "ОСЕ", "优惠", "'CLOCK", "%", "_"]))
            .prop_map(|(path, part)| Filter::Contains(path, part)),
        path().prop_map(Filter::Exists),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Filter::Not(Box::new(part))),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Filter::And(Box::new(left), Box::new(right))),
            (inner.clone(), inner).prop_map(|(left, right)| Filter::Or(Box::new(left), Box::new(right))),
        ]
    })
}

/// A filter that rollups by campaign and group can answer.
pub fn key_filter() -> impl Strategy<Value = Filter> {
    let path = || prop::sample::select(vec!["campaignId", "groupId"]);
    let leaf = prop_oneof![
        (path(), text_value()).prop_map(|(path, value)| Filter::Equals(path, value)),
        (path(), text_value()).prop_map(|(path, value)| Filter::Differs(path, value)),
        (path(), prop::collection::vec(text_value(), 1..4)).prop_map(|(path, values)| Filter::In(path, values)),
    ];
    leaf.prop_recursive(1, 3, 2, |inner| {
        (inner.clone(), inner).prop_map(|(left, right)| Filter::Or(Box::new(left), Box::new(right)))
    })
}

pub fn formula() -> impl Strategy<Value = Formula> {
    let name = || prop::sample::select(NAMES.to_vec());
    let function = prop::sample::select(vec![
        Function::Count,
        Function::Count,
        Function::Sum,
        Function::Average,
        Function::Smallest,
        Function::Largest,
        Function::First,
        Function::First,
        Function::Last,
        Function::Gain,
        Function::Gain,
        Function::MeanLast(vec![]),
        Function::MeanLast(vec!["groupId"]),
    ]);
    let number = (
        name(),
        function,
        prop::sample::select(NUMBERS.to_vec()),
        prop::sample::select(vec![vec![], vec!["objectId"], vec!["groupId", "objectId"]]),
        prop::option::of(filter()),
    )
        .prop_map(|(name, function, property, by, filter)| {
            let tells_apart =
                matches!(function, Function::First | Function::Last | Function::Gain | Function::MeanLast(_));
            // What tells stories apart unless something is said.
            let usual = if name == "story_stats_sampled" { vec!["groupId", "storyId"] } else { Vec::new() };
            let by = match (tells_apart, by.is_empty()) {
                (false, _) => Vec::new(),
                (true, true) => usual,
                (true, false) => by,
            };
            Formula::Input { name, function, property, by, filter }
        });
    let unique = (
        name(),
        prop::sample::select(TEXTS.to_vec()),
        prop::sample::select(vec![vec![], vec!["objectId"], vec!["groupId", "objectId"]]),
        prop::option::of(filter()),
    )
        .prop_map(|(name, property, by, filter)| Formula::Input {
            name,
            function: Function::Unique,
            property,
            by,
            filter,
        });
    let leaf = prop_oneof![5 => number, 2 => unique];
    let tree = leaf.prop_recursive(3, 6, 2, |inner| {
        prop_oneof![
            4 => (prop::sample::select(vec!['+', '-', '*', '/']), inner.clone(), inner.clone())
                .prop_map(|(operator, left, right)| Formula::Both(operator, Box::new(left), Box::new(right))),
            1 => inner.clone().prop_map(|part| Formula::Negated(Box::new(part))),
            1 => (inner, 1_i32..1_000)
                .prop_map(|(part, number)| Formula::Both('*', Box::new(part), Box::new(Formula::Number(number)))),
        ]
    });
    let percentile = (name(), prop::sample::select(NUMBERS.to_vec()), 1_u8..=99)
        .prop_map(|(name, property, share)| Formula::Percentile(name, property, share));
    prop_oneof![6 => tree, 1 => percentile]
}
