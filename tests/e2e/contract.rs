//! The API's description, the template and what is served hold together.

use analytics_domain::access::{ROUTES, Role};
use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::stack::Stack;

const TEMPLATE: &str = include_str!("../../template.yaml");
const WORKSPACE: &str = include_str!("../../Cargo.toml");

#[test]
fn every_route_is_in_the_template_and_served_by_watch() {
    assert_eq!(TEMPLATE.matches("Type: HttpApi,").count(), ROUTES.len());
    for route in &ROUTES {
        let event = format!("Method: {}, Path: \"{}\" }}", route.method, route.path);
        assert!(TEMPLATE.contains(&event), "{event}");
        let code = format!("CodeUri: target/lambda/{}\n", route.function);
        assert!(TEMPLATE.contains(&code), "{code}");
        assert!(WORKSPACE.contains(&format!("\"{}\"", route.path)), "{} is not routed by watch", route.path);
    }
}

#[tokio::test]
async fn answers_are_as_the_openapi_document_says() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("contract");
    let document: Value = stack.get("/api/openapi.json").send().await?.json().await?;
    assert_eq!(document["openapi"], "3.1.0");
    let sender = account.token(Role::Ingest);
    let reader = account.token(Role::Viewer);
    let event = json!({"eventName": "message_sent", "sessionId": "s", "properties": {"a": 1}});
    let search = || stack.get("/api/events/search");
    let analyst = account.token(Role::Analyst);
    let metric = |method: Method, path: &str| stack.request(method, path).bearer_auth(&analyst);
    let definition = json!({"name": "rate", "type": "gauge", "formula": "delivered / sent", "dimensions": ["a"]});
    let split = "/api/metrics/rate/data?groupBy=a&compare=previous_period&limit=1".to_owned();
    stack.post("/api/events/batch").bearer_auth(&sender).json(&json!([event, 5])).send().await?;
    account.until_total(1, &[]).await?;
    account.until_total(1, &[("status", "rejected")]).await?;
    for (path, method, request, status) in [
        ("/api/events", "post", stack.post("/api/events").bearer_auth(&sender).json(&event), 202),
        ("/api/events", "post", stack.post("/api/events").bearer_auth(&sender).json(&json!({"x": 1})), 422),
        ("/api/events", "post", stack.post("/api/events").json(&event), 401),
        (
            "/api/events/batch",
            "post",
            stack.post("/api/events/batch").bearer_auth(&sender).json(&json!([event, 5])),
            202,
        ),
        ("/api/events/batch", "post", stack.post("/api/events/batch").bearer_auth(&sender).json(&json!([5])), 422),
        ("/api/events/search", "get", search().bearer_auth(&reader).query(&[("count", "true")]), 200),
        ("/api/events/search", "get", search().bearer_auth(&reader).query(&[("status", "rejected")]), 200),
        ("/api/events/search", "get", search().bearer_auth(&reader).query(&[("limit", "x")]), 422),
        ("/api/events/search", "get", search().bearer_auth(&sender), 403),
        ("/api/metrics", "post", metric(Method::POST, "/api/metrics").json(&definition), 201),
        ("/api/metrics", "post", metric(Method::POST, "/api/metrics").json(&json!({"x": 1})), 422),
        ("/api/metrics", "get", metric(Method::GET, "/api/metrics"), 200),
        ("/api/metrics/{id}", "get", metric(Method::GET, "/api/metrics/rate"), 200),
        ("/api/metrics/{id}", "put", metric(Method::PUT, "/api/metrics/rate").json(&definition), 200),
        ("/api/metrics/{id}/data", "get", metric(Method::GET, &split), 200),
        ("/api/metrics/{id}/data", "get", metric(Method::GET, "/api/metrics/rate/data?interval=x"), 422),
        (
            "/api/query",
            "post",
            metric(Method::POST, "/api/query").json(&json!({"formula": "sent", "compare": "previous_year"})),
            200,
        ),
        ("/api/metrics/{id}", "delete", metric(Method::DELETE, "/api/metrics/ctr"), 409),
        ("/health", "get", stack.get("/health"), 200),
    ] {
        let answer = request.send().await?;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert!(answer.headers().contains_key("x-request-id"), "{method} {path}");
        let kind = answer.headers()["content-type"].to_str()?.to_owned();
        let body: Value = answer.json().await?;
        let responses = &document["paths"][path][method]["responses"];
        let response = match &responses[status.to_string()] {
            Value::Null => &document["components"]["responses"]["Problem"],
            response => response,
        };
        let mut schema = response["content"][&kind]["schema"].clone();
        assert!(schema.is_object(), "{method} {path} {status} answers {kind}, which the document does not know");
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).context("the schema is one")?;
        let problems: Vec<String> = validator.iter_errors(&body).map(|problem| problem.to_string()).collect();
        assert!(problems.is_empty(), "{method} {path} {status}: {problems:?} in {body}");
    }
    Ok(())
}

#[tokio::test]
async fn health_names_every_dependency_with_its_latency() -> Result<()> {
    let stack = Stack::shared().await;
    let health: Value = stack.get("/health").send().await?.json().await?;
    assert_eq!(health["status"], "ok", "{health}");
    for dependency in ["clickhouse", "dynamodb", "sqs"] {
        let latency = health["dependencies"][dependency]["latencyMs"].as_f64().context(dependency)?;
        assert!(latency > 0.0, "{dependency}");
    }
    Ok(())
}
