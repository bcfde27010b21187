//! `make bench`: every figure beside its opponent, measured in the same run in turns. `bench FIGURE…` measures some.
//!
//! Figures that need no running system come first, then those that need one: a stack of their own, in `.local/bench`.

#![expect(clippy::print_stdout, reason = "a tool talks to people")]

mod accept;
mod clickhouse;
mod dashboard;
mod footprint;
mod input;
mod invoke;
mod live;
mod local;
mod metrics;
mod pipeline;
mod process;
mod report;
mod search;
mod start;
mod stub;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{local::Local, report::Figure};

/// Every figure, in the order in which they are measured.
const FIGURES: [&str; 10] =
    ["accept", "invoke", "start", "footprint", "dashboard", "live", "search", "metrics", "metrics-100m", "pipeline"];

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match run(&wanted).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every figure measured reaches what it must.
async fn run(wanted: &[String]) -> Result<bool> {
    if let Some(unknown) = wanted.iter().find(|name| !FIGURES.contains(&name.as_str())) {
        bail!("no figure {unknown}: there are {}", FIGURES.join(", "));
    }
    let mut all_met = true;
    for name in FIGURES.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
        let figure = measure(name).await?;
        println!("{figure}");
        figure.write()?;
        all_met &= figure.is_met();
    }
    Ok(all_met)
}

async fn measure(name: &str) -> Result<Figure> {
    eprintln!("… {name}");
    match name {
        "accept" => accept::measure().await,
        "invoke" => invoke::measure().await,
        "start" => start::measure().await,
        "footprint" => footprint::measure().await,
        _ => {
            let local = Local::up().await?;
            let figure = match name {
                "dashboard" => dashboard::measure(&local).await,
                "live" => live::measure(&local).await,
                "search" => search::measure(&local).await,
                "metrics" => metrics::measure(&local, 10_000_000, 50.0).await,
                "metrics-100m" => metrics::measure(&local, 100_000_000, 100.0).await,
                _ => pipeline::measure(&local).await,
            };
            local.down()?;
            figure
        }
    }
}
