//! Search over ten million events of one account while a thousand more arrive each second: through the API of the stack,
//! through the function alone, and as SQL that a person would write for the same answer.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::runtime_api::{Function, Outcome};

use crate::{
    input::{binary, envelope, tool},
    local::Local,
    report::{Figure, Must, Row, percentile},
};

const ACCOUNT: &str = "bench-search";
const EVENTS: u64 = 10_000_000;
/// Inserts that they come in.
const CHUNKS: u64 = 25;
const DAYS: i64 = 30;
const ROUNDS: usize = 5;
/// Searches of each kind in a round.
const SEARCHES: usize = 20;
/// Statements of each kind in a round.
const STATEMENTS: usize = 2;

/// What is searched for. The words and how often they stand in the events are those of `events.sql`.
struct Case {
    name: &'static str,
    query: (&'static str, &'static str),
    sql: &'static str,
    /// How many there are, if not at least a page.
    wanted: Option<usize>,
}

const CASES: [Case; 6] = [
    Case {
        name: "property, one event in 50",
        query: ("property.groupId", "grp-7"),
        sql: "props.groupId.:String = 'grp-7'",
        wanted: None,
    },
    Case {
        name: "property, one event",
        query: ("property.messageId", "msg-5000000"),
        sql: "props.messageId.:String = 'msg-5000000'",
        wanted: Some(1),
    },
    Case { name: "Latin word, common", query: ("q", "discount"), sql: "text LIKE '%discount%'", wanted: None },
    Case { name: "Latin word, 67 events", query: ("q", "zephyrine"), sql: "text LIKE '%zephyrine%'", wanted: None },
    Case { name: "two Chinese characters, common", query: ("q", "优惠"), sql: "text LIKE '%优惠%'", wanted: None },
    Case {
        name: "two Chinese characters, 67 events", query: ("q", "珊瑚"), sql: "text LIKE '%珊瑚%'", wanted: None
    },
];

/// Milliseconds of one case, one each search.
#[derive(Default)]
struct Times {
    api: Vec<f64>,
    function: Vec<f64>,
    sql: Vec<f64>,
}

pub async fn measure(local: &Local) -> Result<Figure> {
    seed(local).await?;
    let load = Load::start(local, ACCOUNT, 1_000)?;
    let result = measure_under_load(local).await;
    load.stop()?;
    result
}

async fn measure_under_load(local: &Local) -> Result<Figure> {
    // The first events of the load have gone their way, and the first merges with them.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let token = local.token(ACCOUNT, Role::Viewer)?;
    let mut function = Function::start(&binary("search-events")?, &local.environment()).await?;
    let mut times: Vec<Times> = CASES.iter().map(|_| Times::default()).collect();
    for round in 0..=ROUNDS {
        for (case, times) in CASES.iter().zip(&mut times) {
            for search in 0..SEARCHES {
                let (api, function) =
                    (by_api(local, &token, case).await?, by_function(&mut function, &token, case).await?);
                // The statement takes seconds where the words are common, and is less in need of many tries.
                let sql = if search < STATEMENTS { Some(by_sql(local, case).await?) } else { None };
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
    for (case, Times { api, function, sql }) in CASES.iter().zip(times) {
        let at = |times: &[f64], share| vec![percentile(times, share)];
        for (share, name, must) in [(0.5, "p50", Must::Nothing), (0.99, "p99", Must::AtMost(100.0))] {
            figure.rows.push(
                Row::new(format!("{}: {name}", case.name), "ms by the function", at(&function, share), must)
                    .beside("bare SQL", at(&sql, share)),
            );
            figure.rows.push(
                Row::new(format!("{}: {name}", case.name), "ms through the API", at(&api, share), must)
                    .beside("bare SQL", at(&sql, share)),
            );
        }
    }
    let total = local.clickhouse.number(&format!("SELECT count() FROM events WHERE account_id = '{ACCOUNT}'")).await?;
    figure.notes.push(format!(
        "{total} events of one account, 1,000 a second arriving through the API; {} searches of each kind; the API is the \
         emulator's, with functions of the dev profile",
        ROUNDS * SEARCHES
    ));
    Ok(figure)
}

/// Milliseconds of a search through the API.
async fn by_api(local: &Local, token: &str, case: &Case) -> Result<f64> {
    let started = Instant::now();
    let found = local.search(token, &[case.query]).await?;
    let took = millis(started);
    check(case, &found)?;
    Ok(took)
}

/// Of one by the function alone.
async fn by_function(function: &mut Function, token: &str, case: &Case) -> Result<f64> {
    let query = reqwest::Url::parse_with_params("http://localhost/", [case.query])?;
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
    ensure!(count == case.wanted.unwrap_or(50), "{}: {count} events found", case.name);
    Ok(())
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

/// Ten million events of the last month, unless they are there and reach up to now.
async fn seed(local: &Local) -> Result<()> {
    let clickhouse = &local.clickhouse;
    let of_account = format!("FROM events WHERE account_id = '{ACCOUNT}'");
    let hour_ago = format!("fromUnixTimestamp64Milli({}, 'UTC')", now_millis() - 3_600_000);
    let fresh = clickhouse.number(&format!("SELECT max(timestamp) > {hour_ago} {of_account}")).await? == 1;
    if fresh && clickhouse.number(&format!("SELECT count() {of_account}")).await? >= EVENTS {
        return Ok(());
    }
    clickhouse.ask(&format!("DELETE {of_account}")).await?;
    let step = DAYS * 86_400_000 / i64::try_from(EVENTS)?;
    let start = now_millis() - step * i64::try_from(EVENTS)?;
    for chunk in 0..CHUNKS {
        eprintln!("… events {} of {EVENTS}", chunk * (EVENTS / CHUNKS));
        let sql = include_str!("events.sql")
            .replace("{account}", ACCOUNT)
            .replace("{start}", &start.to_string())
            .replace("{step}", &step.to_string())
            .replace("{first}", &(chunk * (EVENTS / CHUNKS)).to_string())
            .replace("{count}", &(EVENTS / CHUNKS).to_string());
        clickhouse.ask(&format!("{sql} SETTINGS type_json_skip_duplicated_paths = 1")).await?;
    }
    clickhouse.until_calm(Duration::from_secs(300)).await
}

/// The load tool, running beside.
pub struct Load(Child);

impl Load {
    pub fn start(local: &Local, account: &str, rate: u64) -> Result<Self> {
        let mut demo = Command::new(tool("demo")?);
        demo.args(["load", "--url", local.setting("API_URL")?, "--token", &local.token(account, Role::Ingest)?])
            .args(["--rate", &rate.to_string(), "--duration", "1h"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(demo.spawn()?))
    }

    pub fn stop(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}
