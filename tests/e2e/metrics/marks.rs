//! Marks of changed buckets, as `store-events` makes them.

use std::time::{Duration, Instant};

use analytics_domain::event::{SealedBatch, SealedEvent, seal};
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tests::{
    pipeline,
    runtime_api::{Function, Outcome},
    stack::{PATIENCE, Stack},
};

/// Sealed batches with an event at each of these times, and nothing but it that tells one from another.
fn sealed(account_id: &str, timestamps: &[i64]) -> Result<Vec<String>> {
    let event = |timestamp: &i64| SealedEvent {
        position: 0,
        timestamp: *timestamp,
        event_type: "message".into(),
        event_name: "message_sent".into(),
        event_id: timestamp.to_string().into(),
        session_id: "".into(),
        user_id: "".into(),
        properties: "{}".into(),
        own_context: None,
    };
    let events = timestamps.iter().map(event).collect();
    let account_id = account_id.into();
    Ok(seal(SealedBatch { account_id, received_at: now_millis(), events, ..SealedBatch::default() })?)
}

/// Stores all messages. Like the queue, it delivers them again if some are returned: ClickHouse may be too busy to take them in time.
async fn store(function: &mut Function, messages: &[String]) -> Result<()> {
    let started = Instant::now();
    loop {
        let messages = messages.iter().enumerate().map(|(number, body)| (number.to_string(), body.as_str()));
        let outcome = function.invoke(pipeline::sqs_event(messages)).await?;
        let Outcome::Response(answer) = outcome else { bail!("{outcome:?}") };
        let answer: Value = serde_json::from_slice(&answer)?;
        if answer["batchItemFailures"] == json!([]) {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{answer}");
    }
}

/// As replicated tables are, each table drops an insert that equals an earlier one.
#[tokio::test]
async fn a_second_mark_of_the_same_buckets_counts_where_repeated_inserts_are_dropped() -> Result<()> {
    let stack = Stack::shared().await;
    let database = stack.database("marks", std::convert::identity).await?;
    for table in ["events", "rollup_buckets", "rollup_series", "rollups"] {
        let window = format!("ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 1000");
        stack.clickhouse_in(&database, &window, &[]).await?;
    }
    let account = stack.account("marks").id;
    let at = now_millis() - 7_200_000;
    let mut function = pipeline::store_events(&stack, &stack.setting("CLICKHOUSE_URL"), &database).await?;
    let marked = "SELECT count(), toUnixTimestamp64Milli(min(changed)) FROM (SELECT max(changed_at) AS changed FROM \
                  rollup_buckets GROUP BY account_id, grain, bucket)";
    let mut before = 0;
    // The same message again, and other events of the same buckets.
    for messages in [sealed(&account, &[at])?, sealed(&account, &[at])?, sealed(&account, &[at + 1])?] {
        store(&mut function, &messages).await?;
        let found = stack.clickhouse_in(&database, marked, &[]).await?;
        let (count, changed) = found.split_once('\t').context("two columns")?;
        assert_eq!(count, "4", "a minute, its quarter, its hour and its day");
        let changed: i64 = changed.parse()?;
        assert!(changed > before, "marked at {changed}, and before at {before}");
        before = changed;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stack.clickhouse("DROP DATABASE {d:Identifier} SYNC", &[("d", &database)]).await.map(drop)
}

#[tokio::test]
async fn events_of_ten_years_are_stored_and_marked_at_once() -> Result<()> {
    let stack = Stack::shared().await;
    // With the longest retention.
    let longest = |statement: String| {
        let (day, number) = ("INTERVAL 400 DAY", ", 400)");
        statement.replace(day, "INTERVAL 3650 DAY").replace(number, ", 3650)").replace("24 * 400", "24 * 3650")
    };
    let database = stack.database("decade", longest).await?;
    let account = stack.account("decade").id;
    let timestamps: Vec<i64> = (0..121).map(|month| now_millis() - month * 30 * 86_400_000).collect();
    let mut function = pipeline::store_events(&stack, &stack.setting("CLICKHOUSE_URL"), &database).await?;
    store(&mut function, &sealed(&account, &timestamps)?).await?;
    let months = "SELECT count(), uniqExact(toYYYYMM(timestamp)) > 115 FROM events FINAL";
    assert_eq!(stack.clickhouse_in(&database, months, &[]).await?, "121\t1");
    let days = "SELECT uniqExact(bucket) FROM rollup_buckets WHERE grain = 86400";
    assert_eq!(stack.clickhouse_in(&database, days, &[]).await?, "121");
    stack.clickhouse("DROP DATABASE {d:Identifier} SYNC", &[("d", &database)]).await.map(drop)
}
