//! One request can be followed through the log: from its answer to the storing of its events and the frames that show them.

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    socket::Socket,
    stack::{Stack, eventually},
};
use tokio::process::Command;

/// Lines of the log, as `make trace` prints them.
async fn followed(stack: &Stack, id: &str) -> Result<String> {
    let mut trace = Command::new(stack.function("stack"));
    trace.args(["trace", id]).env("STACK", stack.folder()?).env("TEST_STACK", stack.folder()?.join("none"));
    let output = trace.output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

fn has_line(lines: &str, function: &str, message: &str) -> bool {
    lines.lines().any(|line| line.contains(&format!(" {function} ")) && line.contains(message))
}

#[tokio::test]
async fn a_request_is_followed_from_its_answer_to_storing_and_to_frames() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("traced");
    let query = format!("token={}&stream=analytics", account.token(Role::Viewer));
    let mut viewer = Socket::open(&stack.setting("LIVE_URL"), &query).await?;
    viewer.expect_all(&["ready", "subscribed", "snapshot"]).await?;
    let answer = stack.post("/api/events").bearer_auth(account.token(Role::Ingest)).json(&json!({"eventName": "a"}));
    let answer = answer.send().await?;
    ensure!(answer.status() == 202, "the event is accepted: {}", answer.status());
    let id = answer.headers().get("x-request-id").context("an answer has a request id")?.to_str()?.to_owned();
    viewer.expect("event").await?;
    let expected = [
        ("track-event", "request answered"),
        ("store-events", "batches stored"),
        ("store-events", "messages handled"),
        ("stream-events", "frames sent"),
    ];
    let mut lines = String::new();
    eventually("the request is in the log, with what came of it", async || {
        lines = followed(&stack, &id).await?;
        Ok(expected.iter().all(|(function, message)| has_line(&lines, function, message)))
    })
    .await?;
    ensure!(lines.contains(&account.id), "the request's line names its account: {lines}");
    ensure!(!lines.contains("search-events"), "only what came of the request is there: {lines}");
    Ok(())
}

#[tokio::test]
async fn what_failed_or_was_refused_is_one_line_with_its_code() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("traced");
    let refused = stack.get("/api/metrics/none").bearer_auth(account.token(Role::Viewer)).send().await?;
    let id = refused.headers().get("x-request-id").context("an answer has a request id")?.to_str()?.to_owned();
    let problem: Value = refused.json().await?;
    ensure!(problem["requestId"] == id.as_str(), "the problem names the request: {problem}");
    let lines = followed(&stack, &id).await?;
    ensure!(lines.lines().count() == 1, "one request is one line: {lines}");
    for part in
        ["get-metric", "request refused", "http.status=404", "error.code=not_found", "duration_ms=", &account.id]
    {
        ensure!(lines.contains(part), "{part} is in the line: {lines}");
    }
    let unknown = followed(&stack, "no-such-request").await?;
    ensure!(unknown.contains("no request and no trace no-such-request"), "an unknown id is told: {unknown}");
    Ok(())
}
