//! Metrics over millions of events of which half are of one account, while two thousand more are stored each second: through the
//! function, as the statements of an expert over rollups of their own, and as SQL over the events that a person would write for
//! the same number.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tests::runtime_api::{Function, Outcome};

use crate::{
    expert,
    feed::Feed,
    input::{envelope, with_id},
    local::Local,
    metric_cases::{CASES, COMPARED, Case, FORMULA, Range},
    metric_events::seed,
    plan::Plan,
    report::{Figure, Must, Row},
    stats::percentile,
};

pub const ACCOUNT: &str = "bench-metrics";
/// Half of the events are of this one, before and during the measurement.
pub const OTHER_ACCOUNT: &str = "bench-metrics-other";
/// Events before the first round, and those of the figure with many.
pub const EVENTS: u64 = 10_000_000;
pub const MANY_EVENTS: u64 = 100_000_000;
/// Events of each checkout before a comparison.
pub const COMPARED_EVENTS: u64 = 2_000_000;
const ROUNDS: usize = 5;
/// Questions of each kind in a round.
const QUESTIONS: usize = 10;
/// Events that arrive in a second, half of them of the account. Two cores store no more than a few thousand beside the expert's views
/// and questions without a pause between them.
pub const RATE: u64 = 2_000;
/// Time from the first arriving event to the first question: merges of the first events are done, and a minute has ended.
const LEAD: Duration = Duration::from_secs(70);
/// The same in each turn of a comparison: the rollups of the turn before are computed by then.
pub const TURN_LEAD: Duration = Duration::from_secs(20);
/// How long computing the rollups of the history may take.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// What the function's p99 may be of the expert's.
const MOST: f64 = 1.5;
/// The same of a short run, and its rate.
const SHORT_EVENTS: u64 = 200_000;
const SHORT_RATE: u64 = 1_000;

/// Milliseconds of one question, one each time that it was asked.
#[derive(Default)]
struct Times {
    ours: Vec<f64>,
    expert: Vec<f64>,
    bare: Vec<f64>,
}

pub async fn measure(local: &Local, plan: &Plan, events: u64) -> Result<Figure> {
    let name = if events == MANY_EVENTS { "metrics-100m" } else { "metrics" };
    let mut figure = Figure::new(name);
    let mut questions = Questions::start(local, plan, events).await?;
    figure.notes.push(format!("rollups of the history were computed in {:.0} s", questions.built.as_secs_f64()));
    expert::fill(&local.clickhouse).await?;
    let mut feed = questions.feed(plan).await?;
    let measured = match feed.open(plan.pick(LEAD, LEAD / 10)).await {
        Ok(()) => questions.beside_opponents(plan, &mut figure).await,
        failed => failed,
    };
    let arrived = feed.stop().await;
    expert::remove(&local.clickhouse).await?;
    measured?;
    figure.rows.push(arrived?);
    let bytes = |table: &str| {
        format!(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'analytics' AND table = '{table}'"
        )
    };
    let rollups = local.clickhouse.number(&bytes("rollups")).await? as f64;
    let stored = local.clickhouse.number(&bytes("events")).await? as f64;
    figure.rows.push(
        Row::new("storage of rollups", "MB", vec![rollups / 1e6], Must::Nothing)
            .beside("the events", vec![stored / 1e6]),
    );
    Ok(figure)
}

/// The function of a stack's checkout, over the stack's events and rollups.
pub struct Questions<'l> {
    local: &'l Local,
    token: String,
    function: Function,
    /// The account's own metrics: the id of each formula.
    own: BTreeMap<&'static str, String>,
    /// How long it took to compute the rollups.
    built: Duration,
}

impl<'l> Questions<'l> {
    /// Makes the events unless they are there, and the rollups of what there is.
    pub async fn start(local: &'l Local, plan: &Plan, events: u64) -> Result<Self> {
        seed(local, plan.pick(events, SHORT_EVENTS)).await?;
        let own = define(local).await?;
        let built = build(local).await?;
        let token = local.token(ACCOUNT, Role::Viewer)?;
        let function = Function::start(&local.checkout.binary("get-metric-data"), &local.environment()).await?;
        Ok(Self { local, token, function, own, built })
    }

    /// What arrives while questions are asked.
    pub async fn feed(&self, plan: &Plan) -> Result<Feed> {
        Feed::start(self.local, &[ACCOUNT, OTHER_ACCOUNT], plan.pick(RATE, SHORT_RATE)).await
    }

    /// Milliseconds of questions of each kind.
    pub async fn round(&mut self) -> Result<Vec<Vec<f64>>> {
        let mut all = Vec::new();
        for case in &CASES[..COMPARED] {
            let mut times = Vec::new();
            for _ in 0..QUESTIONS {
                times.push(self.ask(case).await?.0);
            }
            all.push(times);
        }
        Ok(all)
    }

    async fn beside_opponents(&mut self, plan: &Plan, figure: &mut Figure) -> Result<()> {
        let mut times: Vec<Times> = CASES.iter().map(|_| Times::default()).collect();
        let mut sources = BTreeMap::<String, usize>::new();
        let mut lags = Vec::new();
        for round in 0..=plan.pick(ROUNDS, 1) {
            for (case, times) in CASES.iter().zip(&mut times) {
                for number in 0..if round == 0 { 1 } else { QUESTIONS } {
                    let (took, answer) = self.ask(case).await?;
                    let by_expert = self.by_expert(case, &answer).await?;
                    if number == 0 {
                        let (took, wanted) = self.by_sql(case, &answer).await?;
                        check(case, &answer, wanted)?;
                        times.bare.push(took);
                    }
                    if round > 0 {
                        times.ours.push(took);
                        times.expert.extend(by_expert);
                        *sources.entry(answer["source"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
                    }
                }
            }
            lags.push(staleness(self.local).await?);
            eprintln!("… round {round}");
        }
        show(figure, &times);
        let from_events = *sources.get("events").unwrap_or(&0) as f64;
        figure.rows.push(Row::new("answered from events alone", "questions", vec![from_events], Must::AtMost(0.0)));
        figure.rows.push(Row::new("oldest minute not rolled up", "s after its end", lags, Must::AtMost(60.0)));
        let total =
            self.local.clickhouse.number(&format!("SELECT count() FROM events WHERE account_id = '{ACCOUNT}'")).await?;
        figure.notes.push(format!(
            "{total} events of the account, about as many of another; {} questions of each kind; answers from {sources:?}; each \
             number equals that of the SQL",
            plan.pick(ROUNDS * QUESTIONS, QUESTIONS)
        ));
        Ok(())
    }

    async fn ask(&mut self, case: &Case) -> Result<(f64, Value)> {
        let metric = self.own.get(case.metric).map_or(case.metric, String::as_str);
        let path = format!("/api/metrics/{metric}/data");
        let call = with_id(&envelope("GET", &path, case.query, &self.token, None), metric)?;
        let started = Instant::now();
        let outcome = self.function.invoke(call).await?;
        let took = millis(started);
        let Outcome::Response(answer) = outcome else { bail!("{outcome:?}") };
        let answer: Value = serde_json::from_slice(&answer)?;
        ensure!(answer["statusCode"] == 200, "{}: {answer}", case.name);
        Ok((took, serde_json::from_str(answer["body"].as_str().context("no body")?)?))
    }

    /// Milliseconds of the expert's statement over the hours of the answer's range.
    async fn by_expert(&self, case: &Case, answer: &Value) -> Result<Option<f64>> {
        let Some(statement) = case.expert else { return Ok(None) };
        let started = Instant::now();
        let found = expert::ask(&self.local.clickhouse, ACCOUNT, statement, &range(answer)).await?;
        let took = millis(started);
        let ours = total(answer)?;
        // The range begins within an hour, of which the expert knows the whole only. A difference of two counts may then be
        // that of another few hundred events.
        let slack = if answer["type"] == "counter" { 500.0 } else { 5.0 };
        ensure!(
            (found - ours).abs() <= ours.abs() * 0.05 + slack,
            "{}: {ours} where the expert finds {found}",
            case.name
        );
        Ok(Some(took))
    }

    /// Milliseconds and answer of the statement over exactly the range of the answer.
    async fn by_sql(&self, case: &Case, answer: &Value) -> Result<(f64, f64)> {
        let Range { from, to } = range(answer);
        let events = format!(
            "events FINAL WHERE account_id = '{ACCOUNT}' AND timestamp >= toDateTime64('{from}', 3, 'UTC') AND timestamp < \
             toDateTime64('{to}', 3, 'UTC')"
        );
        let all = events.replace("timestamp >= toDateTime64", "timestamp >= -31 * 86400 + toDateTime64");
        let sql = if case.sql.contains("{events}") || case.sql.contains("{all}") {
            let from = format!("toDateTime64('{from}', 3, 'UTC')");
            let sql = case.sql.replace("{events}", &events).replace("{all}", &all).replace("{from}", &from);
            format!("SELECT {sql}")
        } else {
            format!("SELECT {} FROM {events}", case.sql)
        };
        let started = Instant::now();
        let found = self.local.clickhouse.ask(&sql).await?;
        Ok((millis(started), found.parse().with_context(|| format!("{found} by {sql}"))?))
    }
}

/// The rows of all questions, and of all together.
fn show(figure: &mut Figure, times: &[Times]) {
    let at = |values: &[f64], share| vec![percentile(values, share)];
    for (case, times) in CASES.iter().zip(times) {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let row = Row::new(format!("{}: {name}", case.name), "ms", at(&times.ours, share), Must::Nothing);
            if case.expert.is_some() {
                figure.rows.push(row.clone().beside("expert's rollups", at(&times.expert, share)));
            }
            figure.rows.push(row.beside("bare SQL", at(&times.bare, share)));
        }
    }
    let all = |of: fn(&Times) -> &[f64]| times.iter().flat_map(of).copied().collect::<Vec<f64>>();
    let (ours, bare) = (all(|times| &times.ours), all(|times| &times.bare));
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        figure.rows.push(
            Row::new(format!("all: {name}"), "ms", at(&ours, share), Must::Nothing)
                .beside("bare SQL", at(&bare, share)),
        );
    }
    // Only of what the expert's hours can answer.
    let ours: Vec<f64> = CASES
        .iter()
        .zip(times)
        .filter(|(case, _)| case.expert.is_some())
        .flat_map(|(_, times)| times.ours.iter().copied())
        .collect();
    let expert = all(|times| &times.expert);
    for (share, name, must) in [(0.5, "p50", Must::Nothing), (0.99, "p99", Must::RatioAtMost(MOST))] {
        figure.rows.push(
            Row::new(format!("all by the hour and more: {name}"), "ms", at(&ours, share), must)
                .beside("expert's rollups", at(&expert, share)),
        );
    }
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

fn range(answer: &Value) -> Range {
    let time = |name: &str| answer[name].as_str().unwrap_or_default().trim_end_matches('Z').replace('T', " ");
    Range { from: time("from"), to: time("to") }
}

fn total(answer: &Value) -> Result<f64> {
    answer["series"][0]["total"].as_f64().with_context(|| format!("no total in {answer}"))
}

/// The latest events may have been stored between the two.
fn check(case: &Case, answer: &Value, wanted: f64) -> Result<()> {
    let found = total(answer)?;
    ensure!((found - wanted).abs() <= wanted.abs() * 0.02 + 2.0, "{}: {found} where SQL finds {wanted}", case.name);
    Ok(())
}

/// The account's own metrics, each with its id. An older checkout does not know all functions: it goes without those metrics.
async fn define(local: &Local) -> Result<BTreeMap<&'static str, String>> {
    let mut own = BTreeMap::new();
    for (number, case) in CASES.iter().enumerate() {
        let Some(formula) = case.metric.strip_prefix(FORMULA).filter(|_| !own.contains_key(case.metric)) else {
            continue;
        };
        let body = json!({
            "name": format!("Metric {number} {}", now_millis()),
            "type": "gauge",
            "formula": formula,
            "aggregation": "avg",
            "dimensions": ["campaignId", "groupId", "senderId"],
        });
        let url = format!("{}/api/metrics", local.setting("API_URL")?);
        let request = local.http.post(url).bearer_auth(local.token(ACCOUNT, Role::Analyst)?).json(&body);
        let answer = request.send().await?;
        if answer.status() == 422 && number >= COMPARED {
            continue;
        }
        let answer: Value = answer.error_for_status()?.json().await?;
        // An older checkout says `id`.
        let id = answer["metricId"].as_str().or_else(|| answer["id"].as_str());
        own.insert(case.metric, id.with_context(|| format!("no id: {answer}"))?.to_owned());
    }
    Ok(own)
}

/// Seconds since the end of the oldest minute that has ended and is not computed.
async fn staleness(local: &Local) -> Result<f64> {
    let sql = format!(
        "SELECT max(greatest(0, now() - bucket - 60)) FROM (SELECT bucket FROM rollup_buckets WHERE account_id = '{ACCOUNT}' \
         AND grain = 60 AND bucket > now() - 7200 GROUP BY bucket HAVING max(computed_at) <= max(changed_at))"
    );
    Ok(local.clickhouse.number(&sql).await? as f64)
}

/// Computes the rollups of what is there, until all buckets that have ended are computed: the time that it took.
async fn build(local: &Local) -> Result<Duration> {
    let started = Instant::now();
    let stale = format!(
        "SELECT count() FROM (SELECT grain, bucket FROM rollup_buckets WHERE account_id = '{ACCOUNT}' AND grain > 10 GROUP BY \
         grain, bucket HAVING max(computed_at) <= max(changed_at)) WHERE bucket + grain < now() - 120"
    );
    let mut function = Function::start(&local.checkout.binary("rollup-metrics"), &local.environment()).await?;
    loop {
        let outcome = function.invoke("{}".to_owned()).await?;
        let Outcome::Response(done) = outcome else { bail!("{outcome:?}") };
        let done: Value = serde_json::from_slice(&done)?;
        let left = local.clickhouse.number(&stale).await?;
        eprintln!("… rollups after {:.0?}: {left} buckets left, {done}", started.elapsed());
        if left == 0 && done["buckets"] == 0 && done["series"] == 0 && done["elsewhere"] != true {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < PATIENCE, "the rollups of the history are not computed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
