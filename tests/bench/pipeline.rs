//! From accepted to searchable on the running stack, everything on this machine: whether the lag stays at the rate that
//! must be held, how far it can be raised, and what the way costs ClickHouse beside one plain insert of the same rows.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    clickhouse::ClickHouse,
    local::Local,
    plan::Plan,
    process,
    report::{Figure, Must, Row},
    stats::{median, percentile},
};

const RATE: u64 = 10_000;
const SECONDS: u64 = 60;
/// Tried one after the other until the lag grows.
const HIGHER_RATES: [u64; 6] = [15_000, 20_000, 25_000, 30_000, 35_000, 40_000];
const HIGHER_SECONDS: u64 = 30;
/// A lag that is this much longer at the end than at the beginning grows, in seconds.
const GROWTH: f64 = 1.0;
/// Rounds of the comparison with a plain insert.
const ROUNDS: usize = 5;
const ROUND_SECONDS: u64 = 10;
/// How long what was accepted may take to be there.
const PATIENCE: Duration = Duration::from_secs(120);
/// What tables that were set aside are called, before a number.
const ASIDE: &str = "bench_aside_";
const COLUMNS: &str = "timestamp, event_name, event_id, event_type, session_id, user_id, received_at, clock_skew_ms, ip, \
                       user_agent, locale, version, properties, text";

pub async fn measure(local: &Local, plan: &Plan) -> Result<Figure> {
    let result = measure_all(local, plan).await;
    tidy(&local.clickhouse).await?;
    result
}

async fn measure_all(local: &Local, plan: &Plan) -> Result<Figure> {
    let mut figure = Figure::new("pipeline");
    warm_up(local).await?;
    let (rate, seconds) = plan.pick((RATE, SECONDS), (1_000, 5));
    let sustained = run(local, rate, seconds, Probes::Sent).await?;
    let name = format!("{rate} a second for {seconds} s");
    figure.rows.push(Row::new(
        format!("{name}: sent"),
        "events/s",
        vec![sustained.rate],
        Must::AtLeast(rate as f64 * 0.99),
    ));
    figure.rows.push(Row::new(format!("{name}: lag"), "s, median", vec![median(&sustained.lags)], Must::Nothing));
    figure.rows.push(Row::new(
        format!("{name}: lag"),
        "s, p99",
        vec![percentile(&sustained.lags, 0.99)],
        Must::Nothing,
    ));
    figure.rows.push(Row::new(
        format!("{name}: growth of the lag"),
        "s",
        vec![sustained.growth()],
        Must::AtMost(GROWTH),
    ));
    figure.notes.push(sustained.describe());

    let mut largest = if sustained.is_held() { sustained.rate } else { 0.0 };
    for rate in plan.pick(&HIGHER_RATES[..], &[]).iter().copied() {
        let higher = run(local, rate, HIGHER_SECONDS, Probes::Sent).await?;
        figure.notes.push(higher.describe());
        if !higher.is_held() {
            break;
        }
        largest = higher.rate;
    }
    figure.rows.push(Row::new("most without growing lag", "events/s", vec![largest], Must::Nothing));

    let (mut ours, mut merged, mut bulk) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.pick(ROUNDS, 1) {
        empty(&local.clickhouse).await?;
        let run = run(local, rate, plan.pick(ROUND_SECONDS, 3), Probes::None).await?;
        ours.push(run.clickhouse * 1e6 / run.events as f64);
        let forced = merge_all(&local.clickhouse).await?;
        merged.push((run.clickhouse + forced) * 1e6 / run.events as f64);
        bulk.push(plain_insert(&local.clickhouse, &run.account).await? * 1e6 / run.events as f64);
    }
    figure.rows.push(
        Row::new("ClickHouse CPU time with its merges", "us an event", ours, Must::RatioAtMost(2.0))
            .beside("one plain insert", bulk.clone()),
    );
    // The indexes of new parts are made by their first merge. This counts those too that have not had one yet.
    figure.rows.push(
        Row::new("the same, all forced into one part", "us an event", merged, Must::Nothing)
            .beside("one plain insert", bulk),
    );
    figure
        .notes
        .push("counts by name equal the load tool's ledger after each run; functions of the dev profile".to_owned());
    Ok(figure)
}

/// Makes sure that the functions are started, and that the emulator has its connections.
pub async fn warm_up(local: &Local) -> Result<()> {
    empty(&local.clickhouse).await?;
    run(local, 1_000, 5, Probes::Sent).await.map(drop)
}

/// What the way of an event costs, and how long it is.
pub struct Cost {
    /// CPU time of ClickHouse, merges into one part included, in microseconds an event.
    pub clickhouse: f64,
    /// The same of all functions.
    pub functions: f64,
    /// Median of the seconds from the acceptance of an event until it is found.
    pub lag: f64,
}

/// One round at the rate that must be held. At the end of all rounds, [`tidy`] is due.
pub async fn cost(local: &Local, plan: &Plan) -> Result<Cost> {
    empty(&local.clickhouse).await?;
    let (rate, seconds) = plan.pick((RATE, ROUND_SECONDS), (1_000, 5));
    let run = run(local, rate, seconds, Probes::Sent).await?;
    ensure!(run.rate >= rate as f64 * 0.98, "only {:.0} of {rate} events a second were sent", run.rate);
    let merges = merge_all(&local.clickhouse).await?;
    let an_event = |seconds: f64| seconds * 1e6 / run.events as f64;
    Ok(Cost {
        clickhouse: an_event(run.clickhouse + merges),
        functions: an_event(run.functions),
        lag: median(&run.lags),
    })
}

/// One run of the load tool.
struct Run {
    account: String,
    target: u64,
    /// New events sent a second.
    rate: f64,
    events: u64,
    /// Seconds from a probe's acceptance until it was found, in the order of their sending.
    lags: Vec<f64>,
    /// CPU seconds of ClickHouse, until its merges had ended, above what it takes when idle.
    clickhouse: f64,
    /// CPU seconds of the functions while events were sent.
    functions: f64,
    /// CPU time of each part, in words.
    busy: String,
}

impl Run {
    /// How much longer the lag was in the last third than in the first.
    fn growth(&self) -> f64 {
        let third = (self.lags.len() / 3).max(1);
        median(&self.lags[self.lags.len() - third..]) - median(&self.lags[..third])
    }

    fn describe(&self) -> String {
        let lag = match self.lags.as_slice() {
            [] => String::new(),
            lags => format!(", lag {:.1} s, growing by {:.1} s", median(lags), self.growth()),
        };
        format!("{} a second wanted, {:.0} sent{lag}; {}", self.target, self.rate, self.busy)
    }

    fn is_held(&self) -> bool {
        self.rate >= self.target as f64 * 0.98 && self.growth() <= GROWTH
    }
}

/// Whether events are looked for on their way. Looking takes ClickHouse's time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probes {
    Sent,
    None,
}

async fn run(local: &Local, rate: u64, seconds: u64, probing: Probes) -> Result<Run> {
    let account = format!("bench-{:08x}", u32::from_be_bytes(analytics_platform::random()));
    let token = local.token(&account, Role::Ingest)?;
    let clickhouse = &local.clickhouse;
    clickhouse.until_calm(PATIENCE).await?;
    let idle = idle_share(clickhouse).await?;
    let (started, before) = (Instant::now(), Busy::now(local)?);
    let mut demo = Command::new(local.checkout.tool("demo"));
    demo.args(["load", "--url", local.setting("API_URL")?, "--token", &token, "--json", "--connections", "8"])
        .args(["--rate", &rate.to_string(), "--duration", &format!("{seconds}s")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let load = tokio::task::spawn_blocking(move || demo.output());
    let mut probes = tokio::task::JoinSet::new();
    for second in 0..if probing == Probes::Sent { seconds } else { 0 } {
        let due = started + Duration::from_secs(second) + Duration::from_millis(500);
        tokio::time::sleep_until(due.into()).await;
        probes.spawn(probe(
            local.http.clone(),
            local.setting("API_URL")?.to_owned(),
            token.clone(),
            clickhouse.clone(),
            account.clone(),
            second,
        ));
    }
    let output = load.await??;
    let took = started.elapsed();
    let after = Busy::now(local)?;
    let mut lags = Vec::new();
    while let Some(lag) = probes.join_next().await {
        lags.push(lag??);
    }
    lags.sort_unstable_by_key(|(second, _)| *second);
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let events = report["distinctAccepted"].as_u64().unwrap_or_default();
    until_stored(clickhouse, &account, events + lags.len() as u64).await?;
    clickhouse.until_calm(PATIENCE).await?;
    let cpu = (clickhouse.cpu()? - before.clickhouse).as_secs_f64() - idle * started.elapsed().as_secs_f64();
    compare(clickhouse, &account, &report, lags.len()).await?;
    let run = Run {
        account,
        target: rate,
        rate: report["rate"].as_f64().unwrap_or_default(),
        events,
        lags: lags.into_iter().map(|(_, lag)| lag).collect(),
        clickhouse: cpu,
        functions: after.functions.saturating_sub(before.functions).as_secs_f64(),
        busy: after.since(&before, took),
    };
    eprintln!("… {}", run.describe());
    Ok(run)
}

/// Sends one event by the API and looks for it until it is there: seconds from its 202.
async fn probe(
    http: reqwest::Client,
    api: String,
    token: String,
    clickhouse: ClickHouse,
    account: String,
    second: u64,
) -> Result<(u64, f64)> {
    let event = json!({"eventName": "bench_probe", "eventType": format!("probe-{second}")});
    let answer = http.post(format!("{api}/api/events")).bearer_auth(token).json(&event).send().await?;
    ensure!(answer.status().as_u16() == 202, "{}", answer.text().await?);
    let accepted = Instant::now();
    let sql = format!(
        "SELECT count() FROM events WHERE account_id = '{account}' AND event_name = 'bench_probe' \
         AND event_type = 'probe-{second}'"
    );
    while clickhouse.number(&sql).await? == 0 {
        ensure!(accepted.elapsed() < PATIENCE, "an accepted event is not there after {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok((second, accepted.elapsed().as_secs_f64()))
}

/// Waits until as many rows are there as were accepted.
async fn until_stored(clickhouse: &ClickHouse, account: &str, wanted: u64) -> Result<()> {
    let started = Instant::now();
    while clickhouse.number(&format!("SELECT count() FROM events WHERE account_id = '{account}'")).await? < wanted {
        ensure!(started.elapsed() < PATIENCE, "accepted events are not there after {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Whether the tables hold what the load tool's books say was accepted, by name, and not one more.
async fn compare(clickhouse: &ClickHouse, account: &str, report: &Value, probes: usize) -> Result<()> {
    let mut wanted: BTreeMap<String, u64> = serde_json::from_value(report["acceptedByName"].clone())?;
    if probes > 0 {
        wanted.insert("bench_probe".to_owned(), probes as u64);
    }
    let text = clickhouse
        .ask(&format!(
            "SELECT event_name, count() FROM events FINAL WHERE account_id = '{account}' GROUP BY event_name FORMAT TSV"
        ))
        .await?;
    let found: BTreeMap<String, u64> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect();
    ensure!(found == wanted, "the tables differ from the books: {found:?}, accepted were {wanted:?}");
    Ok(())
}

/// Puts an empty table in the place of the one with events: merges of what was stored before would count as those of what
/// is measured. It is set aside and not dropped, since creating files takes several times as long just after many were
/// deleted.
async fn empty(clickhouse: &ClickHouse) -> Result<()> {
    let aside = format!("{ASIDE}{}", now_millis());
    for sql in [
        format!("CREATE TABLE {aside} AS events"),
        format!("EXCHANGE TABLES events AND {aside}"),
        format!("SYSTEM STOP MERGES {aside}"),
    ] {
        clickhouse.ask(&sql).await?;
    }
    clickhouse.until_calm(PATIENCE).await
}

/// Drops what was set aside.
pub async fn tidy(clickhouse: &ClickHouse) -> Result<()> {
    let sql = format!("SELECT name FROM system.tables WHERE database = 'analytics' AND startsWith(name, '{ASIDE}')");
    for name in clickhouse.ask(&sql).await?.lines() {
        clickhouse.ask(&format!("DROP TABLE {name} SYNC")).await?;
    }
    Ok(())
}

/// CPU seconds that merging what is there into one part takes.
async fn merge_all(clickhouse: &ClickHouse) -> Result<f64> {
    let before = clickhouse.cpu()?;
    clickhouse.ask("OPTIMIZE TABLE events FINAL").await?;
    Ok((clickhouse.cpu()? - before).as_secs_f64())
}

/// CPU seconds that one insert of an account's rows costs, merges included.
async fn plain_insert(clickhouse: &ClickHouse, account: &str) -> Result<f64> {
    let select = format!(
        "SELECT '{account}-bulk' AS account_id, {COLUMNS} FROM events AS stored \
         WHERE stored.account_id = '{account}' FORMAT RowBinary"
    );
    let rows = clickhouse.bytes(&select).await?;
    empty(clickhouse).await?;
    let idle = idle_share(clickhouse).await?;
    let (started, before) = (Instant::now(), clickhouse.cpu()?);
    clickhouse.insert(&format!("INSERT INTO events (account_id, {COLUMNS}) FORMAT RowBinary"), rows).await?;
    clickhouse.until_calm(PATIENCE).await?;
    Ok((clickhouse.cpu()? - before).as_secs_f64() - idle * started.elapsed().as_secs_f64())
}

/// The share of one core that ClickHouse takes when nobody asks it for anything.
async fn idle_share(clickhouse: &ClickHouse) -> Result<f64> {
    let (started, before) = (Instant::now(), clickhouse.cpu()?);
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok((clickhouse.cpu()? - before).as_secs_f64() / started.elapsed().as_secs_f64())
}

/// CPU time of the stack's parts so far.
struct Busy {
    clickhouse: Duration,
    emulator: Duration,
    functions: Duration,
}

impl Busy {
    fn now(local: &Local) -> Result<Self> {
        let functions = process::children(local.emulator_pid).iter().filter_map(|pid| process::cpu(*pid).ok()).sum();
        Ok(Self { clickhouse: local.clickhouse.cpu()?, emulator: process::cpu(local.emulator_pid)?, functions })
    }

    /// What each has taken of one core.
    fn since(&self, before: &Self, took: Duration) -> String {
        let share =
            |now: Duration, before: Duration| 100.0 * now.saturating_sub(before).as_secs_f64() / took.as_secs_f64();
        format!(
            "of a core, ClickHouse took {:.0} %, the emulator {:.0} %, the functions {:.0} %",
            share(self.clickhouse, before.clickhouse),
            share(self.emulator, before.emulator),
            share(self.functions, before.functions),
        )
    }
}
