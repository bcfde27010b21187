//! Live streams, by a client of the WebSocket.

use std::time::Duration;

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    socket::Socket,
    stack::{Account, Stack, token},
};

/// Longer than two intervals: nothing more will come.
const QUIET: Duration = Duration::from_millis(1_500);

async fn open(account: &Account<'_>, role: Role, more: &str) -> Result<Socket> {
    Socket::open(&account.stack.setting("LIVE_URL"), &format!("token={}{more}", account.token(role))).await
}

/// What the events of all frames that come are, by id, with the last frame.
async fn events(socket: &mut Socket, count: usize) -> Result<(Vec<String>, Value)> {
    let mut ids = Vec::new();
    loop {
        let frame = socket.expect("event").await?;
        let shown = frame["events"].as_array().into_iter().flatten();
        ids.extend(shown.filter_map(|event| event["eventId"].as_str().map(str::to_owned)));
        if ids.len() >= count {
            return Ok((ids, frame));
        }
    }
}

/// All that was heard is as the AsyncAPI document says.
async fn is_documented(stack: &Stack, sockets: &[&Socket]) -> Result<()> {
    let document: Value = stack.get("/api/asyncapi.json").send().await?.json().await?;
    for frame in sockets.iter().flat_map(|socket| &socket.heard) {
        let kind = frame["type"].as_str().context("a frame has a type")?;
        let payload = &document["components"]["messages"][kind]["payload"];
        let schema = json!({"allOf": [payload], "components": document["components"]});
        let validator = jsonschema::validator_for(&schema)?;
        ensure!(validator.is_valid(frame), "{frame} is not as {payload}");
    }
    Ok(())
}

fn event(id: &str, name: &str, campaign: &str) -> Value {
    let now = analytics_platform::now_millis();
    json!({"eventName": name, "eventId": id, "timestamp": now, "properties": {"campaignId": campaign, "text": "限时 скидка"}})
}

#[tokio::test]
async fn accepted_events_are_seen_at_once_by_those_who_want_them() -> Result<()> {
    let stack = Stack::shared().await;
    let (account, other) = (stack.account("live"), stack.account("live-other"));
    let mut all = open(&account, Role::Viewer, "&stream=analytics").await?;
    let ready = all.expect("ready").await?;
    assert_eq!((&ready["accountId"], &ready["streams"]), (&json!(account.id), &json!(["analytics"])));
    all.expect("subscribed").await?;
    assert_eq!(all.expect("snapshot").await?["totals"]["events"], 0);

    let mut some = open(&account, Role::Analyst, "").await?;
    some.expect("ready").await?;
    let filter = json!({
        "action": "subscribe", "stream": "analytics", "filter": "campaignId = \"c2\"", "eventNames": ["message_sent"],
        "fields": ["eventId", "properties.text"],
    });
    some.say(&filter).await?;
    some.expect("subscribed").await?;
    some.expect("snapshot").await?;
    let mut stranger = open(&other, Role::Viewer, "&stream=analytics").await?;
    for kind in ["ready", "subscribed", "snapshot"] {
        stranger.expect(kind).await?;
    }

    account
        .send_all(&[
            event("a", "message_sent", "c1"),
            event("b", "message_sent", "c2"),
            event("c", "message_read", "c2"),
        ])
        .await?;
    let (ids, frame) = events(&mut all, 3).await?;
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(frame["totals"]["byName"], json!({"message_sent": 2, "message_read": 1}));
    assert_eq!(frame["events"][0]["properties"]["text"], "限时 скидка");
    let (ids, frame) = events(&mut some, 1).await?;
    assert_eq!((ids.len(), &frame["events"][0]), (1, &json!({"eventId": "b", "properties": {"text": "限时 скидка"}})));
    ensure!(stranger.hear_within(QUIET).await?.is_none(), "another account's events are nobody else's");
    is_documented(&stack, &[&all, &some]).await
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-back");
    let mut socket = open(&account, Role::Viewer, "&stream=analytics").await?;
    for kind in ["ready", "subscribed", "snapshot"] {
        socket.expect(kind).await?;
    }
    account.send_all(&[event("0", "message_sent", "c")]).await?;
    let (_, frame) = events(&mut socket, 1).await?;
    socket.close().await?;
    for id in ["1", "2", "3"] {
        account.send_all(&[event(id, "message_sent", "c")]).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    socket.say(&json!({"action": "subscribe", "stream": "analytics", "sinceSeq": frame["seq"]})).await?;
    socket.expect("subscribed").await?;
    account.send_all(&[event("4", "message_sent", "c")]).await?;
    let (ids, last) = events(&mut socket, 4).await?;
    assert_eq!((ids, &last["totals"]["events"]), (["1", "2", "3", "4"].map(str::to_owned).to_vec(), &json!(5)));

    socket.say(&json!({"action": "subscribe", "stream": "analytics", "sinceSeq": 5})).await?;
    for kind in ["subscribed", "resync", "snapshot"] {
        socket.expect(kind).await?;
    }
    is_documented(&stack, &[&socket]).await
}

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
        ensure!(Socket::open(&url, &query).await.is_err_and(|error| error.to_string().contains("refused")), "{why}");
    }
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    let bad = [
        (json!({"action": "dance"}), "unknown_action"),
        (json!({"action": "subscribe", "stream": "events"}), "unknown_stream"),
        (json!({"action": "subscribe", "stream": "analytics", "filter": "1=1; DROP TABLE events"}), "unexpected"),
        (json!({"action": "subscribe", "stream": "analytics", "fields": ["secret"]}), "unknown_field"),
        (json!({"action": "subscribe", "stream": "analytics", "colour": 1}), "unknown_field"),
        (json!({"action": "subscribe", "stream": "analytics", "sinceSeq": "x"}), "invalid_seq"),
        (json!({"action": "auth", "token": "abc"}), "token_malformed"),
        (json!({"action": "ping", "padding": "x".repeat(20_000)}), "message_too_large"),
    ];
    for (message, code) in bad {
        socket.say(&message).await?;
        let error = socket.expect("error").await?;
        ensure!(code == "unexpected" || error["code"] == code, "{message}: {error}");
    }
    socket.say(&json!({"action": "ping"})).await?;
    socket.expect("pong").await?;
    socket.say(&json!({"action": "auth", "token": account.token(Role::Admin)})).await?;
    socket.expect("authenticated").await?;
    socket.say(&json!({"action": "auth", "token": stack.account("other").token(Role::Admin)})).await?;
    assert_eq!(socket.expect("error").await?["code"], "other_account");
    // Twenty are as many as there may be: the built-in metrics and two more.
    let analyst = account.token(Role::Analyst);
    for name in ["one", "two"] {
        let metric = json!({"name": name, "type": "counter", "formula": "message_sent"});
        stack.post("/api/metrics").bearer_auth(&analyst).json(&metric).send().await?.error_for_status()?;
    }
    let all: Value = stack.get("/api/metrics").bearer_auth(&analyst).send().await?.json().await?;
    let ids: Vec<&str> =
        all["metrics"].as_array().into_iter().flatten().filter_map(|metric| metric["id"].as_str()).collect();
    assert_eq!(ids.len(), 20);
    for id in ids {
        socket.say(&json!({"action": "subscribe", "stream": format!("metrics/{id}")})).await?;
        socket.expect("subscribed").await?;
        socket.expect("snapshot").await?;
    }
    socket.say(&json!({"action": "subscribe", "stream": "analytics"})).await?;
    assert_eq!(socket.expect("error").await?["code"], "too_many_streams");
    is_documented(&stack, &[&socket]).await
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-end");
    let soon = analytics_platform::now_millis() / 1_000 + 4;
    let short = token(&json!({"accountId": account.id, "role": "viewer", "exp": soon}));
    let mut socket = Socket::open(&stack.setting("LIVE_URL"), &format!("token={short}&stream=analytics")).await?;
    for kind in ["ready", "subscribed", "snapshot"] {
        socket.expect(kind).await?;
    }
    // Somebody to whom nothing is sent learns it too.
    socket.say(&json!({"action": "ping"})).await?;
    socket.expect("pong").await?;
    socket.expect("token_expiring").await?;
    account.send_all(&[event("0", "message_sent", "c")]).await?;
    socket.expect("token_expiring").await?;
    events(&mut socket, 1).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    account.send_all(&[event("1", "message_sent", "c")]).await?;
    assert_eq!(socket.expect("error").await?["code"], "token_expired");
    ensure!(socket.hear().await.is_err(), "the connection ends");
    is_documented(&stack, &[&socket]).await
}

#[tokio::test]
async fn a_metric_is_told_as_it_is_now_and_as_the_api_tells_it() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-metric");
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    socket.say(&json!({"action": "subscribe", "stream": "metrics/nobody-has-this"})).await?;
    socket.expect("subscribed").await?;
    assert_eq!(socket.expect("error").await?["stream"], "metrics/nobody-has-this");
    socket
        .say(&json!({"action": "subscribe", "stream": "metrics/delivery_rate", "period": "10y", "interval": "minute"}))
        .await?;
    socket.expect("error").await?;
    socket
        .say(&json!({"action": "subscribe", "stream": "metrics/delivery_rate", "period": "1h", "interval": "none"}))
        .await?;
    socket.expect("subscribed").await?;
    let snapshot = socket.expect("snapshot").await?;
    assert_eq!(
        (&snapshot["data"]["metricId"], &snapshot["data"]["series"][0]["total"]),
        (&json!("delivery_rate"), &Value::Null)
    );

    let mut seq = snapshot["seq"].as_i64();
    for (sent, delivered, rate) in [(4, 3, 75.0), (0, 1, 100.0), (6, 1, 50.0)] {
        let many = |count: usize, name: &'static str| (0..count).map(move |_| json!({"eventName": name}));
        let events: Vec<Value> = many(sent, "message_sent").chain(many(delivered, "message_delivered")).collect();
        account.send_all(&events).await?;
        let delta = loop {
            let frame = socket.hear().await?;
            let series = if frame["type"] == "delta" { &frame["series"] } else { &frame["data"]["series"] };
            ensure!(frame["seq"].as_i64() > seq, "{frame} after {seq:?}");
            seq = frame["seq"].as_i64();
            if series[0]["total"] == rate {
                break frame;
            }
        };
        ensure!(delta["stream"] == "metrics/delivery_rate", "{delta}");
        let request = stack.get("/api/metrics/delivery_rate/data?period=1h&interval=none");
        let answer: Value = request.bearer_auth(account.token(Role::Viewer)).send().await?.json().await?;
        assert_eq!(answer["series"][0]["total"], rate);
    }
    is_documented(&stack, &[&socket]).await
}
