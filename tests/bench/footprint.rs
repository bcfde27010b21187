//! What each function takes: memory beside a hello function, and bytes of its deployment package.

use std::{fs, io::Write};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::DeflateEncoder};
use tests::{
    runtime_api::{Function, Outcome},
    samples,
};

use crate::{
    checkout::binary,
    input::Issuer,
    plan::Plan,
    process::peak_memory,
    report::{Figure, Must, Row},
    start::typical_call,
    stub::Stub,
};

const ROUNDS: usize = 5;
const CALLS: usize = 50;

pub async fn measure(plan: &Plan) -> Result<Figure> {
    let issuer = Issuer::new()?;
    let stub = Stub::start().await?;
    let functions = samples::functions()?;
    let names: Vec<&str> = std::iter::once("hello").chain(functions.iter().map(String::as_str)).collect();
    let mut peaks: Vec<(Vec<f64>, Vec<f64>)> = vec![(Vec::new(), Vec::new()); names.len()];
    for _ in 0..plan.pick(ROUNDS, 1) {
        for (name, (ready, worked)) in names.iter().zip(&mut peaks) {
            let (after_start, after_calls) = peak(name, &issuer, &stub).await?;
            ready.push(after_start);
            worked.push(after_calls);
        }
    }
    let mut figure = Figure::new("footprint");
    let (hello_ready, hello_worked) = peaks.remove(0);
    for (name, (ready, worked)) in functions.iter().zip(peaks) {
        figure.rows.push(
            Row::new(format!("{name}: memory when ready"), "MB", ready, Must::RatioAtMost(3.0))
                .beside("hello", hello_ready.clone()),
        );
        figure.rows.push(
            Row::new(format!("{name}: memory after {CALLS} calls"), "MB", worked, Must::RatioAtMost(3.0))
                .beside("hello", hello_worked.clone()),
        );
        figure.rows.push(
            Row::new(format!("{name}: deployment package"), "MB", vec![packed(name)?], Must::AtMost(5.0))
                .beside("hello", vec![packed("hello")?]),
        );
    }
    figure.notes.push("hello gets small calls; packages are the release binaries, deflated".to_owned());
    Ok(figure)
}

async fn peak(name: &str, issuer: &Issuer, stub: &Stub) -> Result<(f64, f64)> {
    let environment = issuer.environment(Some(&stub.url), &stub.url);
    let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut function = Function::start(&binary(name)?, &environment).await?;
    function.until_ready().await?;
    let pid = function.pid().context("the function has ended")?;
    let ready = megabytes(peak_memory(pid)?);
    let call = typical_call(name, issuer)?;
    for _ in 0..CALLS {
        let outcome = function.invoke(call.clone()).await?;
        ensure!(matches!(outcome, Outcome::Response(_)), "{name} answers {outcome:?}");
    }
    let worked = megabytes(peak_memory(pid)?);
    function.kill().await?;
    Ok((ready, worked))
}

/// Size of the binary in a zip file, but for some hundred bytes of names.
fn packed(name: &str) -> Result<f64> {
    let bytes = fs::read(binary(name)?).with_context(|| name.to_owned())?;
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&bytes)?;
    Ok(megabytes(deflated.finish()?.len() as u64))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
