//! The stations of an event's path as processes that a test holds in its hands: `track-events`, which seals what it is
//! sent, `store-events`, which stores what was sealed, and `stream-events`, which shows it.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{runtime_api::Function, stack::Stack};

/// What every function of the stack has in its environment.
const AWS: [&str; 3] = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// `track-events` that sends to this queue, by this address of AWS.
///
/// # Errors
/// If it does not start.
pub async fn track_events(stack: &Stack, aws_url: &str, queue_url: &str) -> Result<Function> {
    let own = [("AWS_ENDPOINT_URL", aws_url), ("EVENTS_QUEUE_URL", queue_url)];
    let shared = [
        "LIVE_QUEUE_URL",
        "CONNECTIONS_TABLE",
        "IDEMPOTENCY_TABLE",
        "RETENTION_DAYS",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_KEYS",
    ];
    start(stack, "track-events", &shared, &own).await
}

/// `store-events` that stores in this database, by this address of ClickHouse.
///
/// # Errors
/// If it does not start.
pub async fn store_events(stack: &Stack, clickhouse_url: &str, database: &str) -> Result<Function> {
    let own = [("CLICKHOUSE_URL", clickhouse_url), ("CLICKHOUSE_DATABASE", database)];
    let shared = [
        "AWS_ENDPOINT_URL",
        "DEAD_LETTER_QUEUE_URL",
        "LIVE_QUEUE_URL",
        "CONNECTIONS_TABLE",
        "ROLLUPS_TABLE",
        "CLICKHOUSE_USER",
    ];
    start(stack, "store-events", &shared, &own).await
}

/// `stream-events` that knows AWS by this address.
///
/// # Errors
/// If it does not start.
pub async fn stream_events(stack: &Stack, aws_url: &str) -> Result<Function> {
    stream_events_with(stack, &[("AWS_ENDPOINT_URL", aws_url)]).await
}

/// As [`stream_events`], with settings of the test's own.
///
/// # Errors
/// If it does not start.
pub async fn stream_events_with(stack: &Stack, own: &[(&str, &str)]) -> Result<Function> {
    let shared = [
        "LIVE_QUEUE_URL",
        "CONNECTIONS_TABLE",
        "SOCKETS_URL",
        "METRICS_TABLE",
        "RETENTION_DAYS",
        "CLICKHOUSE_URL",
        "CLICKHOUSE_USER",
        "CLICKHOUSE_DATABASE",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_KEYS",
        "AWS_ENDPOINT_URL",
    ];
    start(stack, "stream-events", &shared, own).await
}

/// Any function of the stack, with all settings that functions have, and with a log of its own.
///
/// # Errors
/// If it does not start.
pub async fn function(stack: &Stack, name: &str, own: &[(&str, &str)], log: Option<&Path>) -> Result<Function> {
    const ALL: [&str; 20] = [
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "EVENTS_QUEUE_URL",
        "DEAD_LETTER_QUEUE_URL",
        "LIVE_QUEUE_URL",
        "LIVE_URL",
        "SOCKETS_URL",
        "CONNECTIONS_TABLE",
        "IDEMPOTENCY_TABLE",
        "METRICS_TABLE",
        "ROLLUPS_TABLE",
        "RETENTION_DAYS",
        "CLICKHOUSE_URL",
        "CLICKHOUSE_USER",
        "CLICKHOUSE_DATABASE",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_KEYS",
    ];
    let settings: Vec<(&str, String)> = ALL.iter().map(|key| (*key, stack.setting(key))).collect();
    let mut environment = vec![("LOG_LEVEL", "trace")];
    environment.extend(settings.iter().map(|(key, value)| (*key, value.as_str())));
    environment.extend(own);
    Function::start_with_log(&stack.function(name), &environment, log).await
}

async fn start(stack: &Stack, name: &str, settings: &[&'static str], own: &[(&str, &str)]) -> Result<Function> {
    let settings: Vec<(&str, String)> = AWS.iter().chain(settings).map(|key| (*key, stack.setting(key))).collect();
    let mut environment = vec![("LOG_LEVEL", "error")];
    environment.extend(settings.iter().map(|(key, value)| (*key, value.as_str())));
    environment.extend(own);
    Function::start(&stack.function(name), &environment).await
}

/// The event of a function that a queue calls: messages as SQS hands them over, by id and body.
#[must_use]
pub fn sqs_event<'m>(messages: impl Iterator<Item = (String, &'m str)>) -> Vec<u8> {
    let record = |(id, body): (String, &str)| {
        json!({
            "messageId": id,
            "receiptHandle": "receipt",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "tests"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:tests",
            "awsRegion": "us-east-1",
        })
    };
    let records: Vec<Value> = messages.map(record).collect();
    json!({"Records": records}).to_string().into_bytes()
}
