//! Finding events: by what they are, what they say, and page by page.

use std::collections::BTreeSet;

use analytics_platform::now_millis;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

const EVIL: &str = "x' OR 1=1 --";

fn ids(found: &Value) -> Vec<&str> {
    let events = found["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().filter_map(|event| event["eventId"].as_str()).collect()
}

async fn stock(account: &Account<'_>) -> Result<()> {
    let now = now_millis();
    let at = |minutes: i64| now - minutes * 60_000;
    account
        .send_all(&[
            json!({"eventId": "zh", "eventName": "message_sent", "timestamp": at(1), "sessionId": "s1", "userId": "u1",
                "properties": {"campaignId": "123", "text": "限时优惠：水晶项链今天八折", "price": 10.5, "tags": ["vip", "cn"]}}),
            json!({"eventId": "ru", "eventName": "message_sent", "timestamp": at(2), "sessionId": "s1",
                "properties": {"campaignId": 123, "text": "Только СЕГОДНЯ скидка 20%", "price": 10, "sent": true}}),
            json!({"eventId": "en", "eventName": "message_read", "timestamp": at(3), "sessionId": "s2",
                "properties": {"campaignId": "124", "day": "2026-11-24", "hour": "2026-11-24T09:30:00Z", "text": "Crystal necklace, 100% genuine_offer", "price": 9.99}}),
            json!({"eventId": "ar", "eventType": "webinar", "eventName": "attended", "timestamp": at(60 * 24 * 40),
                "properties": {"text": "عرض خاص 🎁", "place": {"city": "Дубай", "zip": "00123"}, "price": "10"}}),
            json!({"eventId": EVIL, "eventName": "evil", "timestamp": at(5),
                "properties": {EVIL: EVIL, "quote": "say \"hi\"\nback\\slash 'single' `tick` {p0:String} ?"}}),
        ])
        .await?;
    account.until_total(5, &[]).await
}

#[tokio::test]
async fn finds_events_by_all_that_they_hold() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("search");
    stock(&account).await?;
    let evil_property = format!("property.{EVIL}");
    for (parameters, expected) in [
        (vec![("eventName", "message_sent")], vec!["zh", "ru"]),
        (vec![("eventName", "message_read,attended")], vec!["en", "ar"]),
        (vec![("eventType", "webinar")], vec!["ar"]),
        (vec![("eventType", "message")], vec!["zh", "ru", "en"]),
        (vec![("eventId", "ru")], vec!["ru"]),
        (vec![("sessionId", "s1")], vec!["zh", "ru"]),
        (vec![("userId", "u1")], vec!["zh"]),
        (vec![("property.campaignId", "123")], vec!["zh", "ru"]),
        (vec![("property.campaignId", "123.0")], vec!["ru"]),
        (vec![("property.campaignId[ne]", "123"), ("eventType", "message")], vec!["en"]),
        (vec![("property.price", "10")], vec!["ru", "ar"]),
        (vec![("property.price", "10.50")], vec!["zh"]),
        (vec![("property.price[gte]", "9.99"), ("property.price[lt]", "10.5")], vec!["ru", "en"]),
        (vec![("property.price[gt]", "10")], vec!["zh"]),
        (vec![("property.sent", "true")], vec!["ru"]),
        (vec![("property.day", "2026-11-24")], vec!["en"]),
        (vec![("property.hour", "2026-11-24T09:30:00Z")], vec!["en"]),
        (vec![("property.hour[gte]", "2026-11-24")], vec!["en"]),
        (vec![("property.tags", "cn")], vec!["zh"]),
        (vec![("property.place.city", "Дубай")], vec!["ar"]),
        (vec![("property.place.zip", "00123")], vec!["ar"]),
        (vec![("property.place.zip", "123")], vec![]),
        (vec![("property.tags[exists]", "true")], vec!["zh"]),
        (vec![("property.price[exists]", "false")], vec![EVIL]),
        (vec![("property.text[contains]", "сегодня")], vec!["ru"]),
        (vec![("q", "水晶")], vec!["zh"]),
        (vec![("q", "项链今")], vec!["zh"]),
        (vec![("q", "晶")], vec!["zh"]),
        (vec![("q", "сегодня")], vec!["ru"]),
        (vec![("q", "CRYSTAL")], vec!["en"]),
        (vec![("q", "genuine necklace")], vec!["en"]),
        (vec![("q", "\"genuine necklace\"")], vec![]),
        (vec![("q", "100%")], vec!["en"]),
        (vec![("q", "0%")], vec!["ru", "en"]),
        (vec![("q", "genuine_offer")], vec!["en"]),
        (vec![("q", "genuinexoffer")], vec![]),
        (vec![("q", "عرض")], vec!["ar"]),
        (vec![("q", "🎁")], vec!["ar"]),
        (vec![("q", "back\\slash")], vec![EVIL]),
        (vec![(evil_property.as_str(), EVIL)], vec![EVIL]),
        (vec![("property.quote", "say \"hi\"\nback\\slash 'single' `tick` {p0:String} ?")], vec![EVIL]),
        (vec![("eventId", EVIL)], vec![EVIL]),
        (vec![("sessionId", EVIL)], vec![]),
        (vec![("eventName", "nothing_like_it")], vec![]),
    ] {
        let mut asked = parameters.clone();
        asked.push(("count", "true"));
        let found = account.search(&asked).await.with_context(|| format!("{parameters:?}"))?;
        assert_eq!(ids(&found), expected, "{parameters:?}");
        assert_eq!(found["total"], expected.len(), "{parameters:?}");
    }
    Ok(())
}

#[tokio::test]
async fn gives_back_what_was_sent_and_what_was_added() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("enriched");
    let sent_at = now_millis() - 90_000;
    let request = stack.post("/api/events/batch").bearer_auth(account.token(analytics_domain::access::Role::Ingest));
    let properties = json!({"z": 1, "a": [1, 2.5, null, {"b": "ж"}], "big": 9_007_199_254_740_993_i64, "flag": false});
    let body = json!({"sentAt": sent_at, "events": [
        {"eventId": "e", "eventName": "message_sent", "timestamp": sent_at - 1_000, "properties": properties}]});
    let request = request.header("accept-language", "zh-CN,zh;q=0.9").header("user-agent", "sender/1.0").json(&body);
    assert_eq!(request.send().await?.status(), 202);
    account.until_total(1, &[]).await?;
    let found = account.search(&[]).await?;
    let event = &found["events"][0];
    assert_eq!(event["properties"], properties);
    assert_eq!(event["eventType"], "message");
    assert_eq!(event["accountId"], account.id);
    assert_eq!(event["context"], json!({"ip": "127.0.0.1", "userAgent": "sender/1.0", "locale": "zh-CN"}));
    let skew = event["clockSkewMs"].as_i64().context("a skew was measured")?;
    assert!((90_000..150_000).contains(&skew), "{skew}");
    Ok(())
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_events_keep_arriving() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("pages");
    let now = now_millis();
    // Many share a millisecond and a name, so that only the id orders them; some are a year old.
    let event = |n: i64, at: i64| json!({"eventId": format!("e{n:04}"), "eventName": "page", "timestamp": at});
    let old: Vec<Value> =
        (0..300).map(|n| event(n, now - 1_000 - (n / 40) * if n < 200 { 7 } else { 40 * 86_400_000 })).collect();
    account.send_all(&old).await?;
    account.until_total(300, &[]).await?;
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0.. {
        let mut parameters = vec![("limit", "37")];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let found = account.search(&parameters).await?;
        seen.extend(ids(&found).into_iter().map(str::to_owned));
        if page < 3 {
            account.send_all(&[event(1_000 + page, now + 1_000 + page)]).await?;
            account.until_total(301 + page.unsigned_abs(), &[]).await?;
        }
        cursor = found["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        assert_eq!(ids(&found).len(), 37);
    }
    assert_eq!(seen.len(), 300);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 300);
    assert!(seen.iter().all(|id| !id.starts_with("e1")), "what arrived later is on no later page");
    Ok(())
}

#[tokio::test]
async fn the_first_accepted_copy_of_an_event_is_the_one_that_counts() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("copies");
    let at = now_millis();
    let copy =
        |colour: &str| json!({"eventId": "x", "eventName": "seen", "timestamp": at, "properties": {"colour": colour}});
    account.send_all(&[copy("red")]).await?;
    account.until_total(1, &[]).await?;
    account.send_all(&[copy("blue"), copy("green")]).await?;
    account.send_all(&[json!({"eventName": "marker"})]).await?;
    account.until_total(1, &[("eventName", "marker")]).await?;
    for (colour, expected) in [("red", 1), ("blue", 0), ("green", 0)] {
        let found = account.search(&[("property.colour", colour), ("count", "true")]).await?;
        assert_eq!(ids(&found).len(), expected, "{colour}");
        assert_eq!(found["total"], expected, "{colour}");
    }
    assert_eq!(account.search(&[("eventName", "seen")]).await?["events"][0]["properties"]["colour"], "red");
    Ok(())
}

#[tokio::test]
async fn a_page_of_a_thousand_events_with_the_longest_names_and_ids_is_given() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("long");
    let (now, name) = (now_millis(), "名".repeat(128));
    let event =
        |n: i64| json!({"eventId": format!("{n:04}{}", "号".repeat(124)), "eventName": name, "timestamp": now - n});
    account.send_all(&(0..1_000).map(event).collect::<Vec<_>>()).await?;
    account.until_total(1_000, &[]).await?;
    let found = account.search(&[("limit", "1000"), ("eventName", &name)]).await?;
    assert!(ids(&found).iter().enumerate().all(|(place, id)| id.starts_with(&format!("{place:04}"))));
    assert_eq!(ids(&found).len(), 1_000);
    Ok(())
}
