//! The API's description, the template and what is served hold together.

use analytics_domain::access::{DEFAULT_PATH, ROUTES, Role};
use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::stack::Stack;

const TEMPLATE: &str = include_str!("../../template.yaml");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The blocks of the template's resources.
fn resources() -> impl Iterator<Item = (&'static str, &'static str)> {
    let resources = TEMPLATE.split_once("\nResources:\n").map_or("", |(_, rest)| rest);
    let resources = resources.split_once("\nOutputs:\n").map_or(resources, |(resources, _)| resources);
    let starts: Vec<usize> = std::iter::once(0)
        .chain(resources.match_indices("\n  ").map(|(at, _)| at + 1))
        .filter(|at| resources[*at + 2..].starts_with(char::is_alphabetic))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([resources.len()]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).filter_map(|(start, end)| resources[start..end].trim_start().split_once(":\n"))
}

#[test]
fn every_route_is_served_by_its_function_in_the_template() {
    let functions: Vec<(&str, &str)> =
        resources().filter(|(_, block)| block.contains("Type: AWS::Serverless::Function\n")).collect();
    let mut events = 0;
    for route in &ROUTES {
        let code = format!("CodeUri: target/lambda/{}\n", route.function);
        let serving: Vec<&str> =
            functions.iter().map(|(_, block)| *block).filter(|block| block.contains(&code)).collect();
        let [block] = serving.as_slice() else { panic!("{} functions run {}", serving.len(), route.function) };
        let event = if route.path == DEFAULT_PATH {
            "Type: HttpApi, Properties: { ApiId: !Ref Api }".to_owned()
        } else {
            let (method, path) = (route.method, route.path);
            format!("Type: HttpApi, Properties: {{ ApiId: !Ref Api, Method: {method}, Path: \"{path}\" }}")
        };
        assert_eq!(block.matches(&event).count(), 1, "{} {} is not {}'s", route.method, route.path, route.function);
        events += 1;
    }
    assert_eq!(TEMPLATE.matches("Type: HttpApi,").count(), events, "the template has routes that nobody knows");
}

#[tokio::test]
async fn every_deployed_route_calls_its_function() -> Result<()> {
    let stack = Stack::shared().await;
    let api = stack.setting("API_URL");
    let api = api.rsplit('/').next().context("the address names the API")?;
    let gateway = async |path: &str| -> Result<Value> {
        let request = reqwest::Client::new().get(format!("{}/v2/apis/{api}/{path}", stack.setting("AWS_ENDPOINT_URL")));
        let signed = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/apigateway/aws4_request, SignedHeaders=host, \
                      Signature=0";
        Ok(request.header("authorization", signed).send().await?.error_for_status()?.json().await?)
    };
    let (routes, integrations) = (gateway("routes").await?, gateway("integrations").await?);
    let items = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
    assert_eq!(items(&routes).len(), ROUTES.len(), "{routes}");
    for route in &ROUTES {
        let key = if route.path == DEFAULT_PATH {
            DEFAULT_PATH.to_owned()
        } else {
            format!("{} {}", route.method, route.path)
        };
        let deployed = items(&routes).into_iter().find(|deployed| deployed["routeKey"] == key).context(key.clone())?;
        let target = deployed["target"].as_str().unwrap_or_default().trim_start_matches("integrations/").to_owned();
        let called = items(&integrations).into_iter().find(|integration| integration["integrationId"] == target);
        let called = called.with_context(|| target.clone())?["integrationUri"].to_string().to_lowercase();
        // The stack names functions by their resources: TrackEvent of analytics is analytics-TrackEvent-….
        let name = format!("-{}-", route.function.replace('-', ""));
        assert!(called.contains(&name), "{key} calls {called}");
    }
    Ok(())
}

#[test]
fn every_signal_has_its_alarm() {
    let (_, table) = OPERATIONS.split_once("| Signal |").expect("there is a table of signals");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let alarms: Vec<&str> =
        resources().filter(|(_, block)| block.contains("Type: AWS::CloudWatch::Alarm")).map(|(name, _)| name).collect();
    assert!(rows.len() >= 9 && alarms.len() >= rows.len(), "{} signals, {} alarms", rows.len(), alarms.len());
    for row in &rows {
        assert!(alarms.iter().any(|alarm| row.contains(&format!("`{alarm}`"))), "no alarm: {row}");
    }
    for alarm in alarms {
        assert!(rows.iter().any(|row| row.contains(&format!("`{alarm}`"))), "{alarm} is not among the signals");
    }
}

#[test]
fn what_a_schedule_calls_is_not_tried_again_behind_our_back() {
    let scheduled: Vec<_> = resources().filter(|(_, block)| block.contains("Type: ScheduleV2")).collect();
    assert!(!scheduled.is_empty());
    for (name, block) in scheduled {
        assert!(block.contains("EventInvokeConfig: { MaximumRetryAttempts: 0,"), "{name}");
        assert!(block.contains("RetryPolicy: { MaximumRetryAttempts: 0,"), "{name}");
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
        let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
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
