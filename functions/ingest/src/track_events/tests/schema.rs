//! Events as the users' own systems write them.

use analytics_domain::access::Role;
use analytics_runtime::Call;
use analytics_testkit::{body, call};
use http::{HeaderValue, StatusCode, header};
use lambda_http::Body;
use serde_json::{Value, json};

use crate::{fakes::app, track_events::handle};

/// What became of a body: status and answer, and what is in the queue.
pub(super) async fn send(kind: &'static str, sent: impl Into<Body>) -> (u16, Value, Vec<(String, String)>) {
    let app = app();
    let (status, answer) = match handle(&app, with_body(kind, sent)).await {
        Ok(answer) => (answer.status(), body(&answer)),
        Err(refused) => (refused.status, body(&refused.into_reply("r"))),
    };
    (status.as_u16(), answer, app.queue.events())
}

pub(super) fn with_body(kind: &'static str, sent: impl Into<Body>) -> Call {
    let mut call = call("track-events", Role::Ingest);
    call.request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    *call.request.body_mut() = sent.into();
    call
}

/// The one error of a batch's only event: code and pointer.
async fn only(event: &Value) -> (String, String) {
    let (status, answer, queued) = send("application/json", json!([event]).to_string()).await;
    assert_eq!((status, queued.len()), (422, 0), "{event} {answer}");
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    assert_eq!(errors.len(), 1, "{event} {answer}");
    let text = |key: &str| errors[0][key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("pointer").replacen("/0", "", 1))
}

fn users_event() -> Value {
    json!({"eventId": "e1", "accountId": "unit", "sessionId": "s1", "eventType": "message", "eventName": "message_sent",
        "timestamp": "2026-11-24T09:29:00Z", "properties": {"campaignId": "123"},
        "context": {"ip": "203.0.113.9", "userAgent": "x", "locale": "zh-CN"}})
}

#[tokio::test]
async fn the_users_event_is_taken_as_it_stands() {
    let event = users_event();
    let lines = format!("{event}\n{event}\n");
    for (kind, sent) in [
        ("application/json", json!([event, event]).to_string()),
        ("application/json", json!({"events": [event, event]}).to_string()),
        ("application/x-ndjson", lines),
    ] {
        let (status, answer, queued) = send(kind, sent).await;
        assert_eq!((status, &answer["accepted"]), (202, &json!(2)), "{answer}");
        assert_eq!(queued[0], ("message_sent".to_owned(), "e1".to_owned()));
    }
}

#[tokio::test]
async fn an_event_that_was_found_can_be_sent_again() {
    let mut event = users_event();
    for (field, value) in [
        ("receivedAt", json!("2026-11-24T09:29:01.000Z")),
        ("clockSkewMs", json!(-500)),
        ("correctedTimestamp", json!("2026-11-24T09:28:59.500Z")),
        ("userId", json!("u1")),
    ] {
        event[field] = value;
    }
    let (status, answer, queued) = send("application/json", json!([event]).to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(queued, [("message_sent".to_owned(), "e1".to_owned())]);
}

#[tokio::test]
async fn an_event_of_another_account_is_refused() {
    for account in [json!("shop"), json!("Unit"), json!(" unit"), json!(7)] {
        let refused = only(&json!({"eventName": "a", "accountId": account})).await;
        assert_eq!(refused, ("account_mismatch".to_owned(), "/accountId".to_owned()), "{account}");
    }
    let (status, ..) = send("application/json", json!([{"eventName": "a", "accountId": null}]).to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_context_that_makes_no_sense_is_refused_by_its_field() {
    for (context, code, pointer) in [
        (json!("x"), "invalid_type", "/context"),
        (json!([]), "invalid_type", "/context"),
        (json!({"ip": "localhost"}), "invalid_ip", "/context/ip"),
        (json!({"ip": "203.0.113.9:80"}), "invalid_ip", "/context/ip"),
        (json!({"ip": "203.0.113.256"}), "invalid_ip", "/context/ip"),
        (json!({"ip": 7}), "invalid_type", "/context/ip"),
        (json!({"userAgent": "x".repeat(257)}), "too_long", "/context/userAgent"),
        (json!({"userAgent": "a\nb"}), "invalid_character", "/context/userAgent"),
        (json!({"locale": "<script>"}), "invalid_locale", "/context/locale"),
        (json!({"locale": "zh--CN"}), "invalid_locale", "/context/locale"),
        (json!({"locale": "7"}), "invalid_locale", "/context/locale"),
        (json!({"locale": true}), "invalid_type", "/context/locale"),
        (json!({"user_agent": "x"}), "unknown_field", "/context/user_agent"),
        (json!({"page": {"url": "x"}}), "unknown_field", "/context/page"),
    ] {
        let refused = only(&json!({"eventName": "a", "context": context})).await;
        assert_eq!(refused, (code.to_owned(), pointer.to_owned()), "{context}");
    }
}

#[tokio::test]
async fn the_field_that_is_meant_is_named() {
    for (event, meant) in [
        (json!({"eventName": "a", "event_type": "b"}), "\"eventType\""),
        (json!({"eventName": "a", "acountId": "unit"}), "\"accountId\""),
        (json!({"eventName": "a", "TimeStamp": 1}), "\"timestamp\""),
        (json!({"eventName": "a", "propertys": {}}), "\"properties\""),
        (json!({"eventName": "a", "ip": "203.0.113.9"}), "context"),
        (json!({"eventName": "a", "context": {"user_agent": "x"}}), "\"userAgent\""),
        (json!({"eventName": "a", "context": {"local": "x"}}), "\"locale\""),
    ] {
        let (_, answer, _) = send("application/json", json!([event]).to_string()).await;
        let error = &answer["errors"][0];
        assert_eq!(error["code"], "unknown_field", "{answer}");
        assert!(error["detail"].as_str().is_some_and(|detail| detail.contains(meant)), "{event}: {error}");
    }
}

#[tokio::test]
async fn numbers_are_ids_by_their_decimal_text() {
    for (number, id) in [
        ("7", "7"),
        ("-1001234567890", "-1001234567890"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("0", "0"),
        ("-0", "0"),
    ] {
        let event = format!(
            r#"[{{"eventName":"a","timestamp":1795512600000,"eventId":{number},"userId":{number},"sessionId":{number}}}]"#
        );
        let (status, answer, queued) = send("application/json", event).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        assert_eq!(queued, [("a".to_owned(), id.to_owned())]);
    }
    for field in ["eventId", "userId", "sessionId"] {
        for (value, code) in [
            ("1.0", "invalid_type"),
            ("1e3", "invalid_type"),
            ("18446744073709551616", "number_out_of_range"),
            ("-9223372036854775809", "number_out_of_range"),
            ("true", "invalid_type"),
            ("{}", "invalid_type"),
        ] {
            let event = format!(r#"[{{"eventName":"a","timestamp":1795512600000,"{field}":{value}}}]"#);
            let (status, answer, _) = send("application/json", event).await;
            let error = &answer["errors"][0];
            assert_eq!((status, &error["code"]), (422, &json!(code)), "{field} {value}: {answer}");
            assert_eq!(error["pointer"], format!("/0/{field}"));
        }
    }
}

#[tokio::test]
async fn canonically_equal_names_and_ids_are_equal() {
    let event = |name: &str, id: &str| json!({"eventName": name, "eventId": id, "timestamp": 1_795_512_600_000_i64});
    let events = json!([event("мои\u{306}", "e\u{301}"), event("мой", "é")]);
    let (_, _, queued) = send("application/json", events.to_string()).await;
    assert_eq!(queued[0], queued[1]);
    assert_eq!(queued[0], ("мой".to_owned(), "é".to_owned()));
}
