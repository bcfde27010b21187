//! `track-events` as it is deployed: the binary, driven through the Runtime API with API Gateway's envelopes, and SQS
//! played by a stub. What counts is the CPU time of the function's process.

use std::time::{Duration, Instant};

use analytics_domain::access::Role;
use anyhow::{Result, bail, ensure};
use hyper::body::Bytes;
use tests::runtime_api::{Function, Outcome};

use crate::{
    input::{BATCH, Issuer, binary, bodies, envelope},
    process::cpu,
    report::{Figure, Must, Row},
    stub::Stub,
};

const ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_secs(3);

pub async fn measure() -> Result<Figure> {
    let issuer = Issuer::new()?;
    let stub = Stub::start().await?;
    let token = issuer.token(Role::Ingest)?;
    let events: Vec<Bytes> =
        bodies(32).iter().map(|body| envelope("POST", "/api/events/batch", "", &token, Some(body)).into()).collect();
    let environment = issuer.environment(Some(&stub.url), &stub.url);
    let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut ours = Function::start(&binary("track-events")?, &environment).await?;
    let mut hello = Function::start(&binary("hello")?, &environment).await?;

    let (mut accepting, mut greeting, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (rate, latency) = drive(&mut ours, &events, br#""accepted":500"#).await?;
        let (hello_rate, _) = drive(&mut hello, &events, b"hello").await?;
        if round > 0 {
            accepting.push(rate);
            greeting.push(hello_rate);
            waiting.push(latency);
        }
    }
    let mut figure = Figure::new("invoke");
    figure.rows.push(
        Row::new("accepted by the function", "events/s/core", accepting, Must::AtLeast(200_000.0))
            .beside("hello reading the same", greeting),
    );
    figure.rows.push(Row::new("a batch, from call to answer", "ms", waiting, Must::Nothing));
    figure.notes.push(format!("batches of {BATCH} events, {} bytes with the envelope", events[0].len()));
    Ok(figure)
}

/// Calls the function for a while: events a second of its CPU time, and milliseconds a call.
async fn drive(function: &mut Function, events: &[Bytes], wanted: &[u8]) -> Result<(f64, f64)> {
    let Some(pid) = function.pid() else { bail!("the function has ended") };
    let (before, started) = (cpu(pid)?, Instant::now());
    let mut calls = 0;
    for event in events.iter().cycle() {
        let outcome = function.invoke(event.clone()).await?;
        let Outcome::Response(answer) = &outcome else { bail!("{outcome:?}") };
        let answers = |window: &[u8]| window == wanted || window == escaped(wanted).as_slice();
        ensure!(
            answer.windows(wanted.len()).any(answers) || answer.windows(escaped(wanted).len()).any(answers),
            "{}",
            String::from_utf8_lossy(answer)
        );
        calls += 1;
        if started.elapsed() > SLICE {
            break;
        }
    }
    let latency = started.elapsed().as_secs_f64() * 1_000.0 / f64::from(calls);
    let seconds = (cpu(pid)? - before).as_secs_f64();
    Ok((f64::from(calls) * BATCH as f64 / seconds, latency))
}

/// As it stands within the answer's `body`.
fn escaped(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|&byte| if byte == b'"' { vec![b'\\', byte] } else { vec![byte] }).collect()
}
