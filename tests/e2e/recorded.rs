//! Snapshots of what clients, queues and operators rely on: answers, messages in queues, tables and queues with their keys, and the
//! permissions of each function. A difference is either a defect or a decision; record a decision with `INSTA_UPDATE=always`.

use std::collections::BTreeMap;

use analytics_domain::{
    event::{OwnContext, RejectedEvent, SealedBatch, SealedEvent, open, seal},
    live::{LiveMessage, Stream},
};
use analytics_testkit::template;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::stack::Stack;

use crate::samples;

/// The functions whose answers are recorded. A metric is created before it is read, and deleted last.
const CALLED: [&str; 16] = [
    "create-metric",
    "get-metric",
    "list-metrics",
    "get-metric-data",
    "query-metrics",
    "update-metric",
    "delete-metric",
    "search-events",
    "track-event",
    "track-events",
    "get-health",
    "get-openapi",
    "get-asyncapi",
    "get-dashboard",
    "refuse-route",
    "ws-connect",
];

#[tokio::test]
async fn answers_to_the_samples() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("recorded");
    let mut answers = BTreeMap::new();
    for function in CALLED {
        let mut answer = samples::taken(&account, function).await?;
        let text = answer["body"].as_str().unwrap_or_default().to_owned();
        answer["body"] = match function {
            "get-openapi" => operations(&serde_json::from_str(&text)?)?,
            "get-asyncapi" => members(&serde_json::from_str::<Value>(&text)?["channels"]),
            "get-dashboard" => json!("(page)"),
            _ => serde_json::from_str(&text).unwrap_or_else(|_| text.into()),
        };
        answers.insert(function, normalized(answer, &account.id));
    }
    insta::assert_json_snapshot!("answers", answers);
    Ok(())
}

#[test]
fn a_sealed_batch() -> Result<()> {
    let event = SealedEvent {
        position: 0,
        timestamp: 1_795_512_600_000,
        event_type: "message".into(),
        event_name: "message_sent".into(),
        event_id: "e1".into(),
        session_id: "s1".into(),
        user_id: "7".into(),
        properties: r#"{"campaignId":"123"}"#.into(),
        own_context: None,
    };
    let own = OwnContext { ip: "2001:db8::1".into(), clock_skew_ms: Some(7), ..OwnContext::default() };
    let rejected = RejectedEvent {
        position: 2,
        code: analytics_domain::event::Code::Required,
        pointer: "/eventName".into(),
        detail: "is missing".into(),
        event_name: "".into(),
        event: "{}".into(),
    };
    let batch = SealedBatch {
        batch_id: "b1".into(),
        account_id: "demo".into(),
        received_at: 1_795_512_600_250,
        clock_skew_ms: Some(-3),
        ip: "203.0.113.9".into(),
        user_agent: "curl/8.5.0".into(),
        locale: "zh-CN".into(),
        events: vec![event.clone(), SealedEvent { position: 1, own_context: Some(Box::new(own)), ..event }],
        rejected: vec![rejected],
    };
    let messages = seal(batch)?;
    let bytes = open(messages.first().context("one message")?)?;
    insta::assert_json_snapshot!("sealed", json!({"messages": messages, "opened": SealedBatch::from_bytes(&bytes)?}));
    Ok(())
}

#[test]
fn live_messages() {
    let messages = [
        LiveMessage::Events { account_id: "demo".into(), sealed: "AgAA".into() },
        LiveMessage::Stored { account_id: "demo".into(), at: 1 },
        LiveMessage::Opened { account_id: "demo".into(), connection_id: "c".into(), at: 1 },
        LiveMessage::Following {
            account_id: "demo".into(),
            connection_id: "c".into(),
            streams: vec![Stream::Analytics, Stream::Metric("ctr".to_owned())],
            at: 1,
            is_noticed: true,
        },
        LiveMessage::Again { account_id: "demo".into(), feeds: vec!["f".to_owned()], at: 1 },
    ];
    let recorded: Vec<Value> =
        messages.iter().map(|message| json!({"message": message, "group": message.group()})).collect();
    insta::assert_json_snapshot!("live_messages", recorded);
}

#[test]
fn stateful_resources() {
    let kept = ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket"];
    let resources: BTreeMap<String, Value> = resources()
        .into_iter()
        .filter(|(_, resource)| kept.iter().any(|kind| resource["Type"] == *kind))
        .map(|(id, resource)| {
            let properties = &resource["Properties"];
            let of =
                ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "FifoQueue", "TimeToLiveSpecification"];
            let keys: BTreeMap<&str, &Value> =
                of.into_iter().map(|name| (name, &properties[name])).filter(|(_, value)| !value.is_null()).collect();
            (id, json!({"type": resource["Type"], "deletion": resource["DeletionPolicy"], "keys": keys}))
        })
        .collect();
    insta::assert_json_snapshot!("stateful_resources", resources);
}

#[test]
fn what_functions_may_do() {
    let functions: BTreeMap<String, Vec<String>> = resources()
        .into_iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
        .map(|(id, resource)| {
            let policies = resource["Properties"]["Policies"].as_array().cloned().unwrap_or_default();
            let statements = policies.iter().flat_map(|policy| listed(&policy["Statement"]));
            let mut actions: Vec<String> = statements
                .flat_map(|statement| {
                    let resource = statement["Resource"].to_string();
                    listed(&statement["Action"]).into_iter().map(move |action| format!("{action} on {resource}"))
                })
                .collect();
            actions.sort();
            (id, actions)
        })
        .collect();
    insta::assert_json_snapshot!("permissions", functions);
}

fn resources() -> BTreeMap<String, Value> {
    let template = template();
    template["Resources"].as_object().into_iter().flatten().map(|(id, value)| (id.clone(), value.clone())).collect()
}

/// The items of a list; a single item as a list of one.
fn listed(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn members(value: &Value) -> Value {
    value.as_object().into_iter().flatten().map(|(name, _)| json!(name)).collect()
}

/// The operations of an OpenAPI document, each with its statuses.
fn operations(document: &Value) -> Result<Value> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            operations
                .push(json!({"operation": format!("{method} {path}"), "answers": members(&operation["responses"])}));
        }
    }
    Ok(operations.into())
}

/// An answer without times, ids and addresses, which differ from run to run, and with the first point of each series only.
fn normalized(value: Value, account: &str) -> Value {
    match value {
        Value::String(text) if text == account => "(account)".into(),
        Value::String(text) if is_time(&text) => "(time)".into(),
        Value::String(text) if text.len() == 36 && text.matches('-').count() == 4 => "(id)".into(),
        Value::String(text) => text.replace(account, "(account)").into(),
        Value::Array(items) => items.into_iter().map(|item| normalized(item, account)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("points", Value::Array(points)) => points.into_iter().take(1).collect(),
                    ("latencyMs" | "duration_ms", Value::Number(_)) => "(milliseconds)".into(),
                    // The policy names the addresses of the stack, and the page holds them.
                    ("content-security-policy", Value::String(_)) => "(policy)".into(),
                    ("etag", Value::String(tag)) if tag.len() > 10 => "(hash of the page)".into(),
                    (_, value) => value,
                };
                (name, normalized(value, account))
            })
            .collect(),
        other => other,
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.get(10..11) == Some("T") && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
}
