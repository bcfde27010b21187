//! How soon each function is ready, and has answered, after its process was started. Beside it a hello function.

use std::time::Duration;

use analytics_domain::{
    access::Role,
    account::AccountId,
    event::{Arrival, parse_batch},
    time,
};
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail};
use hyper::body::Bytes;
use ingest::accept::seal_body;
use serde_json::json;
use tests::{
    runtime_api::{Function, Outcome},
    samples,
};

use crate::{
    checkout::binary,
    input::{Issuer, bodies, envelope},
    plan::Plan,
    report::{Figure, Must, Row},
    stub::Stub,
};

/// Starts of each function.
const ROUNDS: usize = 21;
pub async fn measure(plan: &Plan) -> Result<Figure> {
    let issuer = Issuer::new()?;
    let stub = Stub::start().await?;
    let real = issuer.environment(None, "https://clickhouse.example.test:8443");
    let local = issuer.environment(Some(&stub.url), &stub.url);
    let mut functions: Vec<(Starts, Starts)> = Vec::new();
    for name in samples::functions()? {
        functions.push((Starts::of(&name, &issuer)?, Starts::of("hello", &issuer)?));
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
    name: String,
    call: Bytes,
    ready: Vec<f64>,
    answered: Vec<f64>,
}

impl Starts {
    fn of(name: &str, issuer: &Issuer) -> Result<Self> {
        Ok(Self { name: name.to_owned(), call: typical_call(name, issuer)?, ready: Vec::new(), answered: Vec::new() })
    }
}

async fn start(function: &Starts, environment: &[(&str, String)], with_call: bool) -> Result<(f64, Option<f64>)> {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut process = Function::start(&binary(&function.name)?, &environment).await?;
    let ready = millis(process.until_ready().await.with_context(|| function.name.clone())?);
    let mut answered = None;
    if with_call {
        let outcome = process.invoke(function.call.clone()).await?;
        answered = Some(millis(process.started().elapsed()));
        let Outcome::Response(_) = outcome else { bail!("{} answers {outcome:?}", function.name) };
    }
    process.kill().await?;
    Ok((ready, answered))
}

/// An event of the kind that the function mostly gets: its sample, or many events.
pub fn typical_call(function: &str, issuer: &Issuer) -> Result<Bytes> {
    Ok(match function {
        // What the others are compared with gets the smallest event.
        "hello" => envelope("GET", "/", "", "", None).into(),
        "track-events" => {
            envelope("POST", "/api/events/batch", "", &issuer.token(Role::Ingest)?, Some(&bodies(1).remove(0))).into()
        }
        "store-events" => sqs_batch(&bodies(1).remove(0))?.into(),
        _ => {
            let now = time::format(now_millis());
            samples::sample(function, &issuer.token(Role::Admin)?, &now[..16])?.into()
        }
    })
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
