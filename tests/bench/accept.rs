//! The accept path of `track-events` within one process: token, parse, validate, enrich, seal. Beside it, the least that
//! reading the same bytes can cost: splitting them into raw JSON values.

use std::{hint::black_box, time::Duration};

use analytics_domain::{
    access::{Operation, Role},
    event::{Arrival, parse_batch},
};
use analytics_http::{Incoming, Verifier};
use analytics_platform::now_millis;
use anyhow::{Result, ensure};
use ingest::accept::seal_body;
use lambda_http::{Body, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    input::{BATCH, Issuer, bodies},
    plan::Plan,
    process::thread_cpu,
    report::{Figure, Must, Row},
};

const ROUNDS: usize = 9;
/// CPU time of one side in one round.
const SLICE: Duration = Duration::from_millis(400);
const BODIES: usize = 64;

#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

pub async fn measure(plan: &Plan) -> Result<Figure> {
    let issuer = Issuer::new()?;
    let environment = issuer.environment(None, "http://127.0.0.1:1");
    let lookup = |key: &str| environment.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
    let verifier = Verifier::from_lookup(&lookup)?;
    let token = issuer.token(Role::Ingest)?;
    let bodies = bodies(BODIES);
    let requests: Vec<Request> = bodies.iter().map(|body| request(body, &token)).collect();

    let slice = plan.pick(SLICE, SLICE / 8);
    let (mut ours, mut bare, mut sealed) = (Vec::new(), Vec::new(), 0);
    for round in 0..=plan.pick(ROUNDS, 2) {
        let started = thread_cpu();
        let mut events = 0;
        while thread_cpu() - started < slice {
            for request in &requests {
                sealed = accept(&verifier, request).await?;
                events += BATCH;
            }
        }
        let accepting = events as f64 / (thread_cpu() - started).as_secs_f64();
        let started = thread_cpu();
        let mut events = 0;
        while thread_cpu() - started < slice {
            for body in &bodies {
                events += black_box(serde_json::from_slice::<Bare>(black_box(body))?).events.len();
            }
        }
        let parsing = events as f64 / (thread_cpu() - started).as_secs_f64();
        // The first round only warms up.
        if round > 0 {
            ours.push(accepting);
            bare.push(parsing);
        }
    }
    let mut figure = Figure::new("accept");
    let bytes = bodies.iter().map(Vec::len).sum::<usize>() / BODIES;
    figure.rows.push(
        Row::new("accepted in process", "events/s/core", ours, Must::RatioAtLeast(0.25)).beside("bare parse", bare),
    );
    figure.notes.push(format!(
        "batches of {BATCH} events in {bytes} bytes, sealed into {sealed}; aim 0.4 x; signatures are checked once a token"
    ));
    Ok(figure)
}

fn request(body: &[u8], token: &str) -> Request {
    let mut request = Request::new(Body::Text(String::from_utf8_lossy(body).into_owned()));
    for (name, value) in [
        ("authorization", format!("Bearer {token}")),
        ("user-agent", "analytics-sdk/1.4.0 (linux; x86_64)".to_owned()),
        ("accept-language", "zh-CN,zh;q=0.9".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            request.headers_mut().insert(name, value);
        }
    }
    request
}

/// What a request goes through before its messages are sent; bytes of those.
async fn accept(verifier: &Verifier, request: &Request) -> Result<usize> {
    let now = now_millis();
    let Ok(caller) = verifier.authorize(request, Operation::TrackEvents, now).await else {
        anyhow::bail!("the token is refused");
    };
    let incoming = Incoming::new(request);
    let Ok(body) = incoming.body() else { anyhow::bail!("the body is refused") };
    let arrival = Arrival {
        account_id: caller.account_id.clone(),
        received_at: now,
        seed: analytics_platform::random(),
        ip: incoming.ip(),
        user_agent: incoming.user_agent(),
        locale: incoming.locale(),
        is_text: true,
        retention_days: 400,
    };
    let (messages, taken) = seal_body(&body, parse_batch, &arrival)?;
    ensure!(taken.accepted == BATCH, "{} of {BATCH} events were accepted", taken.accepted);
    Ok(black_box(messages).iter().map(String::len).sum())
}
