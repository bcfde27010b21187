//! Live streams, by a client of the WebSocket.

use std::{collections::BTreeSet, time::Duration};

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    pipeline,
    proxy::{FaultProxy, Parts},
    runtime_api::{Function, Outcome},
    socket::Socket,
    stack::{Account, Stack, token},
};

use crate::faults::sealed;

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
    stranger.expect_all(&["ready", "subscribed", "snapshot"]).await?;

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
    socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
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
    socket.expect_all(&["subscribed", "resync", "snapshot"]).await?;
    is_documented(&stack, &[&socket]).await
}

#[tokio::test]
async fn a_stream_that_nobody_followed_begins_anew() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-anew");
    let mut socket = open(&account, Role::Viewer, "&stream=analytics").await?;
    socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
    account.send_all(&[event("0", "message_sent", "c"), event("1", "message_sent", "c")]).await?;
    events(&mut socket, 2).await?;
    socket.say(&json!({"action": "unsubscribe", "stream": "analytics"})).await?;
    socket.expect("unsubscribed").await?;
    account.send_all(&[event("2", "message_sent", "c")]).await?;
    ensure!(socket.hear_within(QUIET).await?.is_none(), "nobody follows it");
    socket.say(&json!({"action": "subscribe", "stream": "analytics"})).await?;
    socket.expect("subscribed").await?;
    assert_eq!(socket.expect("snapshot").await?["totals"]["events"], 0);
    account.send_all(&[event("3", "message_sent", "c")]).await?;
    let (ids, frame) = events(&mut socket, 1).await?;
    assert_eq!((ids, &frame["totals"]["events"]), (vec!["3".to_owned()], &json!(1)), "not what was counted before");
    Ok(())
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
    socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
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

#[tokio::test]
async fn formulas_are_told_together_as_they_are_now_and_as_the_api_tells_them() -> Result<()> {
    let stack = Stack::shared().await;
    // Not every name is one that a queue would take.
    let account = stack.account("直播 formulas");
    let mut socket = open(&account, Role::Viewer, "").await?;
    socket.expect("ready").await?;
    let bad = [
        (json!({}), "invalid_list"),
        (json!({"queries": []}), "invalid_list"),
        (json!({"queries": [{"formula": "sent"}], "interval": "fortnight"}), "invalid_interval"),
    ];
    for (message, code) in bad {
        let mut message = message;
        message["action"] = json!("subscribe");
        message["stream"] = json!("query/bad");
        socket.say(&message).await?;
        assert_eq!(socket.expect("error").await?["code"], code);
    }
    let sql = json!([{"formula": "message_sent) FROM events; DROP TABLE events --"}]);
    socket.say(&json!({"action": "subscribe", "stream": "query/bad", "queries": sql})).await?;
    socket.expect("subscribed").await?;
    let error = socket.expect("error").await?;
    ensure!(error["detail"].as_str().is_some_and(|detail| detail.starts_with("/queries/0/formula: ")), "{error}");

    let question = json!({
        "period": "1h", "interval": "none", "groupBy": "groupId", "compare": "previous_period",
        "queries": [{"formula": "message_sent"}, {"metric": "delivery_rate"}, {"formula": "unique(message_sent.senderId)"}],
    });
    let mut groups = question.clone();
    groups["stream"] = json!("query/groups");
    let bad = json!([groups, {"stream": "query/bad"}]);
    socket.say(&json!({"action": "subscribe", "streams": bad})).await?;
    let error = socket.expect("error").await?;
    ensure!(error["detail"].as_str().is_some_and(|detail| detail.starts_with("/streams/1: ")), "{error}");
    let both = json!([groups, {"stream": "analytics", "eventNames": ["nothing"]}]);
    socket.say(&json!({"action": "subscribe", "streams": both})).await?;
    let (mut begun, mut shown) = (BTreeSet::new(), Value::Null);
    while begun.len() < 4 {
        let frame = socket.hear().await?;
        begun.insert((frame["type"].to_string(), frame["stream"].to_string()));
        if frame["stream"] == "query/groups" && frame["type"] == "snapshot" {
            shown = frame["data"]["results"].clone();
        }
    }
    let send = |group: &'static str, name: &'static str, sender: &'static str| json!({"eventName": name, "properties": {"groupId": group, "senderId": sender}});
    let rounds = [
        (
            vec![send("a", "message_sent", "1"), send("a", "message_sent", "2"), send("b", "message_sent", "1")],
            json!([2.0, 0.0, 2.0]),
        ),
        (vec![send("a", "message_delivered", "1")], json!([2.0, 50.0, 2.0])),
        (
            vec![send("a", "message_delivered", "1"), send("a", "message_sent", "2")],
            json!([3.0, 66.666_666_666_666_67, 2.0]),
        ),
    ];
    for (events, expected) in rounds {
        account.send_all(&events).await?;
        loop {
            let frame = socket.hear().await?;
            match frame["type"].as_str() {
                Some("snapshot") => shown = frame["data"]["results"].clone(),
                Some("delta") => merge(&mut shown, &frame)?,
                _ => anyhow::bail!("{frame}"),
            }
            let first = |at: usize| shown[at]["series"][0]["total"].clone();
            if json!([first(0), first(1), first(2)]) == expected {
                break;
            }
        }
        let request = stack.post("/api/query").bearer_auth(account.token(Role::Viewer)).json(&question);
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        for at in 0..3 {
            assert_eq!(shown[at]["series"], answer["results"][at]["series"], "query {at}");
        }
    }
    is_documented(&stack, &[&socket]).await
}

/// Takes a difference into what is shown.
fn merge(shown: &mut Value, delta: &Value) -> Result<()> {
    for (answer, changed) in
        shown.as_array_mut().context("answers")?.iter_mut().zip(delta["results"].as_array().context("results")?)
    {
        for new in changed["series"].as_array().context("series")? {
            let all = answer["series"].as_array_mut().context("series")?;
            let old =
                all.iter_mut().find(|old| old["key"] == new["key"] && old["other"] == new["other"]).context("known")?;
            let previous = old["previous"]["points"].clone();
            *old = new.clone();
            old["previous"]["points"] = previous;
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_cannot_be_reached_holds_nobody_up_and_learns_what_was_missed() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-slow");
    let mut slow = open(&account, Role::Viewer, "").await?;
    let id = slow.expect("ready").await?["connectionId"].as_str().context("an id")?.to_owned();
    let mut quick = open(&account, Role::Viewer, "").await?;
    quick.expect("ready").await?;
    let streams = json!({"action": "subscribe", "streams": [
        {"stream": "analytics"}, {"stream": "metrics/net_growth", "period": "1h", "interval": "none"},
    ]});
    for socket in [&mut slow, &mut quick] {
        socket.say(&streams).await?;
        for _ in 0..4 {
            socket.hear().await?;
        }
    }
    // The gateway takes nothing for one of them.
    let is_for_slow = move |parts: &Parts| {
        parts.method == Method::POST && parts.uri.path().replace("%3D", "=").ends_with(&format!("@connections/{id}"))
    };
    let proxy = FaultProxy::start(&stack.setting("AWS_ENDPOINT_URL"), is_for_slow).await?;
    let mut function = pipeline::stream_events(&stack, &proxy.url).await?;
    proxy.refuse(true);
    for number in 1..=3 {
        show(&mut function, &account, number).await?;
        let (ids, _) = events(&mut quick, 1).await?;
        assert_eq!(ids, [number.to_string()]);
    }
    ensure!(slow.hear_within(QUIET).await?.is_none(), "nothing reaches it");

    proxy.refuse(false);
    // It is left out for a while, then tried again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    show(&mut function, &account, 4).await?;
    let lagged = slow.expect("lagged").await?;
    assert_eq!((&lagged["stream"], &lagged["dropped"]), (&json!("analytics"), &json!(3)));
    let (ids, frame) = events(&mut slow, 1).await?;
    assert_eq!((ids, &frame["totals"]["events"]), (vec!["4".to_owned()], &json!(4)));
    let last = frame["seq"].as_i64().context("a number")?;

    // It misses one again, and nothing comes after that.
    proxy.refuse(true);
    show(&mut function, &account, 5).await?;
    let (_, frame) = events(&mut quick, 2).await?;
    proxy.refuse(false);
    slow.say(&json!({"action": "ping"})).await?;
    let pong = slow.expect("pong").await?;
    ensure!(pong["streams"]["analytics"] == frame["seq"] && frame["seq"].as_i64() > Some(last), "{pong} after {last}");
    slow.say(&json!({"action": "subscribe", "stream": "analytics", "sinceSeq": last})).await?;
    slow.expect("subscribed").await?;
    let (ids, _) = events(&mut slow, 1).await?;
    assert_eq!(ids, ["5"]);
    // What it has asked for since is not missed any more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    show(&mut function, &account, 6).await?;
    let (ids, frame) = events(&mut slow, 1).await?;
    assert_eq!((ids, &frame["totals"]["events"]), (vec!["6".to_owned()], &json!(6)));
    is_documented(&stack, &[&slow, &quick]).await
}

#[tokio::test]
async fn a_message_that_comes_again_is_told_once() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-again");
    let mut socket = open(&account, Role::Viewer, "&stream=analytics").await?;
    socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
    let mut function = pipeline::stream_events(&stack, &stack.setting("AWS_ENDPOINT_URL")).await?;
    // The second call was cut off before the queue heard of it.
    for number in [1, 2, 2, 3] {
        show(&mut function, &account, number).await?;
    }
    let (ids, frame) = events(&mut socket, 3).await?;
    assert_eq!((ids, &frame["totals"]["events"]), (["1", "2", "3"].map(str::to_owned).to_vec(), &json!(3)));
    Ok(())
}

/// Has a function show one accepted event.
async fn show(function: &mut Function, account: &Account<'_>, number: u32) -> Result<()> {
    let message =
        json!({"kind": "events", "accountId": account.id, "sealed": sealed(&account.id, number, "{}")?}).to_string();
    let outcome = function.invoke(pipeline::sqs_event(std::iter::once((number.to_string(), message.as_str())))).await?;
    ensure!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    Ok(())
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
