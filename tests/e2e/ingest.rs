//! Events in, exact counts out.

use analytics_domain::access::Role;
use anyhow::Result;
use serde_json::json;
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
