//! Definitions: created, read, changed, deleted, and refused with a reason.

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

use super::until_rolled_up;

async fn call(account: &Account<'_>, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let (status, _, answer) = call_with(account, method, path, body, None).await?;
    Ok((status, answer))
}

/// Status, `ETag` and body.
async fn call_with(
    account: &Account<'_>,
    method: Method,
    path: &str,
    body: Option<&Value>,
    if_match: Option<&str>,
) -> Result<(u16, String, Value)> {
    let mut request = account.stack.request(method, path).bearer_auth(account.token(Role::Analyst));
    if let Some(body) = body {
        request = request.json(body);
    }
    if let Some(version) = if_match {
        request = request.header("if-match", version);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    let text = answer.text().await?;
    Ok((status, tag, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

fn delivery_rate() -> Value {
    json!({"name": "Message Delivery Rate", "type": "gauge", "formula": "(delivered / sent) * 100", "unit": "percentage",
        "aggregation": "avg", "dimensions": ["campaignId", "groupId"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_right_in_total_and_by_campaign_from_events_and_from_rollups() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("rate");
    let (status, created) = call(&account, Method::POST, "/api/metrics", Some(&delivery_rate())).await?;
    assert_eq!((status, &created["metricId"]), (201, &json!("message_delivery_rate")), "{created}");
    let means: Vec<&str> =
        created["resolved"].as_array().into_iter().flatten().filter_map(|entry| entry["means"].as_str()).collect();
    assert_eq!(means, ["message_delivered", "message_sent"]);
    assert_eq!(created["warnings"].as_array().map(Vec::len), Some(2), "nothing has come yet: {created}");

    let hour_ago = now_millis() - 3_600_000;
    let mut events = Vec::new();
    for (campaign, sent, delivered) in [("spring", 500, 450), ("осень", 300, 240), ("双十一", 200, 180)] {
        for (name, count) in [("message_sent", sent), ("message_delivered", delivered)] {
            for number in 0..count {
                events.push(
                    json!({"eventName": name, "eventId": format!("{campaign}-{number}"), "timestamp": hour_ago - number,
                    "properties": {"campaignId": campaign, "groupId": format!("g{}", number % 5)}}),
                );
            }
        }
    }
    for batch in events.chunks(1_000) {
        account.send_all(batch).await?;
    }
    account.until_total(1_870, &[]).await?;
    for state in ["from events", "from rollups"] {
        if state == "from rollups" {
            until_rolled_up(&account).await?;
        }
        let path = "/api/metrics/message_delivery_rate/data?period=24h&interval=none";
        let (_, data) = call(&account, Method::GET, path, None).await?;
        assert_eq!(data["series"][0]["total"], 87.0, "{state}: {data}");
        let (_, data) = call(&account, Method::GET, &format!("{path}&groupBy=campaignId"), None).await?;
        let by_campaign: Vec<(&str, f64)> = data["series"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|series| Some((series["key"]["campaignId"].as_str()?, series["total"].as_f64()?)))
            .collect();
        assert_eq!(by_campaign, [("spring", 90.0), ("双十一", 90.0), ("осень", 80.0)], "{state}: {data}");
        // The stack's own function may have been quick the first time.
        assert!(state == "from events" || data["source"] != "events", "{data}");
        let (_, data) = call(&account, Method::GET, &format!("{path}&groupBy=campaignId&limit=1"), None).await?;
        assert_eq!(data["series"][1], json!({"other": true, "total": 84.0, "points": []}), "{state}: {data}");
        let (_, table) = call(&account, Method::GET, &format!("{path}&groupBy=campaignId&format=csv"), None).await?;
        let wanted = "time,campaignId,value,reason\r\ntotal,spring,90,\r\ntotal,双十一,90,\r\ntotal,осень,80,\r\n";
        assert_eq!(table.as_str().map(|table| table.trim_start_matches('\u{feff}')), Some(wanted));
    }
    Ok(())
}

#[tokio::test]
async fn definitions_are_kept_changed_by_version_and_deleted_when_unused() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("define");
    let other = stack.account("define-other");
    let (status, tag, _) = call_with(&account, Method::POST, "/api/metrics", Some(&delivery_rate()), None).await?;
    assert_eq!((status, tag.as_str()), (201, "\"1\""));
    let (status, taken) = call(&account, Method::POST, "/api/metrics", Some(&delivery_rate())).await?;
    assert_eq!((status, &taken["errors"][0]["code"]), (409, &json!("name_taken")));

    let user = json!({"name": "比率 2", "type": "gauge", "formula": "\"Message Delivery Rate\" / 100"});
    let (status, created) = call(&account, Method::POST, "/api/metrics", Some(&user)).await?;
    assert_eq!((status, &created["metricId"]), (201, &json!("比率_2")), "{created}");
    let place = "/api/metrics/message_delivery_rate";
    let (status, tag, shown) = call_with(&account, Method::GET, place, None, None).await?;
    assert_eq!((status, tag.as_str(), &shown["formula"]), (200, "\"1\"", &json!("(delivered / sent) * 100")));
    assert_eq!(call(&account, Method::GET, "/api/metrics/比率_2", None).await?.0, 200);
    assert_eq!(call(&other, Method::GET, place, None).await?.0, 404, "another account's metric is not there");

    let (status, problem) = call(&account, Method::DELETE, place, None).await?;
    assert_eq!((status, &problem["code"]), (409, &json!("metric_in_use")));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("比率_2")), "{problem}");

    let mut changed = delivery_rate();
    changed["formula"] = json!("\"比率_2\" * 100");
    let (status, problem) = call(&account, Method::PUT, place, Some(&changed)).await?;
    let detail = problem["errors"][0]["detail"].as_str().unwrap_or_default();
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("cycle")));
    assert!(detail.contains("message_delivery_rate → 比率_2 → message_delivery_rate"), "{detail}");

    changed["formula"] = json!("delivered / (sent + failed)");
    let (status, tag, _) = call_with(&account, Method::PUT, place, Some(&changed), Some("\"1\"")).await?;
    assert_eq!((status, tag.as_str()), (200, "\"2\""));
    let (status, _, problem) = call_with(&account, Method::PUT, place, Some(&changed), Some("\"1\"")).await?;
    assert_eq!((status, &problem["code"]), (412, &json!("version_mismatch")));

    let (_, list) = call(&account, Method::GET, "/api/metrics", None).await?;
    let ids: Vec<&str> =
        list["metrics"].as_array().into_iter().flatten().filter_map(|metric| metric["metricId"].as_str()).collect();
    assert!(ids.starts_with(&["message_delivery_rate", "比率_2"]) && ids.contains(&"roi"), "{ids:?}");
    let (status, problem) = call(&account, Method::DELETE, "/api/metrics/roi", None).await?;
    assert_eq!((status, &problem["code"]), (409, &json!("built_in")));
    assert_eq!(call(&account, Method::DELETE, "/api/metrics/比率_2", None).await?.0, 204);
    assert_eq!(call(&account, Method::DELETE, place, None).await?.0, 204);
    assert_eq!(call(&account, Method::GET, place, None).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn every_built_in_metric_answers_an_account_that_has_sent_nothing() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("built-in");
    for metric in &analytics_domain::metric::builtin::METRICS {
        let path = format!("/api/metrics/{}/data?period=mtd&timezone=Asia/Shanghai&compare=previous_period", metric.id);
        let (status, data) = call(&account, Method::GET, &path, None).await?;
        assert_eq!(status, 200, "{data}");
        let series = &data["series"][0];
        if metric.id == "net_growth" {
            assert_eq!((&series["total"], &series["points"][0]["value"]), (&json!(0.0), &json!(0.0)), "{data}");
        } else {
            assert!(series["total"].is_null() && series["reason"].is_string(), "{}: {data}", metric.id);
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_place() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("nonsense");
    let deep = format!("{}sent{}", "(".repeat(1_000), ")".repeat(1_000));
    let long = format!("sent{}", " + sent".repeat(2_000));
    let sql = "sent'; DROP TABLE events --";
    for (formula, code, says) in [
        ("delivred / sent", "unknown_name", "did you mean message_delivered"),
        ("sent / 0", "division_by_zero", "character 8"),
        ("sent / (2 - 2)", "division_by_zero", "character 8"),
        ("(sent + delivered", "unbalanced_parentheses", "character 1"),
        ("sent)", "unbalanced_parentheses", "character 5"),
        (deep.as_str(), "too_deep", "64"),
        (long.as_str(), "too_long", "4000"),
        (sql, "unbalanced_quotes", "character 5"),
        ("sent; DROP TABLE events", "unexpected_character", "character 5"),
        ("sent{campaignId = }", "syntax", "expected a value"),
        ("median(sent.x)", "unknown_function", "p1 to p99"),
        ("sum(sent)", "property_needed", "sum(sent.property)"),
        ("1 + 1", "no_events", "name one"),
        ("sum(delivery_rate)", "metric_misused", "metric"),
        ("", "required", "formula"),
        ("1e999 * sent", "invalid_number", "1e999"),
    ] {
        let body = json!({"name": "x", "type": "gauge", "formula": formula});
        let (status, problem) = call(&account, Method::POST, "/api/metrics", Some(&body)).await?;
        let error = &problem["errors"][0];
        assert_eq!(
            (status, &error["code"], &error["pointer"]),
            (422, &json!(code), &json!("/formula")),
            "{formula}: {problem}"
        );
        assert!(error["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{formula}: {problem}");
    }
    for (change, pointer, code) in [
        (json!({"type": "odometer"}), "/type", "invalid_value"),
        (json!({"type": "counter", "aggregation": "sum"}), "/type", "not_additive"),
        (json!({"type": "counter", "aggregation": "avg"}), "/aggregation", "unfit_aggregation"),
        (json!({"type": "histogram"}), "/type", "not_a_distribution"),
        (json!({"dimensions": ["a", "b", "c", "d", "e"]}), "/dimensions", "too_many"),
        (json!({"dimensions": ["a.:`b`"]}), "/dimensions/0", "invalid_name"),
        (json!({"filters": ["a = "]}), "/filters/0", "syntax"),
        (json!({"name": 7}), "/name", "wrong_type"),
        (json!({"colour": "red"}), "/colour", "unknown_field"),
        (json!({"accountId": "somebody"}), "/accountId", "account_mismatch"),
        (json!({"metricId": "a/b"}), "/metricId", "invalid_value"),
    ] {
        let mut body = delivery_rate();
        for (name, value) in change.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let (status, problem) = call(&account, Method::POST, "/api/metrics", Some(&body)).await?;
        let error = &problem["errors"][0];
        assert_eq!((status, &error["pointer"], &error["code"]), (422, &json!(pointer), &json!(code)), "{problem}");
    }
    for (query, parameter, code) in [
        ("interval=minute&from=2016-01-01&to=2026-01-01", "interval", "too_many_buckets"),
        ("timezone=Mars/Olympus", "timezone", "unknown_timezone"),
        ("from=2026-11-24&to=2026-11-23", "to", "empty_range"),
        ("groupBy=x'+OR+1=1+--,,$secret", "groupBy", "invalid_name"),
        ("filter=1=1", "filter", "syntax"),
        ("filter=a+%3D+%27x%27%3B+DROP+TABLE+events", "filter", "unexpected_character"),
        ("color=red", "color", "unknown_parameter"),
        ("format=xml", "format", "invalid_value"),
        ("from=1795512600", "from", "invalid_timestamp"),
    ] {
        let (status, problem) = call(&account, Method::GET, &format!("/api/metrics/ctr/data?{query}"), None).await?;
        let error = &problem["errors"][0];
        assert_eq!(
            (status, &error["parameter"], &error["code"]),
            (422, &json!(parameter), &json!(code)),
            "{query}: {problem}"
        );
    }
    // Names made of SQL are names.
    let evil = "/api/metrics/ctr/data?groupBy=x'+OR+1=1+--&filter=%22a%27%20OR%201%3D1%22%20%3D%20%22%27%3B%20DROP%22";
    assert_eq!(call(&account, Method::GET, evil, None).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_name_that_may_mean_two_events_is_refused_and_both_are_named() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("ambiguous");
    account.send_all(&[json!({"eventName": "sms_sent"})]).await?;
    account.until_total(1, &[]).await?;
    let (status, problem) = call(&account, Method::POST, "/api/query", Some(&json!({"formula": "sent"}))).await?;
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("ambiguous_name")), "{problem}");
    assert!(problem["errors"][0]["detail"].as_str().is_some_and(|detail| detail.contains("message_sent or sms_sent")));
    let several =
        json!({"period": "24h", "interval": "none", "queries": [{"formula": "sms_sent"}, {"metric": "delivery_rate"}]});
    let (status, answer) = call(&account, Method::POST, "/api/query", Some(&several)).await?;
    assert_eq!((status, &answer["results"][0]["series"][0]["total"]), (200, &json!(1.0)), "{answer}");
    assert_eq!(answer["results"][1]["series"][0]["reason"], "zero_denominator", "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn formulas_that_are_asked_together_answer_as_each_alone() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("together");
    let hour_ago = now_millis() - 3_600_000;
    let names = ["message_sent", "message_delivered", "link_clicked", "post_stats_sampled", "cost_recorded"];
    let event = |number: i64| {
        json!({
            "eventName": names[usize::try_from(number % 5).unwrap_or(0)], "eventId": number.to_string(),
            "timestamp": hour_ago + number * 1_000,
            "properties": {
                // Some groups have events of some names only.
                "groupId": format!("g{}", number % 7), "clickerHash": format!("c{}", number % 11), "postId": format!("p{}", number % 3),
                "views": number, "amount": number % 13, "latencyMs": number * 3 % 101,
            },
        })
    };
    account.send_all(&(0..600).map(event).collect::<Vec<_>>()).await?;
    account.until_total(600, &[]).await?;
    let queries = json!([
        {"formula": "message_sent"}, {"metric": "delivery_rate"}, {"metric": "ctr"}, {"formula": "sum(cost_recorded.amount) / post_stats_sampled"},
        {"formula": "last(post_stats_sampled.views)"}, {"metric": "send_latency_p95"}, {"formula": "unique(link_clicked.clickerHash)"},
        {"formula": "member_joined"},
    ]);
    let questions = [
        json!({"from": hour_ago - 3_600_000, "to": hour_ago + 3_000_000, "interval": "none"}),
        json!({"from": hour_ago - 3_600_000, "to": hour_ago + 3_000_000, "interval": "10m", "compare": "previous_period"}),
        json!({"from": hour_ago - 3_600_000, "to": hour_ago + 3_000_000, "interval": "minute", "groupBy": ["groupId"]}),
        json!({"from": hour_ago - 3_600_000, "to": hour_ago + 3_000_000, "interval": "30m", "groupBy": ["groupId"], "limit": 3, "compare": "previous_period"}),
        json!({"from": hour_ago - 3_600_000, "to": hour_ago + 3_000_000, "interval": "none", "groupBy": ["groupId", "postId"], "limit": 5, "orderBy": "total"}),
        json!({"from": hour_ago - 3_600_000, "to": hour_ago + 3_000_000, "interval": "none", "groupBy": ["groupId"], "filter": "clickerHash in (c1, c2)"}),
    ];
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            until_rolled_up(&account).await?;
        }
        for question in &questions {
            let ask = async |queries: Value| {
                let mut body = question.clone();
                body["queries"] = queries;
                let (status, answer) = call(&account, Method::POST, "/api/query", Some(&body)).await?;
                assert_eq!(status, 200, "{answer}");
                Ok::<_, anyhow::Error>(answer["results"].as_array().cloned().unwrap_or_default())
            };
            let together = ask(queries.clone()).await?;
            for (query, found) in queries.as_array().into_iter().flatten().zip(&together) {
                let alone = ask(json!([query])).await?;
                assert_eq!(found["series"], alone[0]["series"], "{query} of {question}, rolled up: {is_rolled_up}");
            }
            assert_eq!(together.len(), 8);
        }
    }
    Ok(())
}
