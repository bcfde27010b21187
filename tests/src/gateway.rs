//! What API Gateway puts around a request for a function (payload format 2.0), and what it reads from the answer.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::runtime_api::Outcome;

/// The event of a POST with a JSON body.
#[must_use]
pub fn post(path: &str, token: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut all = json!({
        "authorization": format!("Bearer {token}"),
        "content-type": "application/json",
        "content-length": body.len().to_string(),
        "host": "api.analytics.test",
        "user-agent": "tests",
        "x-forwarded-for": "203.0.113.7",
    });
    for (name, value) in headers {
        all[*name] = Value::from(*value);
    }
    let route = format!("POST {path}");
    let id: [u8; 8] = analytics_platform::random();
    let event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": all,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "tests",
            "domainName": "api.analytics.test",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "tests",
            },
            "requestId": format!("{:016x}", u64::from_be_bytes(id)),
            "routeKey": route,
            "stage": "$default",
            "time": "24/Nov/2026:09:30:00 +0000",
            "timeEpoch": 1_795_512_600_000_i64,
        },
        "body": body,
        "isBase64Encoded": false,
    });
    event.to_string().into_bytes()
}

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u64,
    pub headers: Value,
    pub body: Value,
}

/// Reads the answer out of how an invocation ended.
///
/// # Errors
/// If the function gave none.
pub fn answer(outcome: &Outcome) -> Result<Answer> {
    let bytes = match outcome {
        Outcome::Response(bytes) => bytes,
        Outcome::Error(bytes) => bail!("the function failed: {}", String::from_utf8_lossy(bytes)),
        Outcome::Died => bail!("the function died"),
    };
    let event: Value = serde_json::from_slice(bytes)?;
    let body = event["body"].as_str().context("an answer without a body")?;
    Ok(Answer {
        status: event["statusCode"].as_u64().context("an answer without a status")?,
        headers: event["headers"].clone(),
        body: serde_json::from_str(body).context("the body is not JSON")?,
    })
}
