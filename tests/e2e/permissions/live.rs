//! Whether everything about live streams works: what each permission is for shows by what a client misses.

use std::time::{Duration, Instant};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tests::{
    socket::Socket,
    stack::{Account, Stack},
};

/// What takes longer does not work.
const SOON: Duration = Duration::from_secs(5);

/// Waits for a frame of this kind that meets the condition.
async fn hears(socket: &mut Socket, meets: impl Fn(&Value) -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < SOON {
        match socket.hear_within(SOON).await {
            Ok(Some(frame)) if meets(&frame) => return true,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return false,
        }
    }
    false
}

/// The table of connections, as the root user.
async fn table(stack: &Stack, operation: &str, mut body: Value) -> Result<Value> {
    body["TableName"] = json!(stack.setting("CONNECTIONS_TABLE"));
    let root = super::root("dynamodb");
    let request = Client::new().post(stack.setting("AWS_ENDPOINT_URL")).header("authorization", root);
    let request = request.header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let request = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string());
    let answer = request.send().await?;
    let status = answer.status();
    let answer: Value = answer.json().await?;
    ensure!(status.is_success(), "{answer}");
    Ok(answer)
}

/// Whether it is noted soon that a connection has ended.
async fn has_left(account: &Account<'_>, id: &str) -> Result<bool> {
    let get = |watched: String| json!({"Key": {"watched": {"S": watched}, "connectionId": {"S": id}}});
    let started = Instant::now();
    while started.elapsed() < SOON {
        let item = table(account.stack, "GetItem", get(format!("account#{}", account.id))).await?;
        let pointer = table(account.stack, "GetItem", get(format!("connection#{id}"))).await?;
        if item["Item"]["leftAt"].is_object() && pointer["Item"].is_null() {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// Notes a connection that the gateway does not know.
async fn add_ghost(account: &Account<'_>, id: &str) -> Result<()> {
    let now = now_millis();
    let expires = json!({"N": (now / 1_000 + 600).to_string()});
    let subscription = json!({"filter": {"all": []}, "eventNames": [], "fields": [], "sinceSeq": null, "at": now});
    let item = json!({
        "watched": {"S": format!("account#{}", account.id)}, "connectionId": {"S": id}, "role": {"S": "viewer"},
        "connectedAt": {"N": now.to_string()}, "tokenExpiresAt": {"N": (now + 600_000).to_string()},
        "streams": {"M": {"analytics": {"S": subscription.to_string()}}},
        "begun": {"M": {"analytics": {"N": now.to_string()}}}, "expiresAt": expires,
    });
    let pointer = json!({
        "watched": {"S": format!("connection#{id}")}, "connectionId": {"S": id}, "accountId": {"S": account.id},
        "expiresAt": expires,
    });
    for item in [item, pointer] {
        table(account.stack, "PutItem", json!({"Item": item})).await?;
    }
    let changes = json!({
        "Key": {"watched": {"S": format!("changes#{}", account.id)}, "connectionId": {"S": "changes"}},
        "UpdateExpression": "ADD changes :one", "ExpressionAttributeValues": {":one": {"N": "1"}},
    });
    table(account.stack, "UpdateItem", changes).await?;
    Ok(())
}

/// Whether a client sees events and metrics, is answered, and its end is noted.
pub async fn works(stack: &Stack) -> Result<bool> {
    let account = stack.account("permissions");
    let url = stack.setting("LIVE_URL");
    let query = format!("token={}&stream=analytics&stream=metrics/er", account.token(Role::Viewer));
    let Ok(mut socket) = Socket::open(&url, &query).await else { return Ok(false) };
    for stream in ["analytics", "metrics/er"] {
        if !hears(&mut socket, |frame| frame["type"] == "snapshot" && frame["stream"] == stream).await {
            return Ok(false);
        }
    }
    socket.say(&json!({"action": "ping"})).await?;
    if !hears(&mut socket, |frame| frame["type"] == "pong").await {
        return Ok(false);
    }
    socket.say(&json!({"action": "subscribe", "stream": "metrics/ctr", "interval": "none"})).await?;
    if !hears(&mut socket, |frame| frame["type"] == "snapshot" && frame["stream"] == "metrics/ctr").await {
        return Ok(false);
    }
    add_ghost(&account, "ghost").await?;
    for (path, body) in
        [("/api/events", json!({"eventName": "a"})), ("/api/events/batch", json!([{"eventName": "link_clicked"}]))]
    {
        stack.post(path).bearer_auth(account.token(Role::Ingest)).json(&body).send().await?.error_for_status()?;
    }
    if !hears(&mut socket, |frame| frame["totals"]["events"] == 2).await || !has_left(&account, "ghost").await? {
        return Ok(false);
    }
    // One to whom nothing is sent that would not arrive.
    let quiet = stack.account("permissions");
    let mut socket = Socket::open(&url, &format!("token={}", quiet.token(Role::Viewer))).await?;
    let id = socket.expect("ready").await?["connectionId"].as_str().unwrap_or_default().to_owned();
    socket.close().await?;
    has_left(&quiet, &id).await
}

/// Whether those who watch a metric hear of what was stored.
pub async fn tells_of_stored(stack: &Stack) -> Result<bool> {
    let account = stack.account("permissions");
    let query = format!("token={}&stream=metrics/net_growth", account.token(Role::Viewer));
    let mut socket = Socket::open(&stack.setting("LIVE_URL"), &query).await?;
    if !hears(&mut socket, |frame| frame["type"] == "snapshot").await {
        return Ok(false);
    }
    account.send_all(&[json!({"eventName": "member_joined"})]).await?;
    let total = |frame: &Value| frame["series"][0]["total"] == 1.0 || frame["data"]["series"][0]["total"] == 1.0;
    Ok(hears(&mut socket, total).await)
}
