//! A computation of rollups that dies, over and over, comes to its end although nothing more arrives.

use std::{collections::BTreeSet, time::Duration};

use analytics_domain::account::AccountId;
use analytics_platform::{config::environment, now_millis};
use anyhow::{Result, ensure};
use metrics::rollup_metrics::{App, Call};
use reqwest::Client;
use serde_json::json;
use tests::stack::{PATIENCE, Stack, within};
use tokio::time::timeout;

/// A table of accounts with work for one test, whose work the stack's function does not find; its name.
pub async fn table_of_work(stack: &Stack, name: &str) -> Result<String> {
    let suffix: [u8; 8] = analytics_platform::random();
    let table = format!("{name}-{:016x}", u64::from_be_bytes(suffix));
    let body = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "slot", "AttributeType": "S"}, {"AttributeName": "accountId", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "slot", "KeyType": "HASH"}, {"AttributeName": "accountId", "KeyType": "RANGE"},
        ],
    });
    let root =
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x";
    let request = Client::new().post(stack.setting("AWS_ENDPOINT_URL")).header("authorization", root);
    let request = request.header("x-amz-target", "DynamoDB_20120810.CreateTable");
    let answer = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string()).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{text}");
    Ok(table)
}

/// Of the buckets that have ended: the present day has not.
const OPEN: &str = "SELECT count() > 0, countIf(NOT ready), (SELECT count() FROM (SELECT 1 FROM rollup_buckets WHERE bucket \
                    + toIntervalSecond(grain) <= now() AND grain > 10 GROUP BY grain, bucket HAVING max(computed_at) <= \
                    max(changed_at))) FROM rollup_series FINAL";

/// With tables of its own, where the stack's function does not do the work.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_has_begun_is_gone_on_with() -> Result<()> {
    let stack = Stack::shared().await;
    let database = stack.database("cut_off", std::convert::identity).await?;
    let table = table_of_work(&stack, "cut-off").await?;
    let events = "INSERT INTO events (account_id, timestamp, event_name, event_id, properties) SELECT 'a', now() - \
                  toIntervalHour(number + 2), 'message_sent', toString(number), '{}' FROM numbers(100)";
    let marks = "INSERT INTO rollup_buckets (account_id, grain, bucket) SELECT 'a', if(timestamp >= today() - 3, 60, 900) AS \
                 length, if(length = 60, toStartOfMinute(timestamp), toStartOfFifteenMinutes(timestamp)) FROM events";
    for statement in [events, marks] {
        stack.clickhouse_in(&database, statement, &[]).await?;
    }
    let lookup = |key: &str| match key {
        "CLICKHOUSE_DATABASE" => Some(database.clone()),
        "ROLLUPS_TABLE" => Some(table.clone()),
        key => environment(key),
    };
    let mut app = App::from_lookup(&lookup)?;
    (app.rest, app.pause, app.lease) = (Duration::ZERO, app.patience, Duration::from_millis(100));
    app.work.note(&BTreeSet::from([AccountId::stored("a")]), now_millis()).await?;
    let (mut calls, mut deaths) = (0_u32, 0);
    within(5 * PATIENCE, "all is computed", async || {
        calls += 1;
        // Each lives a little longer, so that what takes longest gets through.
        match timeout(Duration::from_millis(20) * calls, metrics::rollup_metrics::handle(&app, &Call::Routine)).await {
            Ok(done) => ensure!(done?.failed == 0, "an account has failed"),
            Err(_) => deaths += 1,
        }
        Ok(stack.clickhouse_in(&database, OPEN, &[]).await? == "1\t0\t0")
    })
    .await?;
    assert!(deaths > 3, "only {deaths} of {calls} calls died");
    stack.clickhouse("DROP DATABASE {d:Identifier} SYNC", &[("d", &database)]).await.map(drop)
}

/// Marks of minutes are deleted after eight days. Rollups that were behind for longer compute what these were for all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_older_than_the_marks_of_minutes_is_computed() -> Result<()> {
    let stack = Stack::shared().await;
    let database = stack.database("backlog", std::convert::identity).await?;
    let table = table_of_work(&stack, "backlog").await?;
    let nine_days_ago = now_millis() - 9 * 86_400_000;
    let events = format!(
        "INSERT INTO events (account_id, timestamp, event_name, event_id, properties) SELECT 'a', \
         fromUnixTimestamp64Milli({nine_days_ago}), 'message_sent', toString(number), '{{}}' FROM numbers(7)"
    );
    stack.clickhouse_in(&database, &events, &[]).await?;
    // As it was marked then.
    for grain in analytics_domain::metric::Grain::changed_by(nine_days_ago, nine_days_ago) {
        let (seconds, start) = (grain.seconds(), grain.floor(nine_days_ago) / 1_000);
        let mark = format!(
            "INSERT INTO rollup_buckets (account_id, grain, bucket, changed_at) VALUES ('a', {seconds}, {start}, \
             fromUnixTimestamp64Milli({nine_days_ago}))"
        );
        stack.clickhouse_in(&database, &mark, &[]).await?;
    }
    stack.clickhouse_in(&database, "OPTIMIZE TABLE rollup_buckets FINAL", &[]).await?;
    let minutes = stack.clickhouse_in(&database, "SELECT count() FROM rollup_buckets WHERE grain <= 60", &[]).await?;
    assert_eq!(minutes, "0", "marks of minutes are gone by now");
    let lookup = |key: &str| match key {
        "CLICKHOUSE_DATABASE" => Some(database.clone()),
        "ROLLUPS_TABLE" => Some(table.clone()),
        key => environment(key),
    };
    let mut app = App::from_lookup(&lookup)?;
    (app.rest, app.pause) = (Duration::ZERO, Duration::ZERO);
    let counted = "SELECT grain, max(arraySum(ns)) FROM rollups WHERE account_id = 'a' AND notEmpty(keys) GROUP BY grain \
                   ORDER BY grain";
    within(PATIENCE, "the backlog is computed", async || {
        app.patience = Duration::from_secs(1);
        metrics::rollup_metrics::handle(&app, &Call::Everything).await?;
        Ok(stack.clickhouse_in(&database, counted, &[]).await? == "900\t7\n3600\t7\n86400\t7")
    })
    .await?;
    stack.clickhouse("DROP DATABASE {d:Identifier} SYNC", &[("d", &database)]).await.map(drop)
}
