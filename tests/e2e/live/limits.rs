//! What one stream may take, and that no other pays for it.

use std::time::{Duration, Instant};

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{pipeline, runtime_api::Outcome, sqs::Queue, stack::Stack};
use tokio::net::TcpListener;

use super::{events, is_documented, open};
use crate::faults::sealed;

#[tokio::test]
async fn a_question_that_takes_too_long_ends_after_three_tries_and_other_streams_go_on() -> Result<()> {
    let stack = Stack::shared().await;
    let (account, other) = (stack.account("live-long"), stack.account("live-neighbour"));
    let mut socket = open(&account, Role::Viewer, "&stream=analytics&stream=metrics/net_growth").await?;
    // Of events and of numbers, in whatever order they begin.
    for _ in 0..5 {
        socket.hear().await?;
    }
    let mut neighbour = open(&other, Role::Viewer, "&stream=analytics").await?;
    neighbour.expect_all(&["ready", "subscribed", "snapshot"]).await?;

    // A ClickHouse that takes everything and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let clickhouse = format!("http://{}", silent.local_addr()?);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    // What is to be asked again goes where only this test finds it.
    let again = Queue::create("live-again").await?;
    let own = [("CLICKHOUSE_URL", clickhouse.as_str()), ("LIVE_QUEUE_URL", again.url.as_str())];
    let mut function = pipeline::stream_events_with(&stack, &own).await?;
    for attempt in 1..=3 {
        let stored = json!({"kind": "stored", "accountId": account.id, "at": attempt}).to_string();
        let shown = json!({"kind": "events", "accountId": other.id, "sealed": sealed(&other.id, attempt, "{}")?});
        let (shown, id) = (shown.to_string(), format!("shown-{attempt}"));
        let payload = call(&[("stored", "numbers", stored.as_str()), (id.as_str(), "events", shown.as_str())]);
        let began = Instant::now();
        let outcome = function.invoke(payload).await?;
        let Outcome::Response(answer) = outcome else { anyhow::bail!("{outcome:?}") };
        ensure!(began.elapsed() < Duration::from_secs(6), "answered after {:?}", began.elapsed());
        let answer: Value = serde_json::from_slice(&answer)?;
        assert_eq!(answer, json!({"batchItemFailures": []}), "attempt {attempt}");
        // The neighbour's frame is sent in the same call.
        let (ids, frame) = events(&mut neighbour, 1).await?;
        assert_eq!((ids, &frame["totals"]["events"]), (vec![attempt.to_string()], &json!(attempt)));
        let asked_again = again.drain().await?;
        ensure!(asked_again.len() == usize::from(attempt < 3), "attempt {attempt}: {asked_again:?}");
        ensure!(asked_again.iter().all(|message| message.contains("\"kind\":\"again\"")), "{asked_again:?}");
    }
    let error = socket.expect("error").await?;
    assert_eq!((&error["stream"], &error["code"]), (&json!("metrics/net_growth"), &json!("query_too_large")));
    ensure!(error["detail"].as_str().context("a detail")?.contains("shorter period"), "{error}");
    // Its stream of events goes on.
    account.send_all(&[super::event("a", "message_sent", "c")]).await?;
    let (ids, _) = events(&mut socket, 1).await?;
    assert_eq!(ids, ["a"]);
    again.remove().await?;
    is_documented(&stack, &[&socket, &neighbour]).await
}

#[tokio::test]
async fn messages_and_subscriptions_over_their_limits_are_refused_with_them() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-large");
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    // In frames of the client's own, of 32 KB, the gateway takes as much.
    socket.say(&json!({"action": "ping", "pad": "x".repeat(20_000)})).await?;
    let error = socket.expect("error").await?;
    assert_eq!(error["code"], "message_too_large");
    ensure!(error["detail"].as_str().is_some_and(|detail| detail.contains("16384")), "{error}");
    let name = "й".repeat(7_000);
    socket.say(&json!({"action": "subscribe", "stream": "analytics", name: 1})).await?;
    let error = socket.expect("error").await?;
    ensure!(error["code"] == "unknown_field" && error.to_string().len() < 3_000, "{} bytes", error.to_string().len());
    socket.say(&json!({"action": "ping"})).await?;
    socket.expect("pong").await?;
    is_documented(&stack, &[&socket]).await
}

/// The event of a function that a queue calls, of messages by id, group and body.
fn call(messages: &[(&str, &str, &str)]) -> Vec<u8> {
    let record = |(id, group, body): &(&str, &str, &str)| json!({"messageId": id, "body": body, "attributes": {"MessageGroupId": group}});
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()}).to_string().into_bytes()
}
