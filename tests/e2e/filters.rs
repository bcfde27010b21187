//! One filter language: whatever reads a filter finds the same events. Random events and filters, judged in memory, by searches
//! and by metrics.

use analytics_domain::{
    event::{Tree, canonical_properties},
    metric::{Filter, Filtered, meets, parse_filter},
    search::{Query, Search},
};
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde_json::{Map, Value, json};
use tests::stack::{Account, Stack};

const EVENTS: usize = 120;
const FILTERS: usize = 120;
/// Names in formulas go in quotes; one is a field's, one has a typed column, one is a path.
const NAMES: [&str; 9] = ["p", "tags", "campaignId", "campaignId.z", "$userId", "utm[source]", "o", "o.x", "a, b.c"];

struct Event {
    id: String,
    user_id: &'static str,
    properties: Tree,
}

impl Filtered for Event {
    fn field(&self, name: &str) -> &str {
        match name {
            "$userId" => self.user_id,
            "$eventType" => "custom",
            _ => "",
        }
    }

    fn properties(&self) -> &Tree {
        &self.properties
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    const TEXTS: [&str; 12] =
        ["a", "A", "7", "7.5", "true", "vip", "", "İstanbul", "и\u{306}", "Straße", "9007199254740993", "say \"hi\""];
    let numbers = [
        json!(7),
        json!(7.0),
        json!(7.5),
        json!(-3),
        json!(0),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(u64::MAX - 1),
        json!(i64::MIN),
        json!(1e20),
        json!(1e-7),
        json!(0.1),
    ];
    prop_oneof![
        proptest::sample::select(&TEXTS[..]).prop_map(Value::from),
        proptest::sample::select(numbers.to_vec()),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => scalar(),
        3 => proptest::collection::vec(scalar(), 0..4).prop_map(Value::from),
        1 => Just(json!({})),
        1 => scalar().prop_map(|value| json!({"x": value, "z": value})),
        1 => Just(json!([["vip"], {"x": 7}])),
    ]
}

fn properties() -> impl Strategy<Value = Map<String, Value>> {
    let name = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
    proptest::collection::vec((name, value()), 0..5).prop_map(|members| members.into_iter().collect())
}

/// A test as it is written in a filter.
fn test() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        NAMES.iter().map(|name| Value::from(*name).to_string()).chain(["$userId".to_owned()]).collect();
    let literal =
        || scalar().prop_filter("null is no value", |value| !value.is_null()).prop_map(|value| value.to_string());
    let part = proptest::sample::select(vec!["a", "VIP", "istanbul", "7", "STRASSE", "й", "9"]);
    let comparison = proptest::sample::select(vec!["<", "<=", ">", ">="]);
    let ordered = scalar().prop_filter("has an order", |value| value.is_number() || value.is_string());
    let condition = prop_oneof![
        literal().prop_map(|value| format!("= {value}")),
        literal().prop_map(|value| format!("!= {value}")),
        proptest::collection::vec(literal(), 1..4).prop_map(|values| format!("in ({})", values.join(", "))),
        (comparison, ordered).prop_map(|(comparison, value)| format!("{comparison} {value}")),
        part.prop_map(|part| format!("contains \"{part}\"")),
        Just("exists".to_owned()),
        Just("= null".to_owned()),
    ];
    (proptest::sample::select(names), condition).prop_map(|(name, condition)| format!("{name} {condition}"))
}

fn filter() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => test(),
        1 => (test(), test()).prop_map(|(one, other)| format!("{one} and not ({other})")),
        1 => (test(), test()).prop_map(|(one, other)| format!("({one} or {other})")),
    ]
}

fn some<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>, count: usize) -> Result<Vec<T>> {
    let one = |_| strategy.new_tree(runner).map(|tree| tree.current()).map_err(|why| anyhow::anyhow!("{why}"));
    (0..count).map(one).collect()
}

/// Sends random events, each beside one of another account that has lists and objects of other types under the same names.
async fn stock(account: &Account<'_>, neighbour: &Account<'_>, runner: &mut TestRunner) -> Result<Vec<Event>> {
    let now = now_millis();
    let (mut events, mut sent, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (place, properties) in some(runner, &properties(), EVENTS)?.into_iter().enumerate() {
        let (id, at) = (format!("e{place}"), now - i64::try_from(place)? * 1_000);
        let user_id = ["", "7", "Vip"][place % 3];
        let user = if user_id.is_empty() { Value::Null } else { Value::from(user_id) };
        sent.push(
            json!({"eventName": "thing", "eventId": id, "timestamp": at, "userId": user, "properties": properties}),
        );
        let canonical = canonical_properties(&Value::Object(properties).to_string())?;
        events.push(Event { id, user_id, properties: Tree::object(&canonical.json) });
        let odd = some(runner, &properties_of_others(), 1)?.remove(0);
        others.push(json!({"eventName": "thing", "eventId": format!("o{place}"), "timestamp": at, "properties": odd}));
    }
    // In the same insert, mostly: what stands before another tenant's rows must not change how these are read.
    tokio::try_join!(neighbour.send_all(&others), account.send_all(&sent))?;
    account.until_total(EVENTS as u64, &[]).await?;
    Ok(events)
}

fn properties_of_others() -> impl Strategy<Value = Map<String, Value>> {
    properties()
}

fn ids(found: &Value) -> Vec<String> {
    let events = found["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids: Vec<String> = events.iter().filter_map(|event| event["eventId"].as_str()).map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

fn expected(events: &[Event], filter: &Filter) -> Vec<String> {
    let mut ids: Vec<String> =
        events.iter().filter(|event| meets(*event, filter)).map(|event| event.id.clone()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn searches_metrics_and_memory_judge_events_alike() -> Result<()> {
    let stack = Stack::shared().await;
    let (account, neighbour) = (stack.account("filters"), stack.account("filters-beside"));
    let seed = u64::from_be_bytes({
        let random: [u8; 8] = analytics_platform::random();
        random
    });
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
    let events = stock(&account, &neighbour, &mut runner).await.with_context(|| format!("seed {seed}"))?;
    for text in some(&mut runner, &filter(), FILTERS)? {
        let filter = parse_filter(&text).with_context(|| text.clone())?;
        let expected = expected(&events, &filter);
        let found = account.search(&[("filter", &text), ("limit", "1000"), ("count", "true")]).await?;
        let shown: Vec<String> = events
            .iter()
            .filter(|event| ids(&found).contains(&event.id) != expected.contains(&event.id))
            .map(|event| serde_json::to_string(&event.properties).unwrap_or_default())
            .collect();
        ensure!(ids(&found) == expected, "seed {seed}, {text}: judged otherwise by the search: {shown:?}");
        ensure!(found["total"] == expected.len(), "seed {seed}, {text}: {} are counted", found["total"]);
        let body = json!({"formula": format!("thing{{{text}}}"), "interval": "none", "period": "24h"});
        let answer = account.query(&body).await?;
        let total = answer["results"][0]["series"][0]["total"].as_f64();
        ensure!(
            total == Some(expected.len() as f64),
            "seed {seed}, {text}: {total:?} in metrics, {} in memory",
            expected.len()
        );
    }
    Ok(())
}

#[tokio::test]
async fn conditions_of_a_search_are_filters() -> Result<()> {
    let stack = Stack::shared().await;
    let (account, neighbour) = (stack.account("conditions"), stack.account("conditions-beside"));
    let seed = u64::from_be_bytes({
        let random: [u8; 8] = analytics_platform::random();
        random
    });
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
    let events = stock(&account, &neighbour, &mut runner).await?;
    const OPERATORS: [&str; 9] = ["", "[eq]", "[ne]", "[gt]", "[gte]", "[lt]", "[lte]", "[contains]", "[exists]"];
    // Every text contains the empty text. A property that an event lacks does not.
    let mut all: Vec<(&str, &str, String)> = NAMES.map(|name| (name, "[contains]", String::new())).into();
    for _ in 0..60 {
        let name = some(&mut runner, &proptest::sample::select(&NAMES[..]), 1)?.remove(0);
        let operator = some(&mut runner, &proptest::sample::select(&OPERATORS[..]), 1)?.remove(0);
        let value = match (operator, some(&mut runner, &scalar(), 1)?.remove(0)) {
            ("[exists]", value) => if value.is_string() { "true" } else { "false" }.to_owned(),
            (_, Value::String(text)) => text,
            (_, value) => value.to_string(),
        };
        all.push((name, operator, value));
    }
    for (name, operator, value) in all {
        let parameter = format!("property.\"{name}\"{operator}");
        let asked = [(parameter.as_str(), value.as_str())];
        let Ok(Query::Accepted(Search { filter, .. })) = Query::parse(asked) else { panic!("{asked:?} is a search") };
        let found = account.search(&[asked[0], ("limit", "1000")]).await?;
        ensure!(ids(&found) == expected(&events, &filter), "seed {seed}, {asked:?}");
    }
    Ok(())
}
