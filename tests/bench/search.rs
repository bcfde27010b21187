//! Search over ten million events of one account while a thousand more are stored each second: through the API of the stack,
//! through the function alone, and as SQL that a person would write for the same answer.

use std::{
    fs,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::runtime_api::{Function, Outcome};

use crate::{
    feed::Feed,
    input::envelope,
    local::Local,
    plan::Plan,
    report::{Figure, Must, Row},
    stats::percentile,
};

pub const ACCOUNT: &str = "bench-search";
const EVENTS: u64 = 10_000_000;
const SHORT_EVENTS: u64 = 200_000;
/// Events of an insert.
const CHUNK: u64 = 400_000;
const DAYS: i64 = 30;
/// Events that arrive in a second.
pub const RATE: u64 = 1_000;
/// The first events have been stored, and the first merges are done.
pub const LEAD: Duration = Duration::from_secs(10);
const ROUNDS: usize = 5;
/// Searches of each kind in a round.
const SEARCHES: usize = 20;
/// Statements of each kind in a round.
const STATEMENTS: usize = 2;
/// Events of a page.
const PAGE: u64 = 50;
/// What the function's p99 may be of that of the statement. Measured on a quiet machine: 0.04 to 0.07 where the index leaves
/// out most of what the statement reads, 0.40 to 0.55 for rare words, for which both read little.
const MOST_COMMON: f64 = 0.1;
const MOST_RARE: f64 = 0.7;

/// What is searched for. The words and how often they stand in the events are those of `events.sql`.
pub struct Case {
    pub name: &'static str,
    query: (&'static str, String),
    sql: String,
    /// How many there are, if not a page.
    wanted: u64,
    /// What the function's p99 may be of the statement's.
    most: f64,
}

/// All of them, over so many events.
fn cases(events: u64) -> [Case; 6] {
    // Every 150,000th event from the 78th and the 79th on.
    let rare = |first: u64| (events + 150_000 - first).div_ceil(150_000).saturating_sub(1).min(PAGE);
    let message = format!("msg-{}", events / 2);
    let case = |name, query: (&'static str, &str), sql: &str, wanted, most| Case {
        name,
        query: (query.0, query.1.to_owned()),
        sql: sql.to_owned(),
        wanted,
        most,
    };
    [
        case(
            "property, one event in 50",
            ("property.groupId", "grp-7"),
            "props.groupId.:String = 'grp-7'",
            PAGE,
            MOST_COMMON,
        ),
        case(
            "property, one event",
            ("property.messageId", &message),
            &format!("props.messageId.:String = '{message}'"),
            1,
            MOST_COMMON,
        ),
        case("Latin word, common", ("q", "discount"), "text LIKE '%discount%'", PAGE, MOST_COMMON),
        case("Latin word, rare", ("q", "zephyrine"), "text LIKE '%zephyrine%'", rare(77), MOST_RARE),
        case("two Chinese characters, common", ("q", "优惠"), "text LIKE '%优惠%'", PAGE, MOST_COMMON),
        case("two Chinese characters, rare", ("q", "珊瑚"), "text LIKE '%珊瑚%'", rare(78), MOST_RARE),
    ]
}

/// Milliseconds of one case, one each search.
#[derive(Default)]
struct Times {
    api: Vec<f64>,
    function: Vec<f64>,
    sql: Vec<f64>,
}

pub async fn measure(local: &Local, plan: &Plan) -> Result<Figure> {
    let search = Search::start(local, plan).await?;
    let mut feed = Feed::start(local, &[ACCOUNT], RATE).await?;
    feed.open(plan.pick(LEAD, LEAD / 5)).await?;
    let mut figure = search.beside_sql(plan).await?;
    figure.rows.push(feed.stop().await?);
    let total = local.clickhouse.number(&format!("SELECT count() FROM events WHERE account_id = '{ACCOUNT}'")).await?;
    figure.notes.push(format!(
        "{total} events of one account; {} searches of each kind; the API is the \
         emulator's, with functions of the dev profile",
        plan.pick(ROUNDS * SEARCHES, SEARCHES)
    ));
    Ok(figure)
}

/// The function of a stack's checkout, over the stack's events.
pub struct Search<'l> {
    local: &'l Local,
    token: String,
    function: Function,
    pub cases: [Case; 6],
}

impl<'l> Search<'l> {
    /// Makes the events, unless they are there.
    pub async fn start(local: &'l Local, plan: &Plan) -> Result<Self> {
        let events = plan.pick(EVENTS, SHORT_EVENTS);
        seed(local, events).await?;
        let token = local.token(ACCOUNT, Role::Viewer)?;
        let function = Function::start(&local.checkout.binary("search-events"), &local.environment()).await?;
        Ok(Self { local, token, function, cases: cases(events) })
    }

    /// Milliseconds of searches of each kind by the function.
    pub async fn round(&mut self) -> Result<Vec<Vec<f64>>> {
        let mut all = Vec::new();
        for case in &self.cases {
            let mut times = Vec::new();
            for _ in 0..SEARCHES {
                times.push(by_function(&mut self.function, &self.token, case).await?);
            }
            all.push(times);
        }
        Ok(all)
    }

    async fn beside_sql(mut self, plan: &Plan) -> Result<Figure> {
        let mut times: Vec<Times> = self.cases.iter().map(|_| Times::default()).collect();
        for round in 0..=plan.pick(ROUNDS, 1) {
            for (case, times) in self.cases.iter().zip(&mut times) {
                for search in 0..SEARCHES {
                    let api = by_api(self.local, &self.token, case).await?;
                    let function = by_function(&mut self.function, &self.token, case).await?;
                    // The statement takes seconds where the words are common, and is less in need of many tries.
                    let sql = if search < STATEMENTS { Some(by_sql(self.local, case).await?) } else { None };
                    if round > 0 {
                        times.api.push(api);
                        times.function.push(function);
                        times.sql.extend(sql);
                    } else if search > 0 {
                        break;
                    }
                }
            }
        }
        let mut figure = Figure::new("search");
        for (case, Times { api, function, sql }) in self.cases.iter().zip(times) {
            let at = |times: &[f64], share| vec![percentile(times, share)];
            for (share, name, must) in [(0.5, "p50", Must::Nothing), (0.99, "p99", Must::RatioAtMost(case.most))] {
                figure.rows.push(
                    Row::new(format!("{}: {name}", case.name), "ms by the function", at(&function, share), must)
                        .beside("bare SQL", at(&sql, share)),
                );
                figure.rows.push(
                    Row::new(format!("{}: {name}", case.name), "ms through the API", at(&api, share), Must::Nothing)
                        .beside("bare SQL", at(&sql, share)),
                );
            }
        }
        Ok(figure)
    }
}

/// Milliseconds of a search through the API.
async fn by_api(local: &Local, token: &str, case: &Case) -> Result<f64> {
    let started = Instant::now();
    let found = local.search(token, &[(case.query.0, &case.query.1)]).await?;
    let took = millis(started);
    check(case, &found)?;
    Ok(took)
}

/// Of one by the function alone.
async fn by_function(function: &mut Function, token: &str, case: &Case) -> Result<f64> {
    let query = reqwest::Url::parse_with_params("http://localhost/", [(case.query.0, &case.query.1)])?;
    let call = envelope("GET", "/api/events/search", query.query().unwrap_or_default(), token, None);
    let started = Instant::now();
    let outcome = function.invoke(call).await?;
    let took = millis(started);
    let Outcome::Response(answer) = outcome else { bail!("{outcome:?}") };
    let answer: Value = serde_json::from_slice(&answer)?;
    check(case, &serde_json::from_str(answer["body"].as_str().context("no body")?)?)?;
    Ok(took)
}

/// Of the statement that a person would write.
async fn by_sql(local: &Local, case: &Case) -> Result<f64> {
    let sql = format!(
        "SELECT timestamp, event_name, event_id, event_type, session_id, user_id, received_at, ip, user_agent, locale, \
         properties FROM events FINAL WHERE account_id = '{ACCOUNT}' AND {} ORDER BY timestamp DESC LIMIT 50 \
         FORMAT JSONEachRow",
        case.sql
    );
    let started = Instant::now();
    local.clickhouse.ask(&sql).await?;
    Ok(millis(started))
}

fn check(case: &Case, found: &Value) -> Result<()> {
    let count = found["events"].as_array().map_or(0, Vec::len);
    ensure!(count as u64 == case.wanted, "{}: {count} events found, not {}", case.name, case.wanted);
    Ok(())
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

/// Events of the last month, unless they are there and reach up to now, as the checkout's own statement makes them.
async fn seed(local: &Local, events: u64) -> Result<()> {
    let clickhouse = &local.clickhouse;
    let of_account = format!("FROM events WHERE account_id = '{ACCOUNT}'");
    let hour_ago = format!("fromUnixTimestamp64Milli({}, 'UTC')", now_millis() - 3_600_000);
    let fresh = clickhouse.number(&format!("SELECT max(timestamp) > {hour_ago} {of_account}")).await? == 1;
    if fresh && clickhouse.number(&format!("SELECT count() {of_account}")).await? >= events {
        return Ok(());
    }
    clickhouse.ask(&format!("DELETE {of_account}")).await?;
    let statement = fs::read_to_string(local.checkout.root.join("tests/bench/events.sql"))?;
    let step = DAYS * 86_400_000 / i64::try_from(events)?;
    let start = now_millis() - step * i64::try_from(events)?;
    for first in (0..events).step_by(usize::try_from(CHUNK)?) {
        eprintln!("… events {first} of {events}");
        let sql = statement
            .replace("{account}", ACCOUNT)
            .replace("{start}", &start.to_string())
            .replace("{step}", &step.to_string())
            .replace("{first}", &first.to_string())
            .replace("{count}", &CHUNK.min(events - first).to_string());
        clickhouse.ask(&format!("{sql} SETTINGS type_json_skip_duplicated_paths = 1")).await?;
    }
    clickhouse.until_calm(Duration::from_secs(300)).await
}
