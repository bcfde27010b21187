//! Events that are deleted from the table leave the rollups of their account, and those of others alone.

use std::time::Duration;

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::Result;
use serde_json::{Value, json};
use tests::stack::{Account, Stack, within};

use super::until_rolled_up;

const EVENTS: u64 = 20;

async fn sending<'s>(stack: &'s Stack, label: &str) -> Result<Account<'s>> {
    let account = stack.account(label);
    let event = |number: u64| {
        let at = now_millis() - 7_200_000;
        json!({"eventName": "message_sent", "eventId": format!("{}-{number}", account.id), "timestamp": at})
    };
    account.send_all(&(0..EVENTS).map(event).collect::<Vec<_>>()).await?;
    account.until_total(EVENTS, &[]).await?;
    until_rolled_up(&account).await?;
    Ok(account)
}

/// When anything of an account's stored buckets was last marked as changed.
async fn changed_at(account: &Account<'_>) -> Result<String> {
    const CHANGED: &str = "SELECT max(changed_at) FROM rollup_buckets WHERE account_id = {account:String}";
    account.stack.clickhouse(CHANGED, &[("account", &account.id)]).await
}

async fn sent(account: &Account<'_>) -> Result<Value> {
    let question = json!({"queries": [{"formula": "message_sent"}], "period": "24h", "interval": "none"});
    let request = account.stack.post("/api/query").bearer_auth(account.token(Role::Viewer)).json(&question);
    let answer: Value = request.send().await?.error_for_status()?.json().await?;
    Ok(answer["results"][0]["series"][0]["total"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_changes_the_rollups_of_its_account_only() -> Result<()> {
    let stack = Stack::shared().await;
    let (ours, theirs) = (sending(&stack, "deleting").await?, sending(&stack, "keeping").await?);
    let (ours_before, theirs_before) = (changed_at(&ours).await?, changed_at(&theirs).await?);
    let event = format!("{}-0", ours.id);
    let parameters = [("account", ours.id.as_str()), ("event", event.as_str())];
    let delete = "DELETE FROM events WHERE account_id = {account:String} AND event_id = {event:String}";
    stack.clickhouse(delete, &parameters).await?;
    until_rolled_up(&ours).await?;
    assert_eq!(sent(&ours).await?, json!((EVENTS - 1) as f64));
    assert_ne!(changed_at(&ours).await?, ours_before);
    assert_eq!(changed_at(&theirs).await?, theirs_before, "nothing of theirs has gone");

    // Whose event this is, ClickHouse's note of the deletion does not say.
    let event = format!("{}-0", theirs.id);
    let delete = "DELETE FROM events WHERE event_id = {event:String} AND account_id != ''";
    stack.clickhouse(delete, &[("event", &event)]).await?;
    until_rolled_up(&theirs).await?;
    assert_eq!(sent(&theirs).await?, json!((EVENTS - 1) as f64));
    Ok(())
}

/// A minute until the function is next called, and what it takes then.
const NOTICED_WITHIN: Duration = Duration::from_secs(150);

/// By the stack's own function, which nobody calls but the schedule.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_noticed_while_events_arrive() -> Result<()> {
    let stack = Stack::shared().await;
    let (account, other) = (sending(&stack, "noticed").await?, stack.account("arriving"));
    let event = format!("{}-0", account.id);
    let delete = "DELETE FROM events WHERE account_id = {account:String} AND event_id = {event:String}";
    stack.clickhouse(delete, &[("account", &account.id), ("event", &event)]).await?;
    within(NOTICED_WITHIN, "a deletion is noticed", async || {
        other.send_all(&[json!({"eventName": "message_sent"})]).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(sent(&account).await? == json!((EVENTS - 1) as f64))
    })
    .await
}
