//! Metrics as their users' own systems write and read them, and lists of them in pages.

use analytics_domain::{access::Role, metric::builtin::METRICS};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

async fn call(account: &Account<'_>, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let request = account.stack.request(method, path).bearer_auth(account.token(Role::Analyst));
    let request = if let Some(body) = body { request.json(body) } else { request };
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

#[tokio::test]
async fn what_get_gave_is_taken_by_put_and_its_identity_stays() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("schema");
    let metric = json!({"metricId": "m-1", "accountId": account.id, "name": "Delivery", "type": "gauge", "unit": "percentage",
        "formula": "(delivered / sent) * 100", "aggregation": "avg", "filters": [], "dimensions": ["campaignId"]});
    let (status, created) = call(&account, Method::POST, "/api/metrics", Some(&metric)).await?;
    assert_eq!(
        (status, &created["metricId"], &created["accountId"]),
        (201, &json!("m-1"), &json!(account.id)),
        "{created}"
    );
    assert_eq!(created["id"], Value::Null, "{created}");
    let (status, changed) = call(&account, Method::PUT, "/api/metrics/m-1", Some(&created)).await?;
    assert_eq!((status, &changed["version"]), (200, &json!(2)), "{changed}");
    let (_, shown) = call(&account, Method::GET, "/api/metrics/m-1", None).await?;
    let (status, changed) = call(&account, Method::PUT, "/api/metrics/m-1", Some(&shown)).await?;
    assert_eq!(
        (status, &changed["version"], &changed["createdAt"]),
        (200, &json!(3), &created["createdAt"]),
        "{changed}"
    );
    for (field, value, code) in [
        ("metricId", json!("m-2"), "read_only"),
        ("createdAt", json!("2020-01-01T00:00:00Z"), "read_only"),
        ("accountId", json!("another"), "account_mismatch"),
        ("dimension", json!(["a"]), "unknown_field"),
    ] {
        let mut body = shown.clone();
        body[field] = value;
        let (status, problem) = call(&account, Method::PUT, "/api/metrics/m-1", Some(&body)).await?;
        let error = &problem["errors"][0];
        assert_eq!(
            (status, &error["code"], &error["pointer"]),
            (422, &json!(code), &json!(format!("/{field}"))),
            "{problem}"
        );
    }
    let again = json!({"metricId": "m-1", "name": "Other", "type": "gauge", "formula": "sent"});
    let (status, problem) = call(&account, Method::POST, "/api/metrics", Some(&again)).await?;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (409, &json!("/metricId")), "{problem}");
    let used = json!({"interval": "none", "formula": "\"m-1\" / 100", "accountId": account.id});
    assert_eq!(call(&account, Method::POST, "/api/query", Some(&used)).await?.0, 200);
    let other = json!({"formula": "sent", "accountId": "another"});
    let (status, problem) = call(&account, Method::POST, "/api/query", Some(&other)).await?;
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("account_mismatch")), "{problem}");
    let (_, built_in) = call(&account, Method::GET, "/api/metrics/roi", None).await?;
    assert_eq!((&built_in["metricId"], &built_in["accountId"]), (&json!("roi"), &json!(account.id)), "{built_in}");
    Ok(())
}

#[tokio::test]
async fn lists_come_in_pages() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("pages");
    for name in ["b", "a", "c"] {
        let metric = json!({"name": name, "type": "counter", "formula": "sent"});
        assert_eq!(call(&account, Method::POST, "/api/metrics", Some(&metric)).await?.0, 201);
    }
    let (mut ids, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (status, page) = call(&account, Method::GET, &format!("/api/metrics?limit=4{cursor}"), None).await?;
        assert_eq!(status, 200, "{page}");
        let found = page["metrics"].as_array().cloned().unwrap_or_default();
        ids.extend(found.iter().filter_map(|metric| metric["metricId"].as_str().map(str::to_owned)));
        pages += 1;
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(
        (ids.len(), pages, &ids[..3]),
        (3 + METRICS.len(), (3 + METRICS.len()).div_ceil(4), &["a", "b", "c"].map(str::to_owned)[..])
    );
    let (status, problem) = call(&account, Method::GET, "/api/metrics?cursor=nope", None).await?;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_cursor")), "{problem}");
    Ok(())
}
