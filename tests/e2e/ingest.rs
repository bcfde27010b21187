//! Events in, exact counts out.

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::Result;
use serde_json::{Value, json};
use tests::stack::Stack;

#[tokio::test]
async fn an_event_sent_is_found_exactly_once() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("once");
    let request = stack.post("/api/events").bearer_auth(account.token(Role::Ingest));
    let answer = request.json(&json!({"eventName": "message_sent", "properties": {"text": "你好"}})).send().await?;
    assert_eq!(answer.status(), 202);
    account.until_total(1, &[("eventName", "message_sent")]).await
}

/// The users' own event, found as it was sent, and sent again as it was found.
#[tokio::test]
async fn what_is_found_is_what_was_sent_and_can_be_sent_again() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("schema");
    let token = account.token(Role::Ingest);
    let event = |id: &str| {
        json!({"eventId": id, "accountId": account.id, "sessionId": 77, "userId": -1_001_234_567_890_i64,
            "eventType": "message", "eventName": "message_sent", "timestamp": now_millis() - 60_000,
            "properties": {"campaignId": "123", "text": "и\u{306}"},
            "context": {"ip": "::ffff:203.0.113.9", "userAgent": "x", "locale": "zh-CN"}})
    };
    let one = stack.post("/api/events").bearer_auth(&token).json(&event("one")).send().await?;
    assert_eq!(one.status(), 202, "{}", one.text().await?);
    let batch = stack.post("/api/events/batch").bearer_auth(&token).json(&json!([event("two")])).send().await?;
    assert_eq!(batch.status(), 202, "{}", batch.text().await?);
    let lines = stack.post("/api/events/batch").bearer_auth(&token).header("content-type", "application/x-ndjson");
    let lines = lines.body(event("three").to_string()).send().await?;
    assert_eq!(lines.status(), 202, "{}", lines.text().await?);
    account.until_total(3, &[("userId", "-1001234567890"), ("sessionId", "77")]).await?;

    let found = account.search(&[]).await?;
    for event in found["events"].as_array().into_iter().flatten() {
        assert_eq!(event["accountId"], account.id);
        assert_eq!(event["context"], json!({"ip": "203.0.113.9", "userAgent": "x", "locale": "zh-CN"}));
        assert_eq!(event["properties"], json!({"campaignId": "123", "text": "й"}));
    }
    let again = stack.post("/api/events/batch").bearer_auth(&token).json(&found["events"]).send().await?;
    let verdict: Value = again.json().await?;
    assert_eq!(verdict, json!({"accepted": 3, "rejected": 0, "errors": []}));
    // What arrives after them shows that they have arrived.
    account.send_all(&[event("four")]).await?;
    account.until_total(4, &[]).await
}
