//! What is refused, and other ways in.

use analytics_domain::{access::Role, metric::builtin::METRICS};
use anyhow::{Result, ensure};
use serde_json::json;
use tests::{socket::Socket, stack::Stack};

use super::{is_documented, open};

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_the_connection_stays() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-bad");
    let url = stack.setting("LIVE_URL");
    for (query, why) in [
        (String::new(), "no token"),
        ("token=abc".to_owned(), "no JWT"),
        (format!("token={}", account.token(Role::Ingest)), "a role that reads nothing"),
        (format!("token={}&stream=nothing", account.token(Role::Viewer)), "an unknown stream"),
    ] {
        ensure!(
            Socket::open(&url, &query).await.is_err_and(|error| error.to_string().contains("refused: 403")),
            "{why}"
        );
    }
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    let bad = [
        (json!({"action": "dance"}), "unknown_action"),
        (json!({"action": "subscribe", "stream": "events"}), "unknown_stream"),
        (
            json!({"action": "subscribe", "stream": "analytics", "filter": "1=1; DROP TABLE events"}),
            "unexpected_character",
        ),
        (json!({"action": "subscribe", "stream": "analytics", "fields": ["secret"]}), "unknown_field"),
        (json!({"action": "subscribe", "stream": "analytics", "colour": 1}), "unknown_field"),
        (json!({"action": "subscribe", "stream": "analytics", "sinceSeq": "x"}), "invalid_seq"),
        (json!({"action": "auth", "token": "abc"}), "token_malformed"),
        (json!({"action": "ping", "padding": "x".repeat(20_000)}), "message_too_large"),
    ];
    for (message, code) in bad {
        socket.say(&message).await?;
        let error = socket.expect("error").await?;
        ensure!(error["code"] == code, "{message}: {error}");
    }
    socket.say(&json!({"action": "ping"})).await?;
    socket.expect("pong").await?;
    socket.say(&json!({"action": "auth", "token": account.token(Role::Admin)})).await?;
    socket.expect("authenticated").await?;
    socket.say(&json!({"action": "auth", "token": stack.account("other").token(Role::Admin)})).await?;
    assert_eq!(socket.expect("error").await?["code"], "other_account");
    // Twenty are as many as there may be.
    for id in METRICS.iter().take(20).map(|metric| metric.id) {
        socket.say(&json!({"action": "subscribe", "stream": format!("metrics/{id}")})).await?;
        socket.expect("subscribed").await?;
        socket.expect("snapshot").await?;
    }
    socket.say(&json!({"action": "subscribe", "stream": "analytics"})).await?;
    assert_eq!(socket.expect("error").await?["code"], "too_many_streams");
    is_documented(&stack, &[&socket]).await
}

#[tokio::test]
async fn a_thousand_subscribes_are_refused_but_for_twenty() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-thousand");
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    for number in 0..1_000 {
        let queries = json!([{"formula": "message_sent"}]);
        let stream = format!("query/{number}");
        socket.say(&json!({"action": "subscribe", "stream": stream, "interval": "none", "queries": queries})).await?;
    }
    socket.say(&json!({"action": "ping"})).await?;
    let (mut subscribed, mut refused) = (0, 0);
    while subscribed + refused < 1_000 {
        let frame = socket.hear().await?;
        match (frame["type"].as_str(), frame["code"].as_str()) {
            (Some("subscribed"), _) => subscribed += 1,
            (Some("error"), Some("too_many_streams")) => refused += 1,
            (Some("snapshot" | "pong"), _) => {}
            _ => anyhow::bail!("{frame}"),
        }
    }
    assert_eq!((subscribed, refused), (20, 980));
    Ok(())
}

#[tokio::test]
async fn a_browser_that_cannot_send_headers_offers_its_token_as_a_subprotocol() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-protocol");
    let url = stack.setting("LIVE_URL");
    let offered = format!("analytics, bearer.{}", account.token(Role::Viewer));
    let (mut socket, agreed) = Socket::open_by_subprotocol(&url, &offered).await?;
    assert_eq!((agreed.as_str(), &socket.expect("ready").await?["accountId"]), ("analytics", &json!(account.id)));
    ensure!(Socket::open_by_subprotocol(&url, "analytics, bearer.abc").await.is_err(), "no JWT");
    Ok(())
}

#[tokio::test]
async fn another_accounts_metric_is_none() -> Result<()> {
    let stack = Stack::shared().await;
    let (owner, other) = (stack.account("live-owner"), stack.account("live-stranger"));
    let metric = json!({"name": "secret", "type": "counter", "formula": "message_sent"});
    stack
        .post("/api/metrics")
        .bearer_auth(owner.token(Role::Analyst))
        .json(&metric)
        .send()
        .await?
        .error_for_status()?;
    let query = "&stream=metrics/secret";
    let mut mine = open(&owner, Role::Viewer, query).await?;
    mine.expect_all(&["ready", "subscribed", "snapshot"]).await?;
    let mut theirs = open(&other, Role::Viewer, query).await?;
    theirs.expect_all(&["ready", "subscribed"]).await?;
    assert_eq!(theirs.expect("error").await?["code"], "not_found");
    Ok(())
}
