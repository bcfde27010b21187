//! Metrics and formulas that are followed.

use std::collections::BTreeSet;

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::stack::Stack;

use super::{is_documented, open};

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
