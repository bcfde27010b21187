//! Amounts of money: never added across currencies, whatever they are asked by and wherever they are read from.

use std::collections::BTreeMap;

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::Result;
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

use super::until_rolled_up;

async fn data(account: &Account<'_>, metric: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let request = account.stack.get(&format!("/api/metrics/{metric}/data")).bearer_auth(account.token(Role::Viewer));
    let mut all = BTreeMap::from([("interval", "none")]);
    if parameters.iter().all(|(name, _)| *name != "from") {
        all.insert("period", "24h");
    }
    all.extend(parameters.iter().copied());
    let request = request.query(&all);
    Ok(request.send().await?.error_for_status()?.json().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_of_several_currencies_are_answered_one_by_one_and_never_added() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("money");
    let hour = 3_600_000;
    let start = (now_millis() / hour - 5) * hour;
    let mut events = Vec::new();
    let mut add = |hours: i64, name: &str, properties: Value| {
        let id = events.len().to_string();
        events.push(
            json!({"eventName": name, "eventId": id, "timestamp": start + hours * hour, "properties": properties}),
        );
    };
    add(0, "cost_recorded", json!({"amount": 10, "currency": "USD", "campaignId": "a"}));
    add(0, "conversion_recorded", json!({"value": 30, "currency": "USD", "campaignId": "a"}));
    add(1, "cost_recorded", json!({"amount": 1_000, "currency": "RUB", "campaignId": "b"}));
    add(1, "conversion_recorded", json!({"value": 500, "currency": "RUB", "campaignId": "b"}));
    add(1, "member_joined", json!({"campaignId": "b"}));
    // Each has one currency, but not the same.
    add(2, "cost_recorded", json!({"amount": 5, "currency": "USD", "campaignId": "c"}));
    add(2, "conversion_recorded", json!({"value": 7, "currency": "EUR", "campaignId": "c"}));
    // An account's own events, of which some are no money.
    add(0, "order_paid", json!({"total": 1, "currency": "USD"}));
    add(1, "order_paid", json!({"total": 2, "currency": "EUR"}));
    add(1, "visit_ended", json!({"minutes": 4}));
    account.send_all(&events).await?;
    account.until_total(events.len() as u64, &[]).await?;
    let own =
        json!({"name": "per minute", "type": "gauge", "formula": "sum(order_paid.total) / avg(visit_ended.minutes)"});
    let request = stack.post("/api/metrics").bearer_auth(account.token(Role::Analyst)).json(&own);
    request.send().await?.error_for_status()?;
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            until_rolled_up(&account).await?;
        }
        for metric in ["roi", "cps", "per_minute"] {
            let answer = data(&account, metric, &[]).await?;
            let series = &answer["series"][0];
            assert_eq!((&series["total"], &series["reason"]), (&Value::Null, &json!("several_currencies")), "{answer}");
            assert_eq!(answer["warnings"][0]["code"], "several_currencies", "{answer}");
            assert!(!is_rolled_up || answer["source"] != "events", "{answer}");
        }
        for (metric, currency, wanted) in [
            ("roi", "RUB", json!(-50.0)),
            ("cps", "RUB", json!(1_000.0)),
            ("cps", "USD", json!(15.0)),
            ("cps", "GBP", json!(0.0)),
            ("per_minute", "EUR", json!(0.5)),
        ] {
            let answer = data(&account, metric, &[("currency", currency)]).await?;
            assert_eq!(
                (&answer["series"][0]["total"], &answer["currency"]),
                (&wanted, &json!(currency)),
                "{metric}: {answer}"
            );
            assert_eq!(answer["warnings"], Value::Null, "{answer}");
        }
        let answer = data(&account, "cps", &[("filter", "currency = RUB or not currency exists")]).await?;
        assert_eq!(answer["series"][0]["total"], 1_000.0, "{answer}");

        let by_campaign = [("groupBy", "campaignId"), ("orderBy", "key")];
        let totals = |answer: &Value| {
            let series = answer["series"].as_array().cloned().unwrap_or_default();
            series.into_iter().map(|series| series["total"].clone()).collect::<Vec<_>>()
        };
        let answer = data(&account, "roi", &by_campaign).await?;
        assert_eq!(totals(&answer), [json!(200.0), json!(-50.0), json!(null)], "{answer}");
        assert_eq!(answer["series"][2]["reason"], "several_currencies", "{answer}");
        let answer = data(&account, "roi", &[&by_campaign[..], &[("limit", "1")]].concat()).await?;
        assert_eq!(answer["series"][1]["other"], true, "{answer}");
        assert_eq!(answer["series"][1]["reason"], "several_currencies", "{answer}");
        let answer = data(&account, "roi", &[("groupBy", "currency"), ("orderBy", "key")]).await?;
        assert_eq!(totals(&answer), [json!(null), json!(-50.0), json!(100.0)], "{answer}");
        assert_eq!(answer["series"][0]["reason"], "zero_denominator", "costs in EUR are none: {answer}");

        let (from, to) = (start.to_string(), (start + 3 * hour).to_string());
        let range = [("from", from.as_str()), ("to", to.as_str())];
        let answer = data(&account, "roi", &[&range[..], &[("interval", "hour")]].concat()).await?;
        let points: Vec<&Value> =
            answer["series"][0]["points"].as_array().into_iter().flatten().map(|point| &point["value"]).collect();
        assert_eq!(points, [&json!(200.0), &json!(-50.0), &json!(null)], "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_over_a_hundred_percent_says_why() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("over");
    let minute_ago = now_millis() - 60_000;
    let event = |(number, name)| json!({"eventName": name, "eventId": format!("e{number}"), "timestamp": minute_ago});
    let events: Vec<Value> = (1..).zip(["message_sent", "message_delivered", "message_delivered"]).map(event).collect();
    account.send_all(&events).await?;
    account.until_total(3, &[]).await?;
    let answer = data(&account, "delivery_rate", &[]).await?;
    assert_eq!(answer["series"][0]["total"], 200.0, "{answer}");
    assert_eq!(answer["warnings"][0]["code"], "over_100_percent", "{answer}");
    let detail = answer["warnings"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("deliveries of messages sent before the period"), "{detail}");
    Ok(())
}
