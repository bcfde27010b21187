//! How soon each function is ready, and has answered, after its process was started. Beside it a hello function.

use std::time::Duration;

use analytics_domain::{
    access::Role,
    account::AccountId,
    event::{Arrival, parse_batch},
};
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail};
use hyper::body::Bytes;
use ingest::accept::seal_body;
use serde_json::json;
use tests::runtime_api::{Function, Outcome};

use crate::{
    checkout::binary,
    input::{Issuer, bodies, envelope, with_id},
    plan::Plan,
    report::{Figure, Must, Row},
    stub::Stub,
};

/// Starts of each function.
const ROUNDS: usize = 21;
pub const FUNCTIONS: [&str; 20] = [
    "track-event",
    "track-events",
    "store-events",
    "search-events",
    "get-health",
    "get-openapi",
    "list-metrics",
    "create-metric",
    "get-metric",
    "update-metric",
    "delete-metric",
    "get-metric-data",
    "query-metrics",
    "rollup-metrics",
    "get-asyncapi",
    "get-dashboard",
    "ws-connect",
    "ws-message",
    "ws-disconnect",
    "stream-events",
];

const DEFINITION: &[u8] =
    br#"{"name":"Message Delivery Rate","type":"gauge","formula":"(delivered / sent) * 100","unit":"percentage",
    "aggregation":"avg","dimensions":["campaignId","groupId"]}"#;

pub async fn measure(plan: &Plan) -> Result<Figure> {
    let issuer = Issuer::new()?;
    let stub = Stub::start().await?;
    let real = issuer.environment(None, "https://clickhouse.example.test:8443");
    let local = issuer.environment(Some(&stub.url), &stub.url);
    let mut functions: Vec<(Starts, Starts)> = Vec::new();
    for name in FUNCTIONS {
        functions.push((Starts::of(name, &issuer)?, Starts::of("hello", &issuer)?));
    }
    for round in 0..=plan.pick(ROUNDS, 1) {
        for (function, hello) in &mut functions {
            // Side by side, so that both meet the same moment of the machine.
            for process in [hello, function] {
                // Ready as deployed, with the addresses of AWS itself, which are not called before there is work.
                let (ready, _) = start(process, &real, false).await?;
                let (_, answered) = start(process, &local, true).await?;
                if round > 0 {
                    process.ready.push(ready);
                    process.answered.extend(answered);
                }
            }
        }
    }
    let mut figure = Figure::new("start");
    for (function, hello) in functions {
        figure.rows.push(
            Row::new(format!("{}: start to ready", function.name), "ms", function.ready, Must::RatioAtMost(2.0))
                .beside("hello", hello.ready),
        );
        figure.rows.push(
            Row::new(format!("{}: start to first answer", function.name), "ms", function.answered, Must::Nothing)
                .beside("hello", hello.answered),
        );
    }
    figure.notes.push("ready: aim 1.5 x; configured for AWS over TLS. First answer: from local stubs".to_owned());
    Ok(figure)
}

struct Starts {
    name: &'static str,
    call: Bytes,
    ready: Vec<f64>,
    answered: Vec<f64>,
}

impl Starts {
    fn of(name: &'static str, issuer: &Issuer) -> Result<Self> {
        Ok(Self { name, call: typical_call(name, issuer)?, ready: Vec::new(), answered: Vec::new() })
    }
}

async fn start(function: &Starts, environment: &[(&str, String)], with_call: bool) -> Result<(f64, Option<f64>)> {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut process = Function::start(&binary(function.name)?, &environment).await?;
    let ready = millis(process.until_ready().await.with_context(|| function.name)?);
    let mut answered = None;
    if with_call {
        let outcome = process.invoke(function.call.clone()).await?;
        answered = Some(millis(process.started().elapsed()));
        let Outcome::Response(_) = outcome else { bail!("{} answers {outcome:?}", function.name) };
    }
    process.kill().await?;
    Ok((ready, answered))
}

/// An event of the kind that the function mostly gets.
pub fn typical_call(function: &str, issuer: &Issuer) -> Result<Bytes> {
    let body = bodies(1).remove(0);
    Ok(match function {
        "track-event" => {
            let one = br#"{"eventName":"message_sent","properties":{"campaignId":"c-7","text":"hello"}}"#;
            envelope("POST", "/api/events", "", &issuer.token(Role::Ingest)?, Some(one)).into()
        }
        "track-events" => envelope("POST", "/api/events/batch", "", &issuer.token(Role::Ingest)?, Some(&body)).into(),
        "search-events" => {
            let query = "property.campaignId=cmp-zh-tea-spring&limit=50";
            envelope("GET", "/api/events/search", query, &issuer.token(Role::Viewer)?, None).into()
        }
        "store-events" => sqs_batch(&body)?.into(),
        "list-metrics" => envelope("GET", "/api/metrics", "", &issuer.token(Role::Viewer)?, None).into(),
        "create-metric" => envelope("POST", "/api/metrics", "", &issuer.token(Role::Analyst)?, Some(DEFINITION)).into(),
        "get-metric" => of_metric("GET", "", "", &issuer.token(Role::Viewer)?, None)?.into(),
        "update-metric" => of_metric("PUT", "", "", &issuer.token(Role::Analyst)?, Some(DEFINITION))?.into(),
        "delete-metric" => of_metric("DELETE", "", "", &issuer.token(Role::Analyst)?, None)?.into(),
        "get-metric-data" => {
            let query = "period=7d&interval=day&groupBy=campaignId";
            of_metric("GET", "/data", query, &issuer.token(Role::Viewer)?, None)?.into()
        }
        "query-metrics" => {
            let body = br#"{"formula":"message_delivered / message_sent","period":"7d","interval":"day"}"#;
            envelope("POST", "/api/query", "", &issuer.token(Role::Viewer)?, Some(body)).into()
        }
        "rollup-metrics" => "{}".into(),
        "ws-connect" => {
            include_str!("../../events/ws-connect.json").replace("TOKEN", &issuer.token(Role::Viewer)?).into()
        }
        "ws-message" => include_str!("../../events/ws-message.json").into(),
        "ws-disconnect" => include_str!("../../events/ws-disconnect.json").into(),
        "stream-events" => include_str!("../../events/stream-events.json").into(),
        "get-asyncapi" => envelope("GET", "/api/asyncapi.json", "", "", None).into(),
        "get-dashboard" => envelope("GET", "/", "", "", None).into(),
        "get-health" => envelope("GET", "/health", "", "", None).into(),
        _ => envelope("GET", "/api/openapi.json", "", "", None).into(),
    })
}

/// A request for a built-in metric.
fn of_metric(method: &str, rest: &str, query: &str, token: &str, body: Option<&[u8]>) -> Result<String> {
    const ID: &str = "delivery_rate";
    with_id(&envelope(method, &format!("/api/metrics/{ID}{rest}"), query, token, body), ID)
}

/// Five thousand events in ten sealed batches, as Lambda's poller hands them over behind 5,000 events a second.
fn sqs_batch(body: &[u8]) -> Result<String> {
    let arrival = Arrival::new(AccountId::stored("bench"), now_millis(), 400);
    let (messages, _) = seal_body(body, parse_batch, &arrival)?;
    let message = messages.first().context("nothing was sealed")?;
    let records: Vec<_> = (0..10)
        .map(|number| {
            json!({
                "messageId": format!("00000000-0000-0000-0000-{number:012}"), "receiptHandle": "handle", "body": message,
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events", "awsRegion": "us-east-1",
            })
        })
        .collect();
    Ok(json!({"Records": records}).to_string())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
