//! Each function may do what it does and nothing else: the stack runs with IAM enforced, so every other test shows that
//! the policies suffice; this one takes permissions away, one by one, and sees each one missed.

mod live;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tests::{
    sqs::Queue,
    stack::{Account, PATIENCE, Stack, eventually},
};

/// The `authorization` header of a request to a service of the emulator, as the root user.
fn root(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    )
}

/// The emulator's IAM, asked as the root user.
struct Iam {
    http: Client,
    endpoint: String,
}

/// A function's policy as deployed.
struct Policy {
    role: String,
    name: String,
    document: Value,
}

impl Iam {
    fn of(stack: &Stack) -> Self {
        Self { http: Client::new(), endpoint: stack.setting("AWS_ENDPOINT_URL") }
    }

    async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let root = root("iam");
        let mut form = Url::parse(&self.endpoint)?;
        form.query_pairs_mut()
            .append_pair("Action", action)
            .append_pair("Version", "2010-05-08")
            .extend_pairs(parameters);
        let request = self.http.post(&self.endpoint).header("authorization", &root);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form.query().unwrap_or_default().to_owned()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{action}: {text}");
        Ok(text)
    }

    /// The inline policy of every function that has one. Those that let a schedule call a function are none.
    async fn policies(&self) -> Result<Vec<Policy>> {
        let mut policies = Vec::new();
        for role in tagged(&self.call("ListRoles", &[]).await?, "RoleName") {
            for name in tagged(&self.call("ListRolePolicies", &[("RoleName", &role)]).await?, "member") {
                // The schedules' own.
                if name.contains("EveryMinute") || name.contains("StreamEventsSockets") {
                    continue;
                }
                let text = self.call("GetRolePolicy", &[("RoleName", &role), ("PolicyName", &name)]).await?;
                let document = tagged(&text, "PolicyDocument").into_iter().next().context("a policy has a document")?;
                let decoded = Url::parse(&format!("http://x/?d={document}"))?;
                let document = decoded.query_pairs().next().context("a document")?.1.into_owned();
                policies.push(Policy { role: role.clone(), name, document: serde_json::from_str(&document)? });
            }
        }
        Ok(policies)
    }

    async fn put(&self, policy: &Policy, document: &Value) -> Result<()> {
        let document = document.to_string();
        let parameters = [("RoleName", &*policy.role), ("PolicyName", &*policy.name), ("PolicyDocument", &*document)];
        self.call("PutRolePolicy", &parameters).await.map(drop)
    }
}

/// What stands in the elements of this name.
fn tagged(xml: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

impl Policy {
    fn function(&self) -> &str {
        self.name.trim_end_matches(char::is_numeric).trim_end_matches("RolePolicy")
    }

    fn actions(&self) -> Vec<String> {
        let statements = self.document["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
        let actions = statements.iter().flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            action => vec![action.clone()],
        });
        actions.filter_map(|action| action.as_str().map(str::to_owned)).collect()
    }

    /// The document without one action.
    fn without(&self, action: &str) -> Value {
        let mut document = self.document.clone();
        for statement in document["Statement"].as_array_mut().into_iter().flatten() {
            if let Value::Array(actions) = &mut statement["Action"] {
                actions.retain(|held| held != action);
            } else if statement["Action"] == action {
                statement["Effect"] = json!("Deny");
            }
        }
        document
    }
}

/// Does what needs the permission; whether it went well.
async fn works(stack: &Stack, function: &str, action: &str) -> Result<bool> {
    let account = stack.account("permissions");
    let token = account.token(Role::Ingest);
    let (path, body) = match function {
        "TrackEvent" => ("/api/events", json!({"eventName": "a"})),
        _ => ("/api/events/batch", json!([{"eventName": "a"}])),
    };
    let send = async |key: Option<&str>| -> Result<(u16, bool)> {
        let request = stack.post(path).bearer_auth(&token).json(&body);
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.headers().contains_key("idempotency-replayed")))
    };
    if action == "secretsmanager:GetSecretValue" {
        forget(stack, function).await?;
        return logs_in(stack, function).await;
    }
    match (function, action) {
        ("TrackEvent" | "TrackEvents", "sqs:SendMessage") => Ok(send(None).await?.0 == 202),
        ("TrackEvent" | "TrackEvents", "dynamodb:PutItem") => Ok(send(Some("k")).await?.0 == 202),
        ("TrackEvent" | "TrackEvents", "dynamodb:UpdateItem") => {
            assert_eq!(send(Some("k")).await?.0, 202, "an answer that cannot be noted is given all the same");
            Ok(send(Some("k")).await? == (202, true))
        }
        ("TrackEvent" | "TrackEvents", "dynamodb:Query")
        | ("WsConnect", "dynamodb:PutItem" | "dynamodb:UpdateItem" | "dynamodb:Query" | "sqs:SendMessage")
        | ("WsDisconnect", "dynamodb:GetItem" | "dynamodb:UpdateItem" | "dynamodb:DeleteItem")
        | (
            "WsMessage",
            "dynamodb:GetItem"
            | "dynamodb:BatchGetItem"
            | "dynamodb:UpdateItem"
            | "dynamodb:Query"
            | "sqs:SendMessage"
            | "execute-api:ManageConnections",
        )
        | (
            "StreamEvents",
            "dynamodb:Query"
            | "dynamodb:GetItem"
            | "dynamodb:BatchGetItem"
            | "dynamodb:PutItem"
            | "dynamodb:UpdateItem"
            | "dynamodb:DeleteItem"
            | "sqs:SendMessage"
            | "execute-api:ManageConnections",
        ) => live::works(stack).await,
        ("StoreEvents", "dynamodb:Query" | "sqs:SendMessage") => live::tells_of_stored(stack).await,
        ("StoreEvents", "dynamodb:UpdateItem") => notes_work(stack).await,
        ("GetHealth", _) => {
            let health: Value = stack.get("/health").send().await?.json().await?;
            let dependency = if action.starts_with("sqs") { "sqs" } else { "dynamodb" };
            Ok(health["dependencies"][dependency]["status"] == "ok")
        }
        ("RollupMetrics", "dynamodb:Query" | "dynamodb:UpdateItem") => rolls_up(stack, 3_600_000, false).await,
        // Of an account whose days have ended nothing is left.
        ("RollupMetrics", "dynamodb:DeleteItem") => rolls_up(stack, 10 * 86_400_000, true).await,
        ("ListMetrics" | "GetMetric" | "GetMetricData" | "QueryMetrics", "dynamodb:Query")
        | ("CreateMetric" | "UpdateMetric", "dynamodb:Query" | "dynamodb:PutItem" | "dynamodb:UpdateItem")
        | ("DeleteMetric", "dynamodb:Query" | "dynamodb:DeleteItem" | "dynamodb:UpdateItem") => {
            keeps_metrics(stack, function).await
        }
        (function, action) => panic!("{function} may {action}, and no test needs it"),
    }
}

/// Ends the processes of a function by changing its configuration: they keep the secrets that they have fetched.
async fn forget(stack: &Stack, function: &str) -> Result<()> {
    let endpoint = stack.setting("AWS_ENDPOINT_URL");
    let root = root("lambda");
    let http = Client::new();
    let list = http.get(format!("{endpoint}/2015-03-31/functions?MaxItems=50")).header("authorization", &root);
    let list: Value = list.send().await?.error_for_status()?.json().await?;
    let is_meant =
        |one: &&Value| one["FunctionName"].as_str().is_some_and(|name| name.split('-').any(|part| part == function));
    let deployed = list["Functions"].as_array().into_iter().flatten().find(is_meant);
    let deployed = deployed.context("the function is deployed")?;
    let name = deployed["FunctionName"].as_str().context("a function has a name")?;
    let url = format!("{endpoint}/2015-03-31/functions/{name}/configuration");
    // The same size as before: what matters is that processes end.
    let change = http.put(url).header("authorization", &root).json(&json!({"MemorySize": deployed["MemorySize"]}));
    change.send().await?.error_for_status()?;
    Ok(())
}

/// Whether an event is stored soon.
async fn stores(stack: &Stack) -> Result<bool> {
    let account = stack.account("permissions");
    account.send_all(&[json!({"eventName": "a"})]).await?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        if account.total(&[]).await? == 1 {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// Uses ClickHouse through a function; whether that succeeds.
async fn logs_in(stack: &Stack, function: &str) -> Result<bool> {
    match function {
        "SearchEvents" => {
            let account = stack.account("permissions");
            let search = stack.get("/api/events/search").bearer_auth(account.token(Role::Viewer));
            Ok(search.send().await?.status() == 200)
        }
        "GetHealth" => {
            let health: Value = stack.get("/health").send().await?.json().await?;
            Ok(health["dependencies"]["clickhouse"]["status"] == "ok")
        }
        "StoreEvents" => stores(stack).await,
        "RollupMetrics" => rolls_up(stack, 3_600_000, false).await,
        "StreamEvents" => live::works(stack).await,
        _ => keeps_metrics(stack, function).await,
    }
}

async fn keeps_metrics(stack: &Stack, function: &str) -> Result<bool> {
    let account = stack.account("permissions");
    let token = account.token(Role::Analyst);
    let body = json!({"name": "mine", "type": "gauge", "formula": "sent"});
    let call = async |method: Method, path: &str| -> Result<u16> {
        let request = stack.request(method.clone(), path).bearer_auth(&token);
        let request = if method == Method::GET || method == Method::DELETE { request } else { request.json(&body) };
        Ok(request.send().await?.status().as_u16())
    };
    let create = async || call(Method::POST, "/api/metrics").await;
    Ok(match function {
        "ListMetrics" => call(Method::GET, "/api/metrics").await? == 200,
        "GetMetric" => call(Method::GET, "/api/metrics/ctr").await? == 200,
        // By a property that built-in metrics are not kept by.
        "GetMetricData" => call(Method::GET, "/api/metrics/ctr/data?groupBy=country").await? == 200,
        // A formula of its own, whose names may be those of the account's metrics.
        "QueryMetrics" => {
            let body = json!({"formula": "delivered / sent"});
            stack.post("/api/query").bearer_auth(&token).json(&body).send().await?.status() == 200
        }
        "CreateMetric" => create().await? == 201,
        "UpdateMetric" => create().await? == 201 && call(Method::PUT, "/api/metrics/mine").await? == 200,
        _ => create().await? == 201 && call(Method::DELETE, "/api/metrics/mine").await? == 204,
    })
}

/// An account with an event that is so many milliseconds old.
async fn with_event(stack: &Stack, age: i64) -> Result<Account<'_>> {
    let account = stack.account("permissions");
    account.send_all(&[json!({"eventName": "a", "timestamp": now_millis() - age})]).await?;
    account.until_total(1, &[]).await?;
    Ok(account)
}

/// What the table of accounts with work says of one.
async fn noted(stack: &Stack, account: &Account<'_>) -> Result<bool> {
    let root = root("dynamodb");
    let request = Client::new().post(stack.setting("AWS_ENDPOINT_URL")).header("authorization", &root);
    let request = request.header("x-amz-target", "DynamoDB_20120810.Scan");
    let request = request.header("content-type", "application/x-amz-json-1.0");
    let body = json!({
        "TableName": stack.setting("ROLLUPS_TABLE"), "ConsistentRead": true, "FilterExpression": "accountId = :account",
        "ExpressionAttributeValues": {":account": {"S": account.id}},
    });
    let found: Value = request.body(body.to_string()).send().await?.error_for_status()?.json().await?;
    Ok(found["Count"] == 1)
}

/// Whether an account is noted once its events are stored. The running day always leaves something to compute.
async fn notes_work(stack: &Stack) -> Result<bool> {
    let account = with_event(stack, 0).await?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        if noted(stack, &account).await? {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// Whether the function does all that is to be done for an account whose event is so old, without a failure. Of an account whose
/// days have ended, nothing is left then.
async fn rolls_up(stack: &Stack, age: i64, until_forgotten: bool) -> Result<bool> {
    let account = with_event(stack, age).await?;
    let url = format!(
        "{}/2015-03-31/functions/{}/invocations",
        stack.setting("AWS_ENDPOINT_URL"),
        stack.setting("ROLLUP_METRICS")
    );
    let started = Instant::now();
    loop {
        let root = root("lambda");
        let call = json!({"accountId": account.id}).to_string();
        let answer = Client::new().post(&url).header("authorization", &root).body(call).send().await?;
        let done: Value = answer.json().await?;
        ensure!(done["errorMessage"].is_string() || done["failed"].is_u64(), "{done}");
        if done["errorMessage"].is_string() || done["failed"] != 0 {
            return Ok(false);
        }
        if until_forgotten {
            // Whether this call has done it, or the schedule's, which may have been at it.
            if !noted(stack, &account).await? {
                return Ok(true);
            }
        } else if done["accounts"] != 0 {
            return Ok(true);
        }
        if started.elapsed() > PATIENCE {
            return Ok(!until_forgotten);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_function_without_one_of_its_permissions_fails() -> Result<()> {
    let stack = Stack::alone().await;
    let iam = Iam::of(&stack);
    let policies = iam.policies().await?;
    let functions: BTreeSet<&str> = policies.iter().map(Policy::function).collect();
    let expected = [
        "CreateMetric",
        "DeleteMetric",
        "GetHealth",
        "GetMetric",
        "GetMetricData",
        "ListMetrics",
        "QueryMetrics",
        "RollupMetrics",
        "SearchEvents",
        "StoreEvents",
        "StreamEvents",
        "TrackEvent",
        "TrackEvents",
        "UpdateMetric",
        "WsConnect",
        "WsDisconnect",
        "WsMessage",
    ];
    assert_eq!(functions, BTreeSet::from(expected));
    let mut missed = 0;
    // Lambda's poller reads the queues in a function's name, which the emulator does not check.
    let polls = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    for policy in &policies {
        let function = policy.function();
        let is_polled = ["StoreEvents", "StreamEvents"].contains(&function);
        let actions: BTreeSet<String> = policy.actions().into_iter().collect();
        for action in actions.into_iter().filter(|action| !is_polled || !polls.contains(&action.as_str())) {
            assert!(works(&stack, function, &action).await?, "{function} {action}");
            iam.put(policy, &policy.without(&action)).await?;
            let works = works(&stack, function, &action).await;
            iam.put(policy, &policy.document).await?;
            assert!(!works?, "{function} does not need {action}");
            missed += 1;
        }
    }
    assert_eq!(missed, 59);
    Ok(())
}

#[tokio::test]
async fn store_events_sets_nothing_aside_without_its_permission() -> Result<()> {
    let stack = Stack::alone().await;
    let iam = Iam::of(&stack);
    let policies = iam.policies().await?;
    let policy = policies.iter().find(|policy| policy.function() == "StoreEvents").context("is deployed")?;
    let events = Queue::at(stack.setting("EVENTS_QUEUE_URL"))?;
    let dead_letters = Queue::at(stack.setting("DEAD_LETTER_QUEUE_URL"))?;
    let poison = [format!("poison of {}", stack.account("permissions").id)];
    iam.put(policy, &policy.without("sqs:SendMessage")).await?;
    let before = dead_letters.count().await?;
    events.send_all(&poison).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let meanwhile = dead_letters.count().await;
    iam.put(policy, &policy.document).await?;
    assert_eq!(meanwhile?, before, "poison was set aside without the permission");
    eventually("the poison is set aside", async || Ok(dead_letters.count().await? == before + 1)).await?;
    dead_letters.remove_all(&poison).await
}
