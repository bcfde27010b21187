//! The opponent of metrics: rollups as an expert keeps them for just these questions, in `AggregatingMergeTree` tables by hour
//! that materialized views keep up with what arrives. They answer from whole hours, know no other dimensions and count an event
//! again that is sent again.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::{clickhouse::ClickHouse, metric_cases::Range};

const TABLES: [&str; 3] = ["bench_rollups", "bench_rollup_states", "bench_rollup_posts"];
/// Milliseconds of events that are added at once: three days.
const STEP: usize = 3 * 86_400_000;

/// Makes the tables of all events that there are, and of those that arrive from now on. Until it returns, none may arrive.
pub async fn fill(clickhouse: &ClickHouse) -> Result<()> {
    remove(clickhouse).await?;
    let bounds = "SELECT concat(toString(toUnixTimestamp64Milli(min(timestamp))), ' ', \
                  toString(toUnixTimestamp64Milli(max(timestamp)))) FROM events";
    let bounds = clickhouse.ask(bounds).await?;
    let (first, last) = bounds.split_once(' ').context("two times")?;
    let (first, last): (i64, i64) = (first.parse()?, last.parse()?);
    let statements: Vec<&str> = include_str!("metric_rollups.sql").split(';').collect();
    for (table, pair) in TABLES.iter().zip(statements.chunks_exact(2)) {
        let [create, rows] = pair else { bail!("a table and its rows") };
        clickhouse.ask(create).await?;
        for from in (first..=last).step_by(STEP) {
            let range = format!(
                "timestamp >= fromUnixTimestamp64Milli({from}, 'UTC') AND timestamp < \
                 fromUnixTimestamp64Milli({from} + {STEP}, 'UTC')"
            );
            clickhouse.ask(&format!("INSERT INTO {table} {}", rows.replace("{range}", &range))).await?;
        }
        let rows = rows.replace("{range}", "true");
        clickhouse.ask(&format!("CREATE MATERIALIZED VIEW {table}_view TO {table} AS {rows}")).await?;
    }
    clickhouse.until_calm(Duration::from_secs(300)).await
}

/// Removes the tables and views, so that other figures do not pay for them.
pub async fn remove(clickhouse: &ClickHouse) -> Result<()> {
    for table in TABLES {
        clickhouse.ask(&format!("DROP TABLE IF EXISTS {table}_view SYNC")).await?;
        clickhouse.ask(&format!("DROP TABLE IF EXISTS {table} SYNC")).await?;
    }
    Ok(())
}

/// The first number of the answer: that of all the time, and of the first key if there are keys.
pub async fn ask(clickhouse: &ClickHouse, account: &str, statement: &str, range: &Range) -> Result<f64> {
    let from = format!("toStartOfHour(toDateTime('{}', 'UTC'))", whole_seconds(&range.from)?);
    let to = format!("toDateTime('{}', 'UTC')", whole_seconds(&range.to)?);
    let hours = |from: &str| format!("account_id = '{account}' AND hour >= {from} AND hour < {to}");
    let statement = statement
        .replace("{hours}", &hours(&from))
        .replace("{hours_of_a_month}", &hours(&format!("({from} - INTERVAL 31 DAY)")))
        .replace("{hours_before}", &hours(&format!("({from} - ({to} - {from}))")))
        .replace("{from}", &from);
    let answer = clickhouse.ask(&statement).await?;
    let first = answer.lines().next().context("the statement has an answer")?;
    let number = first.rsplit('\t').next().context("a line has a number")?;
    ensure!(!number.is_empty(), "no number in {first} by {statement}");
    number.parse().with_context(|| format!("{number} by {statement}"))
}

/// `2026-11-24 09:30:00.123` without its milliseconds.
fn whole_seconds(time: &str) -> Result<&str> {
    time.get(..19).with_context(|| format!("{time} is not a time"))
}
