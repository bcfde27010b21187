//! Live streams, by a client of the WebSocket.

mod delivery;
mod limits;
mod numbers;
mod refusals;
mod streams;

use std::time::Duration;

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    socket::Socket,
    stack::{Account, Stack},
};

/// Longer than two intervals: nothing more will come.
const QUIET: Duration = Duration::from_millis(1_500);

async fn open(account: &Account<'_>, role: Role, more: &str) -> Result<Socket> {
    Socket::open(&account.stack.setting("LIVE_URL"), &format!("token={}{more}", account.token(role))).await
}

/// What the events of all frames that come are, by id, with the last frame.
async fn events(socket: &mut Socket, count: usize) -> Result<(Vec<String>, Value)> {
    let mut ids = Vec::new();
    loop {
        let frame = socket.expect("event").await?;
        let shown = frame["events"].as_array().into_iter().flatten();
        ids.extend(shown.filter_map(|event| event["eventId"].as_str().map(str::to_owned)));
        if ids.len() >= count {
            return Ok((ids, frame));
        }
    }
}

/// All that was heard is as the AsyncAPI document says.
async fn is_documented(stack: &Stack, sockets: &[&Socket]) -> Result<()> {
    let document: Value = stack.get("/api/asyncapi.json").send().await?.json().await?;
    for frame in sockets.iter().flat_map(|socket| &socket.heard) {
        let kind = frame["type"].as_str().context("a frame has a type")?;
        let payload = &document["components"]["messages"][kind]["payload"];
        let schema = json!({"allOf": [payload], "components": document["components"]});
        let validator = jsonschema::validator_for(&schema)?;
        ensure!(validator.is_valid(frame), "{frame} is not as {payload}");
    }
    Ok(())
}

fn event(id: &str, name: &str, campaign: &str) -> Value {
    let now = analytics_platform::now_millis();
    json!({"eventName": name, "eventId": id, "timestamp": now, "properties": {"campaignId": campaign, "text": "限时 скидка"}})
}
