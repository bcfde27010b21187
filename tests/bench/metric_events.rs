//! The events of the metrics benchmark.

use std::{fs, time::Duration};

use analytics_platform::now_millis;
use anyhow::Result;

use crate::{
    local::Local,
    metrics::{ACCOUNT, OTHER_ACCOUNT},
};

/// Inserts of this many events each.
const CHUNK: u64 = 500_000;
/// Events that are made one by one.
const MADE: u64 = 10_000_000;
const DAYS: i64 = 30;

/// Events of the last month, of which half are of the account, unless they are there, as the checkout's own statement makes
/// them. A tenth of many is made of JSON, which takes ClickHouse longest, and the others are those again a moment later.
pub async fn seed(local: &Local, events: u64) -> Result<()> {
    let clickhouse = &local.clickhouse;
    let of_accounts = format!("FROM events WHERE account_id IN ('{ACCOUNT}', '{OTHER_ACCOUNT}')");
    if clickhouse.number(&format!("SELECT count() {of_accounts}")).await? >= events {
        return Ok(());
    }
    let copies = (events / MADE).max(1);
    let made = events / copies;
    let length = DAYS * 86_400_000;
    let step = (length / i64::try_from(made)?).max(1);
    let start = now_millis() - step * i64::try_from(made)?;
    let statement = fs::read_to_string(local.checkout.root.join("tests/bench/metric_events.sql"))?;
    for first in (0..made).step_by(usize::try_from(CHUNK)?) {
        eprintln!("… events {first} of {events}");
        let sql = statement
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
