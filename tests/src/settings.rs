//! The settings that functions read are compared with those that `template.yaml` gives them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use analytics_answers::Answers;
use analytics_domain::access::{Access, ROUTES};
use analytics_dynamo::MetricTable;
use analytics_http::Verifier;
use analytics_platform::config::ConfigError;
use analytics_testkit::template;
use analytics_warehouse::EventWarehouse;
use metrics::Defining;
use serde_json::Value;

type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;
type Make = fn(Lookup<'_>) -> Result<(), ConfigError>;

/// Makes the context of a function, and drops it.
macro_rules! make {
    ($from_lookup:expr) => {
        |lookup| $from_lookup(&lookup).map(drop)
    };
}

/// Each function with its context. Of HTTP functions, the way in makes the verifier of tokens.
const FUNCTIONS: [(&str, Make); 21] = [
    ("create-metric", make!(Defining::from_lookup)),
    ("delete-metric", make!(MetricTable::from_lookup)),
    ("get-asyncapi", |_| Ok(())),
    ("get-dashboard", make!(system::get_dashboard::App::from_lookup)),
    ("get-health", make!(system::get_health::App::from_lookup)),
    ("get-metric", make!(MetricTable::from_lookup)),
    ("get-metric-data", make!(Answers::from_lookup)),
    ("get-openapi", |_| Ok(())),
    ("list-metrics", make!(MetricTable::from_lookup)),
    ("query-metrics", make!(Answers::from_lookup)),
    ("refuse-route", |_| Ok(())),
    ("rollup-metrics", make!(metrics::rollup_metrics::App::from_lookup)),
    ("search-events", make!(EventWarehouse::to_read)),
    ("store-events", make!(ingest::store_events::App::from_lookup)),
    ("stream-events", make!(live::stream_events::App::from_lookup)),
    ("track-event", make!(ingest::accept::App::from_lookup)),
    ("track-events", make!(ingest::accept::App::from_lookup)),
    ("update-metric", make!(Defining::from_lookup)),
    ("ws-connect", make!(live::ws_connect::Context::from_lookup)),
    ("ws-disconnect", make!(live::ws_disconnect::Context::from_lookup)),
    ("ws-message", make!(live::ws_message::Context::from_lookup)),
];

/// Settings that Lambda itself gives.
const BY_LAMBDA: [&str; 4] = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// Settings that only local stacks and tests give.
const BY_TESTS: [&str; 5] =
    ["AWS_ENDPOINT_URL", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_USER", "ROLLUP_SECONDS", "ROLLUP_PAUSE_SECONDS"];

/// A value that the key may have.
fn value(key: &str) -> String {
    let keys = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"unit","alg":"ES256",
        "x":"FCYk_AvK-2IVCcBJwBO1dBkPgrN2zuz-NKmLX3RQDcM","y":"lA_Y6JZACRHcJ10L2g7HTdtkha8PEnlOTGafg1i_1EM"}]}"#;
    match key {
        "JWT_KEYS" => keys,
        "CLICKHOUSE_URL" | "AWS_ENDPOINT_URL" => "http://127.0.0.1:1",
        "SOCKETS_URL" | "LIVE_URL" => "wss://abc.execute-api.eu-central-1.amazonaws.com/ws",
        _ => "7",
    }
    .to_owned()
}

/// The settings that a function reads, and those without which it does not start.
struct Settings {
    read: BTreeSet<String>,
    required: BTreeSet<String>,
}

impl Settings {
    fn of(function: &str, make: Make) -> Self {
        let has_token = ROUTES.iter().any(|route| route.function == function && route.roles != Access::Everyone);
        let all = |lookup: Lookup<'_>| {
            make(lookup)?;
            if has_token { Verifier::from_lookup(&lookup).map(drop) } else { Ok(()) }
        };
        let read = RefCell::new(BTreeSet::new());
        let made = all(&|key: &str| {
            read.borrow_mut().insert(key.to_owned());
            Some(value(key))
        });
        assert_eq!(made, Ok(()), "{function} starts with every setting");
        let read = read.into_inner();
        let fails_without = |key: &&String| all(&|asked: &str| (asked != *key).then(|| value(asked))).is_err();
        let required = read.iter().filter(fails_without).cloned().collect();
        Self { read, required }
    }
}

/// The environment of each function in the template, by the function's name.
fn environments() -> BTreeMap<String, BTreeSet<String>> {
    let template = template();
    let resources = template["Resources"].as_object().expect("the template has resources");
    let functions = resources.values().filter(|resource| resource["Type"] == "AWS::Serverless::Function");
    let keys = |variables: &Value| variables.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    let environment = |function: &Value| {
        let properties = &function["Properties"];
        let name = properties["CodeUri"].as_str().and_then(|uri| uri.rsplit('/').next()).expect("a function has code");
        (name.to_owned(), keys(&properties["Environment"]["Variables"]))
    };
    functions.map(environment).collect()
}

fn of<'k>(keys: impl IntoIterator<Item = &'k str>) -> BTreeSet<String> {
    keys.into_iter().map(str::to_owned).collect()
}

#[test]
fn each_function_is_given_what_it_reads_and_nothing_else() {
    let environments = environments();
    let functions: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(environments.keys().collect::<Vec<_>>(), functions.iter().collect::<Vec<_>>());
    for (function, make) in FUNCTIONS {
        let Settings { read, required } = Settings::of(function, make);
        let given = &environments[function];
        let missing: Vec<&String> =
            required.difference(given).filter(|key| !BY_LAMBDA.contains(&key.as_str())).collect();
        assert!(missing.is_empty(), "{function} is not given {missing:?}");
        let superfluous: Vec<&String> = given.difference(&read).collect();
        assert!(superfluous.is_empty(), "{function} is given {superfluous:?}, and does not read them");
        let elsewhere = of(BY_LAMBDA.into_iter().chain(BY_TESTS));
        let unset: Vec<&String> = read.difference(given).filter(|key| !elsewhere.contains(*key)).collect();
        assert!(unset.is_empty(), "{function} reads {unset:?}, which nobody sets");
    }
}

#[test]
fn all_functions_are_given_what_the_log_reads() {
    let read = RefCell::new(BTreeSet::new());
    analytics_platform::telemetry::start(&|key: &str| {
        read.borrow_mut().insert(key.to_owned());
        None
    });
    let template = template();
    let given: BTreeSet<String> = template["Globals"]["Function"]["Environment"]["Variables"]
        .as_object()
        .expect("functions have an environment")
        .keys()
        .cloned()
        .collect();
    assert!(given.contains("LOG_LEVEL"));
    assert_eq!(read.into_inner(), given);
}

#[test]
fn only_functions_that_ask_clickhouse_may_log_in_and_none_is_given_a_password() {
    let may_log_in: Vec<String> = environments()
        .into_iter()
        .filter(|(_, keys)| keys.iter().any(|key| key.starts_with("CLICKHOUSE_")))
        .map(|(function, _)| function)
        .collect();
    assert!(environments().values().flatten().all(|key| !key.contains("PASSWORD")));
    assert_eq!(
        may_log_in,
        [
            "create-metric",
            "get-health",
            "get-metric-data",
            "query-metrics",
            "rollup-metrics",
            "search-events",
            "store-events",
            "stream-events",
            "update-metric"
        ]
    );
}
