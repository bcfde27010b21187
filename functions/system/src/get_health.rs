//! `GET /health`: whether each part that we stand on answers, and how fast.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use analytics_domain::access::Operation;
use analytics_dynamo::AnswerTable;
use analytics_http::{ApiError, Reply, json_bytes, openapi::OpenApi};
use analytics_messaging::Queue;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::EventWarehouse;
use http::{HeaderValue, StatusCode, header};
use lambda_http::Request;
use schemars::JsonSchema;
use serde::Serialize;

/// Longer than this is down.
const PATIENCE: Duration = Duration::from_secs(3);

/// What there is to ask.
pub struct App {
    warehouse: EventWarehouse,
    queue: Queue,
    answers: AnswerTable,
}

#[derive(Serialize, JsonSchema)]
struct Health {
    status: Status,
    version: &'static str,
    dependencies: BTreeMap<&'static str, Dependency>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    status: Status,
    latency_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Down,
}

impl App {
    /// Reads `EVENTS_QUEUE_URL`, `IDEMPOTENCY_TABLE` and the keys of the adapters.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        Ok(Self {
            warehouse: EventWarehouse::to_read(lookup)?,
            queue: Queue::new(analytics_messaging::client(&sdk), lookup.required("EVENTS_QUEUE_URL")?),
            answers: AnswerTable::from_tables(&analytics_dynamo::client(&sdk), lookup)?,
        })
    }
}

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document
        .operation(
            Operation::GetHealth,
            "Get the state of the service",
            "Asks each dependency, and says how long it took",
        )
        .answer::<Health>(200, "Everything answers")
        .answer::<Health>(503, "Something does not answer");
}

/// Asks every dependency at once. 503 if one is down.
///
/// # Errors
/// If the answer does not serialise, which is our mistake.
pub async fn handle(app: &App, _: Request) -> Result<Reply, ApiError> {
    let (clickhouse, sqs, dynamodb) = tokio::join!(
        ask("clickhouse", app.warehouse.ping()),
        ask("sqs", app.queue.waiting()),
        ask("dynamodb", app.answers.ping()),
    );
    let dependencies = BTreeMap::from([clickhouse, sqs, dynamodb]);
    let all_ok = dependencies.values().all(|dependency| dependency.status == Status::Ok);
    let (status, code) =
        if all_ok { (Status::Ok, StatusCode::OK) } else { (Status::Down, StatusCode::SERVICE_UNAVAILABLE) };
    let health = Health { status, version: env!("CARGO_PKG_VERSION"), dependencies };
    let mut reply = json_bytes(code, serde_json::to_string(&health).map_err(ApiError::internal)?);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply)
}

async fn ask<T, E: std::fmt::Display>(
    name: &'static str,
    question: impl Future<Output = Result<T, E>>,
) -> (&'static str, Dependency) {
    let started = Instant::now();
    let status = match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(_)) => Status::Ok,
        Ok(Err(error)) => {
            tracing::warn!(dependency = name, error.cause = %error, "down");
            Status::Down
        }
        Err(_) => {
            tracing::warn!(dependency = name, "did not answer in time");
            Status::Down
        }
    };
    let latency_ms = (started.elapsed().as_secs_f64() * 100_000.0).round() / 100.0;
    (name, Dependency { status, latency_ms })
}
