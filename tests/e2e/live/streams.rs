//! What is told of events, to whom, and for how long.

use std::time::Duration;

use analytics_domain::access::Role;
use anyhow::{Result, ensure};
use serde_json::json;
use tests::{
    socket::Socket,
    stack::{Stack, token},
};

use super::{QUIET, event, events, is_documented, open};

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
        "fields": ["eventId", "context.ip", "properties.text"],
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
    assert_eq!(
        (&frame["events"][0]["accountId"], &frame["events"][0]["context"]["ip"]),
        (&json!(account.id), &json!("127.0.0.1"))
    );
    let (ids, frame) = events(&mut some, 1).await?;
    assert_eq!(
        (ids.len(), &frame["events"][0]),
        (1, &json!({"eventId": "b", "context": {"ip": "127.0.0.1"}, "properties": {"text": "限时 скидка"}}))
    );
    ensure!(stranger.hear_within(QUIET).await?.is_none(), "another account's events are nobody else's");
    is_documented(&stack, &[&all, &some]).await
}

#[tokio::test]
async fn the_first_viewer_misses_nothing_from_the_snapshot_on() -> Result<()> {
    let stack = Stack::shared().await;
    for round in 0..5 {
        let account = stack.account("live-first");
        // Every process that takes events may learn that nobody watches.
        for id in ["before-1", "before-2", "before-3"] {
            account.send_all(&[event(id, "message_sent", "c")]).await?;
        }
        let mut socket = open(&account, Role::Viewer, "&stream=analytics").await?;
        // Some learn it while the client connects.
        socket.expect("ready").await?;
        account.send_all(&[event("between", "message_sent", "c")]).await?;
        socket.expect("subscribed").await?;
        let mut counted = socket.expect("snapshot").await?["totals"]["events"].as_u64().unwrap_or(0);
        account.send_all(&[event("after", "message_sent", "c")]).await?;
        let (ids, frame) = loop {
            let (ids, frame) = events(&mut socket, 1).await?;
            counted += ids.len() as u64;
            if ids.contains(&"after".to_owned()) {
                break (ids, frame);
            }
        };
        ensure!(frame["totals"]["events"] == counted, "round {round}: {ids:?} of {frame}");
    }
    Ok(())
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
