//! Formulas computed the slow and plain way, over events in a list: what the product's answers are compared with. Nothing of
//! the product's own formulas, filters or tables is used here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
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

#[derive(Clone, Copy, Debug)]
pub enum Function {
    Count,
    Sum,
    Average,
    Smallest,
    Largest,
    Unique,
    First,
    Last,
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
                };
                write!(out, "{function}({name}.{property}{filter}{by})")
            }
            Self::Percentile(name, property, share) => write!(out, "p{share}({name}.{property})"),
            Self::Negated(part) => write!(out, "-({part})"),
            Self::Both(operator, left, right) => write!(out, "({left} {operator} {right})"),
        }
    }
}

/// Numbers of built-in events that are no amounts of money.
const NO_AMOUNTS: [&str; 7] = ["views", "forwards", "reactions", "replies", "members", "latencyMs", "waitS"];

impl Formula {
    /// Its value over these events; none where it has none, or where amounts of several currencies would be mixed.
    pub fn value(&self, events: &[&Event]) -> Option<f64> {
        if self.currencies(events).len() > 1 { None } else { self.computed(events) }
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

    fn computed(&self, events: &[&Event]) -> Option<f64> {
        match self {
            Self::Number(number) => Some(f64::from(*number)),
            Self::Negated(part) => part.computed(events).map(|value| -value),
            Self::Both(operator, left, right) => {
                let (left, right) = (left.computed(events)?, right.computed(events)?);
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
                let events: Vec<&&Event> = events
                    .iter()
                    .filter(|event| event.name == *name && filter.as_ref().is_none_or(|filter| filter.holds(event)))
                    .collect();
                let numbers: Vec<f64> = events.iter().filter_map(|event| event.number(property)).collect();
                match function {
                    Function::Count => Some(events.len() as f64),
                    Function::Sum => Some(numbers.iter().sum()),
                    Function::Average if numbers.is_empty() => None,
                    Function::Average => Some(numbers.iter().sum::<f64>() / numbers.len() as f64),
                    Function::Smallest => numbers.into_iter().reduce(f64::min),
                    Function::Largest => numbers.into_iter().reduce(f64::max),
                    Function::Unique => {
                        Some(events.iter().filter_map(|event| event.text(property)).collect::<BTreeSet<_>>().len()
                            as f64)
                    }
                    Function::First | Function::Last => {
                        let mut objects: BTreeMap<Vec<Option<String>>, Vec<(i64, f64)>> = BTreeMap::new();
                        for event in events {
                            let Some(number) = event.number(property) else { continue };
                            let object = by.iter().map(|path| event.text(path)).collect();
                            objects.entry(object).or_default().push((event.at, number));
                        }
                        let of_object = |mut values: Vec<(i64, f64)>| {
                            values.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
                            let end = if matches!(function, Function::First) { values.first() } else { values.last() };
                            end.map_or(0.0, |(_, number)| *number)
                        };
                        if objects.is_empty() { None } else { Some(objects.into_values().map(of_object).sum()) }
                    }
                }
            }
        }
    }

    /// Whether it is made of first and last values only, which go on where there are none.
    pub fn is_level(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Input { function, .. } => matches!(function, Function::First | Function::Last),
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

pub const NAMES: [&str; 3] = ["thing_made", "thing_sold", "thing_lost"];
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
    )
        .prop_map(|(name, age, user, campaign, group, amount, weight, object, flag, currency)| {
            let mut properties = Map::new();
            let values = [
                ("campaignId", campaign),
                ("groupId", group),
                ("amount", amount),
                ("weight", weight),
                ("objectId", object),
                ("currency", currency),
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
        Function::Last,
    ]);
    let number = (
        name(),
        function,
        prop::sample::select(NUMBERS.to_vec()),
        prop::sample::select(vec![vec![], vec!["objectId"], vec!["groupId", "objectId"]]),
        prop::option::of(filter()),
    )
        .prop_map(|(name, function, property, by, filter)| {
            let by = if matches!(function, Function::First | Function::Last) { by } else { Vec::new() };
            Formula::Input { name, function, property, by, filter }
        });
    let unique = (name(), prop::sample::select(TEXTS.to_vec()), prop::option::of(filter())).prop_map(
        |(name, property, filter)| Formula::Input {
            name,
            function: Function::Unique,
            property,
            by: Vec::new(),
            filter,
        },
    );
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
