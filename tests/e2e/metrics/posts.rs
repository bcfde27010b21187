//! Posts of several chats: Telegram numbers the messages of each chat by themselves.

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::stack::Stack;

use super::until_rolled_up;

#[tokio::test(flavor = "multi_thread")]
async fn posts_of_two_chats_with_the_same_message_id_are_two_and_the_sum_of_chats_is_the_total() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("posts");
    let hour_ago = now_millis() - 3 * 3_600_000;
    let sample = |number: i64, group: Value, post: Value, views: i64| {
        json!({"eventName": "post_stats_sampled", "eventId": number.to_string(), "timestamp": hour_ago + number * 60_000,
            "properties": {"groupId": group, "postId": post, "views": views, "forwards": views / 10, "reactions": 0, "replies": 0, "ageMinutes": 60}})
    };
    let events = [
        sample(1, json!("-1001"), json!(100), 500),
        sample(2, json!("-1001"), json!(100), 900),
        sample(3, json!("-1002"), json!("100"), 100),
        // Joined with commas, or with nothing for what is not there, these would be one.
        sample(4, json!("a"), json!("b,c"), 10),
        sample(5, json!("a,b"), json!("c"), 20),
        sample(6, json!(null), json!("x"), 30),
        sample(7, json!(""), json!("x"), 40),
    ];
    account.send_all(&events).await?;
    account.until_total(7, &[]).await?;
    let ask = async |body: &Value| {
        let request = stack.post("/api/query").bearer_auth(account.token(Role::Analyst)).json(body);
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        Ok::<_, anyhow::Error>(answer["results"].clone())
    };
    let queries = json!([
        {"formula": "last(post_stats_sampled.views)"}, {"metric": "er"},
        {"formula": "last(post_stats_sampled.views by postId, groupId)"}, {"formula": "last(post_stats_sampled.views by postId)"},
    ]);
    let body = json!({"name": "views", "type": "gauge", "formula": "last(post_stats_sampled.views)", "dimensions": ["groupId"]});
    stack
        .post("/api/metrics")
        .bearer_auth(account.token(Role::Analyst))
        .json(&body)
        .send()
        .await?
        .error_for_status()?;
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            until_rolled_up(&account).await?;
        }
        let results = ask(&json!({"period": "24h", "interval": "none", "queries": queries})).await?;
        let totals: Vec<&Value> = (0..4_usize).map(|place| &results[place]["series"][0]["total"]).collect();
        assert_eq!(totals[0], &json!(1_100.0), "{results}");
        assert_eq!(totals[1].as_f64().map(f64::round), Some(10.0), "{results}");
        assert_eq!((totals[2], totals[3]), (totals[0], &json!(100.0 + 10.0 + 20.0 + 40.0)), "{results}");
        assert!(!is_rolled_up || results[0]["source"] != "events", "{results}");
        let by_group = json!({"period": "24h", "interval": "none", "groupBy": "groupId", "formula": "last(post_stats_sampled.views)"});
        let results = ask(&by_group).await?;
        let series = results[0]["series"].as_array().context("series")?;
        let sum: f64 = series.iter().filter_map(|series| series["total"].as_f64()).sum();
        assert_eq!((series.len(), sum), (6, 1_100.0), "{results}");
    }
    Ok(())
}
