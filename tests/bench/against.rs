//! This checkout beside another one of the project: both are measured in turns, in the same run and on the same machine, each by
//! its own programs.
//!
//! Turns are A B, B A, A B, …, so that a machine that slowly becomes faster or slower favours neither. Each pair of turns gives
//! one ratio, and the ratios of all pairs a confidence interval.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    checkout::Checkout,
    feed::Feed,
    invoke::{ACCEPTED, Calls, SLICE},
    local::{Local, Site},
    metric_cases::{CASES, COMPARED},
    metrics::{self, Questions},
    pipeline,
    plan::Plan,
    report::{Better, Figure, Must, Row},
    search::{self, Search},
    stats::{geometric_mean, median, percentile},
};

/// Pairs of turns. Those of a short run are the fewest that make an interval.
const PAIRS: usize = 10;
const SHORT_PAIRS: usize = 2;

/// A value of ours and one of theirs for each pair of turns.
#[derive(Default)]
struct Pairs {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Pairs {
    fn push(&mut self, side: usize, value: f64) {
        [&mut self.ours, &mut self.theirs][side].push(value);
    }

    fn row(self, name: impl Into<String>, unit: &'static str, better: Better) -> Row {
        Row::new(name, unit, self.ours, Must::NotFallen(better)).beside("the other checkout", self.theirs)
    }
}

/// Whose turn it is: ours is 0, theirs is 1.
fn turns(plan: &Plan) -> impl Iterator<Item = usize> + use<> {
    (0..plan.pick(PAIRS, SHORT_PAIRS)).flat_map(|pair| if pair % 2 == 0 { [0, 1] } else { [1, 0] })
}

/// Measures one figure of both checkouts.
pub async fn compare(name: &'static str, plan: &Plan, sides: &[Checkout; 2]) -> Result<Figure> {
    let mut figure = match name {
        "accept" => accept(plan, sides)?,
        "invoke" => invoke(plan, sides).await?,
        _ => on_stacks(name, plan, sides).await?,
    };
    figure.notes.push(format!("the other checkout is {}", sides[1].root.display()));
    Ok(figure)
}

/// Each checkout's own benchmark, since this figure is of its libraries.
fn accept(plan: &Plan, sides: &[Checkout; 2]) -> Result<Figure> {
    let (mut rates, mut notes) = (Pairs::default(), [String::new(), String::new()]);
    for side in turns(plan) {
        let found = own_accept(&sides[side])?;
        rates.push(side, found["rows"][0]["median"].as_f64().context("no rate")?);
        notes[side] = found["notes"][0].as_str().unwrap_or_default().to_owned();
    }
    let mut figure = Figure::new("accept");
    figure.rows.push(rates.row("accepted in process", "events/s/core", Better::More));
    if notes[0] != notes[1] {
        figure.notes.push(format!("the two have read other events: {}; {}", notes[0], notes[1]));
    }
    Ok(figure)
}

fn own_accept(checkout: &Checkout) -> Result<Value> {
    let report = checkout.root.join("target/bench/accept.json");
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let mut bench = Command::new(checkout.binary("bench"));
    let done = bench.arg("accept").current_dir(&checkout.root).stdin(Stdio::null()).output()?;
    // It says by its exit code whether the figure is good enough, which is not asked here.
    let found = fs::read(&report).with_context(|| String::from_utf8_lossy(&done.stderr).into_owned())?;
    Ok(serde_json::from_slice(&found)?)
}

async fn invoke(plan: &Plan, sides: &[Checkout; 2]) -> Result<Figure> {
    let calls = Calls::new().await?;
    let mut functions = Vec::new();
    for side in sides {
        let mut function = calls.start(&side.binary("track-events")).await?;
        calls.drive(&mut function, SLICE / 10, ACCEPTED).await?;
        functions.push(function);
    }
    let (mut rates, mut latencies) = (Pairs::default(), Pairs::default());
    for side in turns(plan) {
        let (rate, latency) = calls.drive(&mut functions[side], plan.pick(SLICE, SLICE / 10), ACCEPTED).await?;
        rates.push(side, rate);
        latencies.push(side, latency);
    }
    let mut figure = Figure::new("invoke");
    figure.rows.push(rates.row("accepted by the function", "events/s/core", Better::More));
    figure.rows.push(latencies.row("a batch, from call to answer", "ms", Better::Less));
    Ok(figure)
}

/// What needs the stacks of both, which run at the same time; only the one whose turn it is has work.
async fn on_stacks(name: &'static str, plan: &Plan, sides: &[Checkout; 2]) -> Result<Figure> {
    let [our_site, their_site] = Site::compared(plan.is_short);
    let ours = Local::up(&sides[0], our_site).await?;
    let theirs = Local::up(&sides[1], their_site).await;
    let figure = match &theirs {
        Ok(theirs) => match name {
            "search" => search(plan, [&ours, theirs]).await,
            "metrics" => metrics(plan, [&ours, theirs]).await,
            "pipeline" => pipeline(plan, [&ours, theirs]).await,
            other => bail!("{other} cannot be compared"),
        },
        Err(error) => Err(anyhow::anyhow!("the other checkout: {error:#}")),
    };
    if let Ok(theirs) = theirs {
        theirs.down()?;
    }
    ours.down()?;
    figure
}

async fn search(plan: &Plan, locals: [&Local; 2]) -> Result<Figure> {
    let mut sides = Vec::new();
    for local in locals {
        let feed = Feed::start(local, &[search::ACCOUNT], search::RATE).await?;
        sides.push((Search::start(local, plan).await?, feed));
    }
    let mut times = Times::of(sides[0].0.cases.iter().map(|case| case.name).collect());
    for side in turns(plan) {
        let (search, feed) = &mut sides[side];
        feed.open(plan.pick(search::LEAD, search::LEAD / 5)).await?;
        times.push(side, &search.round().await?)?;
        feed.close().await?;
    }
    times.figure("search", sides.into_iter().map(|(_, feed)| feed)).await
}

async fn metrics(plan: &Plan, locals: [&Local; 2]) -> Result<Figure> {
    let mut sides = Vec::new();
    for local in locals {
        let questions = Questions::start(local, plan, metrics::COMPARED_EVENTS).await?;
        let feed = questions.feed(plan).await?;
        sides.push((questions, feed));
    }
    let mut times = Times::of(CASES[..COMPARED].iter().map(|case| case.name).collect());
    for side in turns(plan) {
        let (questions, feed) = &mut sides[side];
        feed.open(plan.pick(metrics::TURN_LEAD, metrics::TURN_LEAD / 5)).await?;
        times.push(side, &questions.round().await?)?;
        feed.close().await?;
    }
    times.figure("metrics", sides.into_iter().map(|(_, feed)| feed)).await
}

async fn pipeline(plan: &Plan, locals: [&Local; 2]) -> Result<Figure> {
    for local in locals {
        pipeline::warm_up(local).await?;
    }
    let (mut clickhouse, mut functions, mut lags) = (Pairs::default(), Pairs::default(), Pairs::default());
    for side in turns(plan) {
        let cost = pipeline::cost(locals[side], plan).await?;
        clickhouse.push(side, cost.clickhouse);
        functions.push(side, cost.functions);
        lags.push(side, cost.lag);
    }
    for local in locals {
        pipeline::tidy(&local.clickhouse).await?;
    }
    let mut figure = Figure::new("pipeline");
    figure.rows.push(clickhouse.row("ClickHouse CPU time, merged into one part", "us an event", Better::Less));
    figure.rows.push(functions.row("CPU time of the functions (dev profile)", "us an event", Better::Less));
    figure.rows.push(lags.row("from accepted to found", "s, median", Better::Less));
    Ok(figure)
}

/// Milliseconds of questions of several kinds: of each turn the median of each kind, and of all kinds together.
struct Times {
    kinds: Vec<(&'static str, Pairs)>,
    p50: Pairs,
    p99: Pairs,
}

impl Times {
    fn of(names: Vec<&'static str>) -> Self {
        let kinds = names.into_iter().map(|name| (name, Pairs::default())).collect();
        Self { kinds, p50: Pairs::default(), p99: Pairs::default() }
    }

    /// Takes in the times of one turn, by kind.
    fn push(&mut self, side: usize, times: &[Vec<f64>]) -> Result<()> {
        ensure!(times.len() == self.kinds.len(), "times of {} kinds, not {}", times.len(), self.kinds.len());
        let medians: Vec<f64> = times.iter().map(|times| median(times)).collect();
        for ((_, pairs), median) in self.kinds.iter_mut().zip(&medians) {
            pairs.push(side, *median);
        }
        // Each kind has the same weight in it, however long it takes.
        self.p50.push(side, geometric_mean(&medians));
        self.p99.push(side, percentile(&times.concat(), 0.99));
        Ok(())
    }

    async fn figure(self, name: &'static str, feeds: impl Iterator<Item = Feed>) -> Result<Figure> {
        let mut figure = self.rows(name);
        for (feed, side) in feeds.zip(["ours", "the other checkout"]) {
            let row = feed.stop().await?;
            figure.rows.push(Row { name: format!("{}, {side}", row.name), ..row });
        }
        Ok(figure)
    }

    fn rows(self, name: &'static str) -> Figure {
        let mut figure = Figure::new(name);
        for (kind, pairs) in self.kinds {
            figure.rows.push(pairs.row(format!("{kind}: p50"), "ms by the function", Better::Less));
        }
        figure.rows.push(self.p50.row("all: mean of the p50", "ms by the function", Better::Less));
        figure.rows.push(self.p99.row("all: p99", "ms by the function", Better::Less));
        figure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_alternate_and_swap() {
        let plan = Plan { figures: Vec::new(), against: None, is_short: true };
        assert_eq!(turns(&plan).collect::<Vec<_>>(), [0, 1, 1, 0]);
        let plan = Plan { is_short: false, ..plan };
        assert_eq!(turns(&plan).filter(|side| *side == 0).count(), PAIRS);
        assert_eq!(turns(&plan).count(), 2 * PAIRS);
    }

    #[test]
    fn a_slower_kind_falls_and_the_others_do_not() -> Result<()> {
        let mut times = Times::of(vec!["slower", "the same"]);
        for round in 0..6 {
            let noise = 1.0 + 0.01 * f64::from(round % 3);
            times.push(0, &[vec![12.0 * noise; 5], vec![3.0 * noise; 5]])?;
            times.push(1, &[vec![10.0; 5], vec![3.0; 5]])?;
        }
        let figure = times.rows("search");
        let met: Vec<_> = figure.rows.iter().map(|row| (row.name.as_str(), row.is_met())).collect();
        assert_eq!(
            met,
            [
                ("slower: p50", Some(false)),
                ("the same: p50", Some(true)),
                ("all: mean of the p50", Some(false)),
                ("all: p99", Some(false)),
            ]
        );
        assert!(!figure.is_met());
        Ok(())
    }
}
