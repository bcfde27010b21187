//! Each sample of `events/` is a trigger that its function takes, and does with it what the sample is for.

use analytics_domain::{access::Role, time};
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    pipeline,
    runtime_api::Outcome,
    samples,
    sqs::Queue,
    stack::{Account, Stack},
};

/// A sample as if it came now, with a token of the account.
fn sample(account: &Account<'_>, function: &str) -> Result<Value> {
    let now = time::format(now_millis());
    Ok(serde_json::from_str(&samples::sample(function, &account.token(Role::Admin), &now[..16])?)?)
}

/// Hands an event to the function in a process of its own; its answer.
async fn handed(stack: &Stack, function: &str, event: &Value) -> Result<Value> {
    let mut process = pipeline::function(stack, function, &[], None).await?;
    match process.invoke(event.to_string()).await? {
        Outcome::Response(answer) => Ok(serde_json::from_slice(&answer)?),
        Outcome::Error(error) => anyhow::bail!("{function} failed: {}", String::from_utf8_lossy(&error)),
        Outcome::Died => anyhow::bail!("{function} died"),
    }
}

pub async fn taken(account: &Account<'_>, function: &str) -> Result<Value> {
    handed(account.stack, function, &sample(account, function)?).await.with_context(|| function.to_owned())
}

/// The body of a function's answer, which has this status.
async fn body(account: &Account<'_>, function: &str, status: u16) -> Result<Value> {
    let answer = taken(account, function).await?;
    ensure!(answer["statusCode"] == status, "{function}: {answer}");
    let text = answer["body"].as_str().unwrap_or_default();
    Ok(serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

#[test]
fn each_function_has_its_sample_and_each_sample_its_function() -> Result<()> {
    assert_eq!(samples::names()?, samples::functions()?);
    Ok(())
}

#[tokio::test]
async fn samples_of_events_are_accepted_and_found() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("samples");
    assert!(body(&account, "track-event", 202).await?["eventId"].is_string());
    assert_eq!(body(&account, "track-events", 202).await?["accepted"], 3);
    account.until_total(4, &[]).await?;
    let found = body(&account, "search-events", 200).await?;
    let total = account.total(&[("property.campaignId", "123"), ("q", "水晶")]).await?;
    assert!(total > 0 && found["total"] == total, "{found}");
    // The sealed batch is stored; the second message is none, and is set aside.
    let dead_letters = Queue::create("samples").await?;
    let own = [("DEAD_LETTER_QUEUE_URL", dead_letters.url.as_str())];
    let mut store = pipeline::function(&stack, "store-events", &own, None).await?;
    let outcome = store.invoke(sample(&account, "store-events")?.to_string()).await?;
    assert_eq!(outcome, Outcome::Response(json!({"batchItemFailures": []}).to_string().into()));
    assert_eq!(dead_letters.drain().await?, ["no sealed batch"]);
    dead_letters.remove().await
}

#[tokio::test]
async fn samples_of_metrics_define_read_and_delete_one() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("samples");
    let created = body(&account, "create-metric", 201).await?;
    assert_eq!((&created["name"], &created["version"]), (&json!("Message Delivery Rate"), &json!(1)));
    assert_eq!(body(&account, "get-metric", 200).await?["formula"], created["formula"]);
    assert_eq!(body(&account, "update-metric", 200).await?["version"], 2);
    let listed = body(&account, "list-metrics", 200).await?;
    let own = |metric: &&Value| metric["name"] == created["name"] && metric["builtIn"] == false;
    assert_eq!(listed["metrics"].as_array().into_iter().flatten().filter(own).count(), 1, "{listed}");
    let data = body(&account, "get-metric-data", 200).await?;
    assert_eq!((&data["metricId"], &data["timezone"]), (&json!("delivery_rate"), &json!("Asia/Shanghai")));
    let results = body(&account, "query-metrics", 200).await?;
    assert_eq!(results["results"].as_array().map(Vec::len), Some(2), "{results}");
    assert!(taken(&account, "rollup-metrics").await?["passes"].is_u64());
    body(&account, "delete-metric", 204).await?;
    let gone = body(&account, "get-metric", 404).await?;
    assert_eq!(gone["code"], "not_found");
    Ok(())
}

#[tokio::test]
async fn samples_of_the_socket_open_ask_and_leave() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("samples");
    let mut connect = sample(&account, "ws-connect")?;
    assert_eq!(handed(&stack, "ws-connect", &connect).await?["statusCode"], 200);
    // As the emulator refuses each handshake with 403, whatever the function says, the statuses are held here.
    for (query, headers, status) in [
        (json!({}), json!({}), 401),
        (json!({"token": ["abc"]}), json!({}), 401),
        (json!({"token": [account.token(Role::Ingest)]}), json!({}), 403),
        (json!({"token": [account.token(Role::Viewer)], "stream": ["nothing"]}), json!({}), 400),
        (json!({"token": [account.token(Role::Viewer)], "stream": vec!["analytics"; 21]}), json!({}), 400),
        (json!({}), json!({"Sec-WebSocket-Protocol": "analytics, bearer.abc"}), 401),
        (
            json!({}),
            json!({"Sec-WebSocket-Protocol": format!("analytics, bearer.{}", account.token(Role::Viewer))}),
            200,
        ),
    ] {
        connect["multiValueQueryStringParameters"] = query;
        connect["headers"] = headers;
        let answer = handed(&stack, "ws-connect", &connect).await?;
        assert_eq!(answer["statusCode"], status, "{connect}");
    }
    assert_eq!(taken(&account, "ws-message").await?["statusCode"], 200);
    assert_eq!(taken(&account, "ws-disconnect").await?["statusCode"], 200);
    // Nobody watches the account of its events: none is held up.
    assert_eq!(taken(&account, "stream-events").await?["batchItemFailures"], json!([]));
    Ok(())
}

#[tokio::test]
async fn samples_without_a_token_are_answered_to_everybody() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("samples");
    assert_eq!(body(&account, "get-health", 200).await?["status"], "ok");
    assert_eq!(body(&account, "get-openapi", 200).await?["openapi"], "3.1.0");
    assert_eq!(body(&account, "get-asyncapi", 200).await?["asyncapi"], "3.0.0");
    let page = taken(&account, "get-dashboard").await?;
    assert_eq!(
        (&page["statusCode"], &page["headers"]["content-type"]),
        (&json!(200), &json!("text/html; charset=utf-8"))
    );
    assert!(page["body"].as_str().is_some_and(|body| body.len() > 100));
    Ok(())
}
