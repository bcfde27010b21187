//! Formulas computed the slow and plain way, over events in a list: what the product's answers are compared with. Nothing of
//! the product's own formulas, filters or tables is used here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

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
