//! Groups that have changed their id: two ids are one group, for as long as the event that says so is there.

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

use super::until_rolled_up;

const OLD: &str = "-5";
const NEW: &str = "-1005";
const OTHER: &str = "-7";

fn event(name: &str, number: usize, at: i64, group: &str, mut properties: Value) -> Value {
    properties["groupId"] = json!(group);
    json!({"eventName": name, "eventId": format!("{name}-{number}-{group}"), "timestamp": at, "properties": properties})
}

/// Numbers of the groups of an account by key, or of all under "".
async fn numbers(account: &Account<'_>, metric: &str, group_by: &str, filter: &str) -> Result<Vec<(String, f64)>> {
    let mut body = json!({"period": "7d", "interval": "none", "groupBy": group_by, "filter": filter});
    body[if metric.contains('(') { "formula" } else { "metric" }] = json!(metric);
    let answer = account.query(&body).await?["results"][0].clone();
    let series = answer["series"].as_array().context("series")?;
    let number = |series: &Value| {
        let key = series["key"]["groupId"].as_str().unwrap_or_default().to_owned();
        Some((key, series["total"].as_f64()?))
    };
    let mut numbers: Vec<(String, f64)> = series.iter().filter_map(number).collect();
    numbers.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(numbers)
}

fn told(numbers: &[(&str, f64)]) -> Vec<(String, f64)> {
    numbers.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect()
}

async fn are_one(account: &Account<'_>) -> Result<()> {
    let one = |value| told(&[("", value)]);
    assert_eq!(numbers(account, "delivery_rate", "", "groupId = \"-5\"").await?, one(75.0));
    assert_eq!(numbers(account, "delivery_rate", "", "groupId = \"-1005\"").await?, one(75.0));
    assert_eq!(numbers(account, "delivery_rate", "groupId", "").await?, told(&[(NEW, 75.0), (OTHER, 100.0)]));
    assert_eq!(numbers(account, "delivery_rate", "groupId", "groupId = -5").await?, told(&[(OLD, 75.0)]));
    assert_eq!(numbers(account, "delivery_rate", "", "groupId != \"-5\"").await?, one(100.0));
    // The members of the group, not of two.
    let last = "last(group_stats_sampled.members)";
    assert_eq!(numbers(account, last, "groupId", "").await?, told(&[(NEW, 130.0), (OTHER, 40.0)]));
    assert_eq!(numbers(account, last, "", "").await?, one(170.0));
    assert_eq!(numbers(account, "gain(group_stats_sampled.members)", "", "").await?, one(30.0));
    assert_eq!(numbers(account, "churn_rate", "groupId", "").await?, told(&[(NEW, 5.0), (OTHER, 0.0)]));
    assert_eq!(numbers(account, "unique(message_sent.groupId)", "", "").await?, one(2.0));
    // Posts are numbered anew.
    assert_eq!(numbers(account, "last(post_stats_sampled.views)", "groupId", "").await?, told(&[(NEW, 300.0)]));
    let found =
        account.search(&[("filter", "groupId = \"-5\""), ("eventName", "message_sent"), ("count", "true")]).await?;
    assert_eq!((&found["total"], &found["groupAliases"]), (&json!(8), &json!({"-5": ["-1005"]})), "{found}");
    let body = json!({"period": "7d", "interval": "day", "groupBy": "groupId", "metric": "delivery_rate"});
    let answer = account.query(&body).await?["results"][0].clone();
    assert_eq!(answer["groupAliases"], json!({"-1005": ["-5"]}), "{answer}");
    Ok(())
}

async fn are_two(account: &Account<'_>) -> Result<()> {
    assert_eq!(
        numbers(account, "delivery_rate", "groupId", "").await?,
        told(&[(NEW, 50.0), (OLD, 100.0), (OTHER, 100.0)])
    );
    let last = "last(group_stats_sampled.members)";
    assert_eq!(numbers(account, last, "", "").await?, told(&[("", 270.0)]));
    let found =
        account.search(&[("filter", "groupId = \"-5\""), ("eventName", "message_sent"), ("count", "true")]).await?;
    assert_eq!((&found["total"], &found["groupAliases"]), (&json!(4), &Value::Null), "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ids_of_a_group_are_one_until_the_event_is_deleted() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("migrated");
    let hour = 3_600_000;
    let start = now_millis() - 48 * hour;
    let mut events = Vec::new();
    for number in 0..4 {
        events.push(event("message_sent", number, start + 1, OLD, json!({})));
        events.push(event("message_delivered", number, start + 2, OLD, json!({})));
        events.push(event("message_sent", number, start + 20 * hour, NEW, json!({})));
        events.push(event("message_sent", number, start + 3, OTHER, json!({})));
        events.push(event("message_delivered", number, start + 4, OTHER, json!({})));
        if number < 2 {
            events.push(event("message_delivered", number, start + 20 * hour + 1, NEW, json!({})));
        }
    }
    for number in 0..5 {
        events.push(event("member_left", number, start + 21 * hour, NEW, json!({"reason": "left"})));
    }
    let members =
        |number, at, group, members: i64| event("group_stats_sampled", number, at, group, json!({"members": members}));
    events.push(members(0, start, OLD, 100));
    events.push(members(1, start + 21 * hour, NEW, 130));
    events.push(members(2, start, OTHER, 40));
    for (number, (group, views)) in [(OLD, 100), (NEW, 200)].into_iter().enumerate() {
        events.push(event("post_stats_sampled", number, start + hour, group, json!({"postId": "1", "views": views})));
    }
    account.send_all(&events).await?;
    account.until_total(events.len().try_into()?, &[]).await?;
    are_two(&account).await?;
    let change = event("group_changed", 0, start + 19 * hour, OLD, json!({"change": "migrated", "newGroupId": NEW}));
    // To itself, and of a kind that says nothing of ids.
    let to_itself = event("group_changed", 1, start, OTHER, json!({"change": "migrated", "newGroupId": OTHER}));
    let other_kind = event("group_changed", 2, start, OTHER, json!({"change": "access_lost", "newGroupId": OLD}));
    account.send_all(&[change, to_itself, other_kind]).await?;
    account.until_total(events.len() as u64 + 3, &[]).await?;
    are_one(&account).await?;
    until_rolled_up(&account).await?;
    are_one(&account).await?;
    // A circle, over a third id that nothing else names: still one group, by the id it has had last.
    let circle = [("-1005", "-9", 1), ("-9", "-5", 2), ("-5", "-1005", 3)];
    let circle: Vec<Value> = circle
        .iter()
        .map(|(old, new, at)| {
            event("group_changed", 9, start + 30 * hour + at, old, json!({"change": "migrated", "newGroupId": new}))
        })
        .collect();
    account.send_all(&circle).await?;
    account.until_total(events.len() as u64 + 6, &[]).await?;
    assert_eq!(numbers(&account, "delivery_rate", "groupId", "").await?, told(&[(NEW, 75.0), (OTHER, 100.0)]));
    let delete = "DELETE FROM events WHERE account_id = {account:String} AND event_name = 'group_changed'";
    stack.clickhouse(delete, &[("account", &account.id)]).await?;
    are_two(&account).await?;
    ensure!(stack.get("/api/metrics").bearer_auth(account.token(Role::Viewer)).send().await?.status() == 200);
    Ok(())
}
