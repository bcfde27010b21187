//! Random events, filters and formulas for the plain computation.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::plain::{Event, Filter, Formula, Function};

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
