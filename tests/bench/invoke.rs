//! `track-events` as it is deployed: the binary, driven through the Runtime API with API Gateway's envelopes, and SQS
//! played by a stub. What counts is the CPU time of the function's process.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use anyhow::{Result, bail, ensure};
use hyper::body::Bytes;
use tests::runtime_api::{Function, Outcome};

use crate::{
    checkout::binary,
    input::{BATCH, Issuer, bodies, envelope},
    plan::Plan,
    process::cpu,
    report::{Figure, Must, Row},
    stub::Stub,
};

const ROUNDS: usize = 7;
pub const SLICE: Duration = Duration::from_secs(3);
/// In the answer to each batch.
pub const ACCEPTED: &[u8] = br#""accepted":500"#;

pub async fn measure(plan: &Plan) -> Result<Figure> {
    let calls = Calls::new().await?;
    let (mut ours, mut hello) = (calls.start(&binary("track-events")?).await?, calls.start(&binary("hello")?).await?);
    let slice = plan.pick(SLICE, SLICE / 10);
    let (mut accepting, mut greeting, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=plan.pick(ROUNDS, 2) {
        let (rate, latency) = calls.drive(&mut ours, slice, ACCEPTED).await?;
        let (hello_rate, _) = calls.drive(&mut hello, slice, b"hello").await?;
        // The first round only warms up.
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
    figure.notes.push(format!("batches of {BATCH} events, {} bytes with the envelope", calls.events[0].len()));
    Ok(figure)
}

/// What functions are called with, and the stub that they talk to.
pub struct Calls {
    issuer: Issuer,
    stub: Stub,
    events: Vec<Bytes>,
}

impl Calls {
    pub async fn new() -> Result<Self> {
        let issuer = Issuer::new()?;
        let token = issuer.token(Role::Ingest)?;
        let event = |body: &Vec<u8>| envelope("POST", "/api/events/batch", "", &token, Some(body)).into();
        let events = bodies(32).iter().map(event).collect();
        Ok(Self { issuer, stub: Stub::start().await?, events })
    }

    pub async fn start(&self, program: &Path) -> Result<Function> {
        let environment = self.issuer.environment(Some(&self.stub.url), &self.stub.url);
        let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
        Function::start(program, &environment).await
    }

    /// Calls the function for a while: events a second of its CPU time, and milliseconds a call.
    pub async fn drive(&self, function: &mut Function, slice: Duration, wanted: &[u8]) -> Result<(f64, f64)> {
        let Some(pid) = function.pid() else { bail!("the function has ended") };
        let (before, started) = (cpu(pid)?, Instant::now());
        let mut calls = 0;
        for event in self.events.iter().cycle() {
            let outcome = function.invoke(event.clone()).await?;
            let Outcome::Response(answer) = &outcome else { bail!("{outcome:?}") };
            let answers = |window: &[u8]| window == wanted || window == escaped(wanted).as_slice();
            ensure!(
                answer.windows(wanted.len()).any(answers) || answer.windows(escaped(wanted).len()).any(answers),
                "{}",
                String::from_utf8_lossy(answer)
            );
            calls += 1;
            if started.elapsed() > slice {
                break;
            }
        }
        let latency = started.elapsed().as_secs_f64() * 1_000.0 / f64::from(calls);
        let seconds = (cpu(pid)? - before).as_secs_f64();
        Ok((f64::from(calls) * BATCH as f64 / seconds, latency))
    }
}

/// As it stands within the answer's `body`.
fn escaped(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|&byte| if byte == b'"' { vec![b'\\', byte] } else { vec![byte] }).collect()
}
