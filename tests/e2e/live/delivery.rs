//! Frames that come late, twice, or not at all.

use std::time::Duration;

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tests::{
    pipeline,
    proxy::{FaultProxy, Parts},
    runtime_api::{Function, Outcome},
    stack::{Account, Stack},
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

/// Has a function show one accepted event.
async fn show(function: &mut Function, account: &Account<'_>, number: u32) -> Result<()> {
    let message =
        json!({"kind": "events", "accountId": account.id, "sealed": sealed(&account.id, number, "{}")?}).to_string();
    let outcome = function.invoke(pipeline::sqs_event(std::iter::once((number.to_string(), message.as_str())))).await?;
    ensure!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    Ok(())
}
