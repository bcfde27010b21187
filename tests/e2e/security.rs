//! What must stay inside: values of accounts out of logs and dead letters, writing out of functions that read, and secrets
//! out of other users' sight.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use analytics_domain::{
    access::Role,
    account::AccountId,
    event::{Arrival, parse_batch},
};
use analytics_platform::{config::environment, now_millis};
use analytics_warehouse::EventWarehouse;
use anyhow::{Context, Result, ensure};
use ingest::accept::seal_body;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{gateway, pipeline, runtime_api::Outcome, sqs::Queue, stack::Stack};

/// What no log may hold.
const SECRET: &str = "hunter2";

/// A file of this test's own, empty.
fn log(name: &str) -> Result<PathBuf> {
    let suffix: [u8; 8] = analytics_platform::random();
    let path = std::env::temp_dir().join(format!("analytics-{name}-{:016x}.log", u64::from_be_bytes(suffix)));
    fs::write(&path, "")?;
    Ok(path)
}

/// The log says by code what failed, and holds neither values nor statements.
fn is_discreet(log: &Path) -> Result<()> {
    let text = fs::read_to_string(log)?;
    ensure!(text.contains("code ") && !text.contains(SECRET) && !text.contains("SELECT"), "{text}");
    Ok(fs::remove_file(log)?)
}

fn sealed(account_id: &str) -> Result<String> {
    let now = now_millis();
    let event = json!([{"eventName": "message_sent", "eventId": SECRET, "timestamp": now, "properties": {"campaignId": SECRET}}]);
    let arrival = Arrival::new(AccountId::stored(account_id), now, 400);
    let (messages, _) = seal_body(event.to_string().as_bytes(), parse_batch, &arrival)?;
    messages.into_iter().next().context("a batch is a message")
}

#[tokio::test]
async fn an_insert_that_fails_leaves_no_value_in_the_log_or_the_dead_letter() -> Result<()> {
    let stack = Stack::shared().await;
    // A table that does not take the value, of which ClickHouse says so.
    let narrow = |statement: String| statement.replace("campaignId Dynamic", "campaignId UInt8");
    let (database, dead_letters) = (stack.database("discreet", narrow).await?, Queue::create("discreet").await?);
    let log = log("store")?;
    let own = [("CLICKHOUSE_DATABASE", database.as_str()), ("DEAD_LETTER_QUEUE_URL", dead_letters.url.as_str())];
    let mut store = pipeline::function(&stack, "store-events", &own, Some(&log)).await?;
    let message = sealed("discreet")?;
    let outcome = store.invoke(pipeline::sqs_event([("m".to_owned(), message.as_str())].into_iter())).await?;
    ensure!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    let set_aside = dead_letters.reasons().await?;
    for reason in set_aside.values() {
        let reason = reason.as_deref().context("a dead letter says why")?;
        ensure!(reason.starts_with("code ") && !reason.contains(SECRET), "{reason}");
    }
    let Outcome::Response(answer) = outcome else { unreachable!() };
    let failures: Value = serde_json::from_slice(&answer)?;
    let again = failures["batchItemFailures"].as_array().map_or(0, Vec::len);
    ensure!(set_aside.len() + again == 1, "the message was taken: {failures}");
    is_discreet(&log)?;
    dead_letters.remove().await?;
    stack.clickhouse(&format!("DROP DATABASE {database}"), &[]).await.map(drop)
}

#[tokio::test]
async fn a_search_that_fails_leaves_no_value_in_the_log_or_the_answer() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("discreet");
    let odd = |statement: String| statement.replace("event_id      String", "event_id      UInt64");
    let database = stack.database("odd", odd).await?;
    let log = log("search")?;
    let own = [("CLICKHOUSE_DATABASE", database.as_str())];
    let mut search = pipeline::function(&stack, "search-events", &own, Some(&log)).await?;
    let mut event: Value =
        serde_json::from_slice(&gateway::post("/api/events/search", &account.token(Role::Viewer), &[], ""))?;
    event["queryStringParameters"] = json!({"eventId": SECRET, "q": SECRET});
    event["rawQueryString"] = format!("eventId={SECRET}&q={SECRET}").into();
    let answer = gateway::answer(&search.invoke(event.to_string()).await?)?;
    ensure!(answer.status >= 500 && !answer.body.to_string().contains(SECRET), "{answer:?}");
    is_discreet(&log)?;
    stack.clickhouse(&format!("DROP DATABASE {database}"), &[]).await.map(drop)
}

#[tokio::test]
async fn a_function_that_reads_can_write_nothing() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("readonly");
    let message = sealed(&account.id)?;
    let refused = EventWarehouse::to_read(&environment)?.store(&[&message]).await;
    let refused = refused.expect_err("an insert").to_string();
    ensure!(refused.contains("164") && refused.contains("READONLY"), "{refused}");
    // It reads with limits of its own, which are settings too.
    EventWarehouse::to_read(&environment)?.ping().await?;
    assert_eq!(account.total(&[]).await?, 0);
    EventWarehouse::from_lookup(&environment)?.store(&[&message]).await?;
    assert_eq!(account.total(&[]).await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_the_local_stack_keeps_secret_is_its_owners_alone() -> Result<()> {
    let stack = Stack::shared().await;
    // <state>/keys/signing.pem
    let key = PathBuf::from(stack.setting("SIGNING_KEY"));
    let state = key.ancestors().nth(2).context("the stack has a folder")?;
    for name in ["keys/signing.pem", "env", "deployed.json", "parameters.yaml"] {
        let mode = fs::metadata(state.join(name)).with_context(|| name.to_owned())?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} is {mode:o}");
    }
    Ok(())
}

#[tokio::test]
async fn times_and_limits_at_the_edge_of_numbers_are_refused_and_break_nothing() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("edges");
    account.send_all(&[json!({"eventName": "message_sent"})]).await?;
    account.until_total(1, &[]).await?;
    let get = async |path: &str, name: &str, value: &str| -> Result<(StatusCode, Value)> {
        let request = stack.get(path).bearer_auth(account.token(Role::Viewer)).query(&[(name, value)]);
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    };
    let extremes = [i64::MIN, i64::MIN + 1, -1, 10_413_792_000_000, i64::MAX - 1, i64::MAX];
    for time in extremes {
        for (cursor, more) in [
            (json!({"timestamp": time, "event_name": "", "event_id": ""}), ""),
            (json!({"received_at": time, "batch_id": "", "position": 0}), "?status=rejected"),
        ] {
            let cursor = base64_simd::URL_SAFE_NO_PAD.encode_to_string(cursor.to_string());
            let (status, problem) = get(&format!("/api/events/search{more}"), "cursor", &cursor).await?;
            assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_cursor")), "{time}");
        }
    }
    let texts = extremes.map(|time| time.to_string()).into_iter().chain(
        ["253402300799999", "9999-12-31T23:59:59.999Z", "100000000000", "1e400", "-0", "18446744073709551616"]
            .map(str::to_owned),
    );
    for text in texts {
        for (path, name) in [
            ("/api/events/search", "from"),
            ("/api/events/search", "to"),
            ("/api/events/search", "limit"),
            ("/api/events/search?status=rejected", "from"),
            ("/api/events/search?status=rejected", "to"),
            ("/api/metrics/delivery_rate/data", "from"),
            ("/api/metrics/delivery_rate/data", "to"),
            ("/api/metrics/delivery_rate/data?groupBy=groupId", "limit"),
        ] {
            let (status, answer) = get(path, name, &text).await?;
            ensure!(!status.is_server_error(), "{path} {name}={text}: {status} {answer}");
        }
    }
    Ok(())
}
