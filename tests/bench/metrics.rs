//! Metrics over millions of events of which half are of one account, while ten thousand more arrive each second: through the
//! function, and as SQL that a person would write over the events for the same number.

use std::time::{Duration, Instant};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::runtime_api::{Function, Outcome};

use crate::{
    input::{binary, envelope, with_id},
    local::Local,
    report::{Figure, Must, Row, percentile},
    search::Load,
};

const ACCOUNT: &str = "bench-metrics";
/// Inserts of this many events each.
const CHUNK: u64 = 500_000;
/// Events that are made one by one.
const MADE: u64 = 10_000_000;
const DAYS: i64 = 30;
const ROUNDS: usize = 5;
/// Questions of each kind in a round.
const QUESTIONS: usize = 10;
const RATE: u64 = 10_000;

/// A question: the metric, the parameters, and the SQL over `{events}` (the account's events in the range) that gives the
/// same total, or the same first total of a split.
struct Case {
    name: &'static str,
    metric: &'static str,
    query: &'static str,
    sql: &'static str,
}

/// In place of a built-in metric: one that the account has defined.
const OWN: &str = "own";

const RATE_SQL: &str = "100 * countIf(event_name = 'message_delivered') / countIf(event_name = 'message_sent')";

const CASES: [Case; 15] = [
    case("rate, a day, total", "delivery_rate", "period=24h&interval=none", RATE_SQL),
    case("rate, a day by 15 minutes", OWN, "period=24h&interval=15m", RATE_SQL),
    case("rate, a week by hour", OWN, "period=7d&interval=hour", RATE_SQL),
    case("rate, a month by day", "delivery_rate", "period=30d&interval=day", RATE_SQL),
    case(
        "rate, a month by day and campaign",
        "delivery_rate",
        "period=30d&interval=day&groupBy=campaignId&orderBy=key",
        "100 * countIf(event_name = 'message_delivered' AND props.campaignId.:String = 'cmp-0') / countIf(event_name = \
         'message_sent' AND props.campaignId.:String = 'cmp-0')",
    ),
    case(
        "rate, a week by campaign and group",
        "delivery_rate",
        "period=7d&interval=none&groupBy=campaignId,groupId&orderBy=key",
        "100 * countIf(event_name = 'message_delivered' AND props.campaignId.:String = 'cmp-0' AND props.groupId.:String = \
         'grp-0') / countIf(event_name = 'message_sent' AND props.campaignId.:String = 'cmp-0' AND props.groupId.:String = \
         'grp-0')",
    ),
    case(
        "errors, a month by day of Shanghai",
        "error_rate",
        "period=30d&interval=day&timezone=Asia/Shanghai",
        "100 * countIf(event_name = 'message_failed') / countIf(event_name IN ('message_sent', 'message_failed'))",
    ),
    case(
        "errors, a month by day of Kolkata",
        "error_rate",
        "period=30d&interval=day&timezone=Asia/Kolkata",
        "100 * countIf(event_name = 'message_failed') / countIf(event_name IN ('message_sent', 'message_failed'))",
    ),
    case(
        "latency p95, a week by hour",
        "send_latency_p95",
        "period=7d&interval=hour",
        "quantileExactIf(0.95)(assumeNotNull(props.latencyMs.:Int64), event_name = 'message_sent')",
    ),
    case(
        "unique clickers, a week by day",
        "ctr",
        "period=7d&interval=day",
        "100 * uniqExactIf(props.clickerHash.:String, event_name = 'link_clicked' AND NOT \
         ifNull(props.botSuspected.:Bool, false)) / countIf(event_name = 'message_delivered')",
    ),
    case(
        "growth, a month beside the one before",
        "net_growth",
        "period=15d&interval=day&compare=previous_period",
        "toInt64(countIf(event_name = 'member_joined')) - toInt64(countIf(event_name = 'member_left'))",
    ),
    case(
        "flood wait, a month by sender",
        "flood_wait_per_1k",
        "period=30d&interval=none&groupBy=senderId&orderBy=key",
        "1000 * sumIf(props.waitS.:Int64, event_name = 'sender_flood_wait' AND props.senderId.:String = 'snd-0') / \
         countIf(event_name = 'message_sent' AND props.senderId.:String = 'snd-0')",
    ),
    case(
        "bans, a month by week",
        "sender_ban_rate",
        "period=30d&interval=week",
        "100 * uniqExactIf(props.senderId.:String, event_name = 'sender_banned') / uniqExactIf(props.senderId.:String, \
         event_name = 'message_sent')",
    ),
    case(
        "cost per click, a month, one campaign",
        "cpc",
        "period=30d&interval=day&filter=campaignId%20%3D%20%22cmp-7%22",
        "sumIf(props.amount.:Float64, event_name = 'cost_recorded' AND props.campaignId.:String = 'cmp-7') / \
         countIf(event_name = 'link_clicked' AND props.campaignId.:String = 'cmp-7')",
    ),
    case(
        "engagement, a month by day",
        "er",
        "period=30d&interval=day",
        "(SELECT 100 * (sum(f) + sum(r) + sum(a)) / sum(v) FROM (SELECT argMax(props.forwards.:Int64, timestamp) AS f, \
         argMax(props.reactions.:Int64, timestamp) AS r, argMax(props.replies.:Int64, timestamp) AS a, \
         argMax(props.views.:Int64, timestamp) AS v FROM {events} AND event_name = 'post_stats_sampled' GROUP BY \
         props.postId.:String))",
    ),
];

const fn case(name: &'static str, metric: &'static str, query: &'static str, sql: &'static str) -> Case {
    Case { name, metric, query, sql }
}

pub async fn measure(local: &Local, events: u64, most_millis: f64) -> Result<Figure> {
    seed(local, events).await?;
    let built = build(local).await?;
    let mut figure = Figure::new(if events > 50_000_000 { "metrics-100m" } else { "metrics" });
    figure.notes.push(format!("rollups of the history were computed in {:.0} s", built.as_secs_f64()));
    // Half of what arrives is of the account, like half of what is there.
    let other = format!("{ACCOUNT}-other");
    let loads = [ACCOUNT, &other].map(|account| Load::start(local, account, RATE / 2));
    let result = under_load(local, &mut figure, most_millis).await;
    for load in loads {
        load?.stop()?;
    }
    result?;
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

async fn under_load(local: &Local, figure: &mut Figure, most_millis: f64) -> Result<()> {
    // Merges of the first events, and a minute that has ended.
    tokio::time::sleep(Duration::from_secs(70)).await;
    let token = local.token(ACCOUNT, Role::Viewer)?;
    let own = define(local).await?;
    let mut function = Function::start(&binary("get-metric-data")?, &local.environment()).await?;
    let (mut ours, mut bare) = (vec![Vec::new(); CASES.len()], vec![Vec::new(); CASES.len()]);
    let mut sources = std::collections::BTreeMap::<String, usize>::new();
    let mut lags = Vec::new();
    for round in 0..=ROUNDS {
        for (place, case) in CASES.iter().enumerate() {
            for number in 0..if round == 0 { 1 } else { QUESTIONS } {
                let (took, answer) = ask(&mut function, &token, case, &own).await?;
                if number == 0 {
                    let (took, wanted) = by_sql(local, case, &answer).await?;
                    check(case, &answer, wanted)?;
                    bare[place].push(took);
                }
                if round > 0 {
                    ours[place].push(took);
                    *sources.entry(answer["source"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
                }
            }
        }
        lags.push(staleness(local).await?);
    }
    let (mut all, mut all_bare) = (Vec::new(), Vec::new());
    for ((case, ours), bare) in CASES.iter().zip(ours).zip(bare) {
        all.extend(&ours);
        all_bare.extend(&bare);
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            figure.rows.push(
                Row::new(format!("{}: {name}", case.name), "ms", vec![percentile(&ours, share)], Must::Nothing)
                    .beside("bare SQL", vec![percentile(&bare, share)]),
            );
        }
    }
    figure.rows.push(
        Row::new("all: p50", "ms", vec![percentile(&all, 0.5)], Must::Nothing)
            .beside("bare SQL", vec![percentile(&all_bare, 0.5)]),
    );
    let (p99, p99_bare) = (percentile(&all, 0.99), percentile(&all_bare, 0.99));
    figure.rows.push(Row::new("all: p99", "ms", vec![p99], Must::AtMost(most_millis)));
    figure.rows.push(Row::new("all: p99", "ms", vec![p99], Must::RatioAtMost(1.5)).beside("bare SQL", vec![p99_bare]));
    figure.rows.push(Row::new("oldest minute not rolled up", "s after its end", lags, Must::AtMost(60.0)));
    let total = local.clickhouse.number(&format!("SELECT count() FROM events WHERE account_id = '{ACCOUNT}'")).await?;
    figure.notes.push(format!(
        "{total} events of the account, as many of another; {RATE} a second arriving through the API for both; {} \
         questions of each kind; answers from {sources:?}; each number equals that of the SQL",
        ROUNDS * QUESTIONS
    ));
    Ok(())
}

/// The account's own metric, by its id.
async fn define(local: &Local) -> Result<String> {
    let body = serde_json::json!({
        "name": format!("Message Delivery Rate {}", now_millis()),
        "type": "gauge",
        "formula": "(delivered / sent) * 100",
        "unit": "percentage",
        "aggregation": "avg",
        "dimensions": ["campaignId", "groupId"],
    });
    let url = format!("{}/api/metrics", local.setting("API_URL")?);
    let request = local.http.post(url).bearer_auth(local.token(ACCOUNT, Role::Analyst)?).json(&body);
    let answer: Value = request.send().await?.error_for_status()?.json().await?;
    Ok(answer["id"].as_str().with_context(|| format!("no id: {answer}"))?.to_owned())
}

async fn ask(function: &mut Function, token: &str, case: &Case, own: &str) -> Result<(f64, Value)> {
    let metric = if case.metric == OWN { own } else { case.metric };
    let path = format!("/api/metrics/{metric}/data");
    let call = with_id(&envelope("GET", &path, case.query, token, None), metric)?;
    let started = Instant::now();
    let outcome = function.invoke(call).await?;
    let took = started.elapsed().as_secs_f64() * 1_000.0;
    let Outcome::Response(answer) = outcome else { bail!("{outcome:?}") };
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(answer["statusCode"] == 200, "{}: {answer}", case.name);
    Ok((took, serde_json::from_str(answer["body"].as_str().context("no body")?)?))
}

/// The statement over exactly the range of the answer.
async fn by_sql(local: &Local, case: &Case, answer: &Value) -> Result<(f64, f64)> {
    let time = |name: &str| answer[name].as_str().unwrap_or_default().trim_end_matches('Z').replace('T', " ");
    let events = format!(
        "events FINAL WHERE account_id = '{ACCOUNT}' AND timestamp >= toDateTime64('{}', 3, 'UTC') AND timestamp < \
         toDateTime64('{}', 3, 'UTC')",
        time("from"),
        time("to")
    );
    let sql = match case.sql.contains("{events}") {
        true => format!("SELECT {}", case.sql.replace("{events}", &events)),
        false => format!("SELECT {} FROM {events}", case.sql),
    };
    let started = Instant::now();
    let found = local.clickhouse.ask(&sql).await?;
    Ok((started.elapsed().as_secs_f64() * 1_000.0, found.parse().with_context(|| format!("{found} by {sql}"))?))
}

/// The latest events may have come between the two.
fn check(case: &Case, answer: &Value, wanted: f64) -> Result<()> {
    let found = answer["series"][0]["total"].as_f64().context("no total")?;
    ensure!((found - wanted).abs() <= wanted.abs() * 0.02 + 2.0, "{}: {found} where SQL finds {wanted}", case.name);
    Ok(())
}

/// Seconds since the end of the oldest minute that has ended and is not computed.
async fn staleness(local: &Local) -> Result<f64> {
    let sql = format!(
        "SELECT max(greatest(0, now() - bucket - 60)) FROM (SELECT bucket FROM rollup_buckets WHERE account_id = '{ACCOUNT}' \
         AND grain = 60 AND bucket > now() - 7200 GROUP BY bucket HAVING max(computed_at) <= max(changed_at))"
    );
    Ok(local.clickhouse.number(&sql).await? as f64)
}

/// Computes the rollups of what is there: the time that it took.
async fn build(local: &Local) -> Result<Duration> {
    let started = Instant::now();
    let mut function = Function::start(&binary("rollup-metrics")?, &local.environment()).await?;
    let open = format!(
        "SELECT count() + (SELECT countIf(NOT ready) FROM rollup_series FINAL WHERE account_id = '{ACCOUNT}') + (SELECT \
         count() = 0 FROM rollup_series WHERE account_id = '{ACCOUNT}') FROM (SELECT bucket FROM rollup_buckets WHERE \
         account_id = '{ACCOUNT}' AND bucket + toIntervalSecond(grain) + 3 <= now() AND grain > 10 GROUP BY grain, bucket HAVING max(computed_at) <= max(changed_at))"
    );
    loop {
        let outcome = function.invoke("{}".to_owned()).await?;
        let Outcome::Response(done) = outcome else { bail!("{outcome:?}") };
        let left = local.clickhouse.number(&open).await?;
        eprintln!(
            "… rollups: {left} buckets and series to go after {:.0?}: {}",
            started.elapsed(),
            String::from_utf8_lossy(&done)
        );
        if left == 0 {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Events of the last month, of which half are of the account, unless they are there. A tenth of many is made of JSON, which
/// takes ClickHouse longest, and the others are those again a moment later.
async fn seed(local: &Local, events: u64) -> Result<()> {
    let clickhouse = &local.clickhouse;
    let of_accounts = format!("FROM events WHERE startsWith(account_id, '{ACCOUNT}')");
    if clickhouse.number(&format!("SELECT count() {of_accounts}")).await? >= events {
        return Ok(());
    }
    let copies = (events / MADE).max(1);
    let made = events / copies;
    let length = DAYS * 86_400_000;
    let step = (length / i64::try_from(made)?).max(1);
    let start = now_millis() - step * i64::try_from(made)?;
    for first in (0..made).step_by(usize::try_from(CHUNK)?) {
        eprintln!("… events {first} of {events}");
        let sql = include_str!("metric_events.sql")
            .replace("{account}", ACCOUNT)
            .replace("{start}", &start.to_string())
            .replace("{step}", &step.to_string())
            .replace("{first}", &first.to_string())
            .replace("{count}", &CHUNK.min(made - first).to_string());
        // The word indexes have no part in metrics.
        let settings = "SETTINGS type_json_skip_duplicated_paths = 1, exclude_materialize_skip_indexes_on_insert = \
                        'text_pairs,property_words'";
        clickhouse.ask(&format!("{sql} {settings}")).await?;
    }
    for copy in 1..copies {
        eprintln!("… events {} of {events}", copy * made);
        for day in 0..DAYS {
            let from = start + day * 86_400_000;
            let later = i64::try_from(copy)? * step / i64::try_from(copies)?;
            let sql = format!(
                "INSERT INTO events (account_id, timestamp, event_name, event_id, event_type, session_id, user_id, received_at, \
                 ip, user_agent, locale, version, properties, text, props) SELECT account_id, timestamp + \
                 toIntervalMillisecond({later}), event_name, toString(generateUUIDv7()), event_type, session_id, user_id, \
                 received_at, ip, user_agent, locale, version, properties, text, props {of_accounts} AND timestamp >= \
                 fromUnixTimestamp64Milli({from}) AND timestamp < fromUnixTimestamp64Milli({from} + 86400000) AND \
                 (toUnixTimestamp64Milli(timestamp) - {start}) % {step} = 0 SETTINGS insert_allow_materialized_columns = 1, \
                 exclude_materialize_skip_indexes_on_insert = 'text_pairs,property_words'"
            );
            clickhouse.ask(&sql).await?;
        }
    }
    // Of the account only: what the other one has plays no part.
    let of_accounts = format!("FROM events WHERE account_id = '{ACCOUNT}'");
    for (grain, start, when) in [
        (60, "toStartOfMinute", ">= today() - 4"),
        (900, "toStartOfFifteenMinutes", "< today() - 4"),
        (3600, "toStartOfHour", "< today() - 4"),
    ] {
        clickhouse
            .ask(&format!(
                "INSERT INTO rollup_buckets (account_id, grain, bucket) SELECT DISTINCT account_id, {grain}, \
                 {start}(timestamp) {of_accounts} AND timestamp {when}"
            ))
            .await?;
    }
    clickhouse.until_calm(Duration::from_secs(600)).await
}
