//! `make bench`: every figure beside its opponent, measured in the same run in turns. `bench FIGURE…` measures some, and with
//! `--against FOLDER` beside another checkout of the project. `--short` only shows that everything works.
//!
//! Figures that need no running system come first, then those that need one: a stack of their own, in `.local/bench`.

#![expect(clippy::print_stdout, reason = "a tool talks to people")]

mod accept;
mod against;
mod checkout;
mod clickhouse;
mod dashboard;
mod expert;
mod feed;
mod footprint;
mod input;
mod invoke;
mod live;
mod local;
mod metric_cases;
mod metric_events;
mod metrics;
mod pipeline;
mod plan;
mod process;
mod report;
mod search;
mod start;
mod stats;
mod stub;

use std::{path::Path, process::ExitCode};

use anyhow::Result;

use crate::{
    checkout::Checkout,
    local::{Local, Site},
    plan::Plan,
    report::Figure,
};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every figure measured reaches what it must.
async fn run() -> Result<bool> {
    let plan = Plan::from_arguments(std::env::args().skip(1))?;
    let here = Checkout::here()?;
    let sides = plan.against.as_ref().map(|folder| Ok::<_, anyhow::Error>([here.clone(), Checkout::at(folder)?]));
    let sides = sides.transpose()?;
    let kind = if sides.is_some() { "against" } else { "" };
    let folder = Path::new("target/bench").join(kind).join(if plan.is_short { "short" } else { "" });
    let mut all_met = true;
    for name in &plan.figures {
        eprintln!("… {name}");
        let mut figure = match &sides {
            Some(sides) => against::compare(name, &plan, sides).await?,
            None => measure(name, &plan, &here).await?,
        };
        figure.is_judged = !plan.is_short;
        println!("{figure}");
        figure.write(&folder)?;
        all_met &= figure.is_met();
    }
    Ok(all_met)
}

async fn measure(name: &str, plan: &Plan, here: &Checkout) -> Result<Figure> {
    match name {
        "accept" => accept::measure(plan).await,
        "invoke" => invoke::measure(plan).await,
        "start" => start::measure(plan).await,
        "footprint" => footprint::measure(plan).await,
        _ => {
            let local = Local::up(here, Site::bench(plan.is_short)).await?;
            let figure = match name {
                "dashboard" => dashboard::measure(&local, plan).await,
                "live" => live::measure(&local, plan).await,
                "search" => search::measure(&local, plan).await,
                "metrics" => metrics::measure(&local, plan, metrics::EVENTS).await,
                "metrics-100m" => metrics::measure(&local, plan, metrics::MANY_EVENTS).await,
                _ => pipeline::measure(&local, plan).await,
            };
            local.down()?;
            figure
        }
    }
}
