//! Frames that come late, twice, or not at all.

use std::time::Duration;

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

use super::{QUIET, events, is_documented, open};
use crate::faults::sealed;

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

#[tokio::test]
async fn an_event_that_is_sent_again_counts_once_whichever_process_streams_it() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-repeat");
    let mut socket = open(&account, Role::Viewer, "&stream=analytics").await?;
    socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
    let aws = stack.setting("AWS_ENDPOINT_URL");
    let mut function = pipeline::stream_events(&stack, &aws).await?;
    let mut other = pipeline::stream_events(&stack, &aws).await?;
    let (once, last) = (sealed(&account.id, 1, "{}")?, sealed(&account.id, 2, "{}")?);
    for (at, (function, sealed)) in [(&mut function, &once), (&mut other, &once)].into_iter().enumerate() {
        show_as(function, &account, &format!("first-{at}"), sealed).await?;
    }
    show_as(&mut function, &account, "second", &once).await?;
    show_as(&mut other, &account, "third", &last).await?;
    let (ids, frame) = events(&mut socket, 2).await?;
    assert_eq!((ids, &frame["totals"]["events"]), (["1", "2"].map(str::to_owned).to_vec(), &json!(2)));
    assert_eq!(frame["totals"]["byName"], json!({"message_sent": 2}));
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_removed_ends_its_sockets_before_their_next_frame() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-key");
    let mut socket = open(&account, Role::Viewer, "&stream=analytics").await?;
    socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
    // Of the same name, so that the name alone tells nothing.
    let mut keys: Value = serde_json::from_str(&stack.setting("JWT_KEYS"))?;
    for key in keys["keys"].as_array_mut().context("keys")? {
        let other = json!({
            "kty": "EC", "crv": "P-256", "kid": key["kid"],
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        *key = other;
    }
    let mut function = pipeline::stream_events_with(&stack, &[("JWT_KEYS", &keys.to_string())]).await?;
    show(&mut function, &account, 1).await?;
    assert_eq!(socket.hear().await?["code"], "token_unknown_key", "no frame before");
    ensure!(socket.hear().await.is_err(), "the connection ends");
    is_documented(&stack, &[&socket]).await
}

#[tokio::test]
async fn idle_sockets_are_ended_by_the_schedule_when_their_token_counts_no_longer() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("live-idle");
    let mut stays = open(&account, Role::Viewer, "").await?;
    stays.expect("ready").await?;
    let soon = analytics_platform::now_millis() / 1_000 + 3;
    let short = token(&json!({"accountId": account.id, "role": "viewer", "exp": soon}));
    let mut ends = Socket::open(&stack.setting("LIVE_URL"), &format!("token={short}")).await?;
    ends.expect("ready").await?;
    let mut function = pipeline::stream_events(&stack, &stack.setting("AWS_ENDPOINT_URL")).await?;
    // As the schedule calls it: by then one token has ended.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let outcome = function.invoke(json!({"sockets": "check"}).to_string()).await?;
    ensure!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    assert_eq!(ends.expect("error").await?["code"], "token_expired");
    ensure!(ends.hear().await.is_err(), "the connection ends");
    stays.say(&json!({"action": "ping"})).await?;
    stays.expect("pong").await?;
    Ok(())
}

/// Has a function show one accepted event.
async fn show(function: &mut Function, account: &Account<'_>, number: u32) -> Result<()> {
    show_as(function, account, &number.to_string(), &sealed(&account.id, number, "{}")?).await
}

/// Has a function show a sealed batch that comes with a message of this id.
async fn show_as(function: &mut Function, account: &Account<'_>, id: &str, sealed: &str) -> Result<()> {
    let message = json!({"kind": "events", "accountId": account.id, "sealed": sealed}).to_string();
    let outcome = function.invoke(pipeline::sqs_event(std::iter::once((id.to_owned(), message.as_str())))).await?;
    ensure!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    Ok(())
}
