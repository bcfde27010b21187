//! The live dashboard in a browser: what is transferred, and when the first number is there.

use std::process::{Command, Stdio};

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    checkout::tool,
    local::Local,
    plan::Plan,
    report::{Figure, Must, Row},
    stats::median,
};

const FOLDER: &str = "tests/web";
const ROUNDS: usize = 9;
const ACCOUNT: &str = "bench-dashboard";
const KILOBYTE: f64 = 1024.0;

#[derive(Deserialize)]
struct Visit {
    bytes: f64,
    milliseconds: f64,
}

pub async fn measure(local: &Local, plan: &Plan) -> Result<Figure> {
    let url = local.setting("API_URL")?;
    let mut demo = Command::new(tool("demo")?);
    demo.args(["history", "--url", url, "--token", &local.token(ACCOUNT, Role::Ingest)?]);
    ensure!(demo.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success(), "the demo data was not sent");
    local.clickhouse.until_calm(std::time::Duration::from_secs(120)).await?;
    let link = format!("{url}/#token={}", local.token(ACCOUNT, Role::Viewer)?);
    let mut node = Command::new("node");
    node.args(["measure.mjs", &link, &plan.pick(ROUNDS, 1).to_string()])
        .current_dir(FOLDER)
        .env("BROWSER", local.browser()?);
    let answer = node.output().context("Node is needed")?;
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let visits: Vec<Visit> = serde_json::from_slice(&answer.stdout)?;
    let mut figure = Figure::new("dashboard");
    let bytes: Vec<f64> = visits.iter().map(|visit| visit.bytes / KILOBYTE).collect();
    figure.rows.push(Row::new("transferred, compressed", "KB", bytes, Must::AtMost(150.0)));
    let first: Vec<f64> = visits.iter().map(|visit| visit.milliseconds).collect();
    figure.notes.push(format!(
        "first number between {:.0} and {:.0} ms, median {:.0} ms: browser, emulator, functions and \
        ClickHouse share this machine",
        first.iter().copied().fold(f64::INFINITY, f64::min),
        first.iter().copied().fold(0.0, f64::max),
        median(&first)
    ));
    figure.rows.push(Row::new("first number after navigation", "ms", first, Must::AtMost(1_000.0)));
    Ok(figure)
}
