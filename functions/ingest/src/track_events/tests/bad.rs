//! Bodies, keys and events with something wrong: what is refused, how far, and in how large an answer.

use analytics_domain::access::Role;
use analytics_testkit::{body, call};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::schema::send;
use crate::{fakes::app, track_events::handle};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
/// Room that an answer has in the memory of answers, which is less than Lambda or a gateway has.
const ANSWER_BYTES: usize = 400_000;

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused_and_nothing_is_sent() {
    let name = || HeaderName::from_static("idempotency-key");
    let longest = "k".repeat(255);
    let long = "k".repeat(256);
    for key in [&b""[..], b"\xff", "é".as_bytes(), "ключ".as_bytes(), b"a\tb", long.as_bytes()] {
        let app = app();
        let mut call = call("track-events", Role::Ingest);
        call.request.headers_mut().insert(name(), HeaderValue::from_bytes(key).expect("is a value"));
        let refused = handle(&app, call).await.expect_err("refused");
        assert_eq!((refused.status, refused.code), (StatusCode::BAD_REQUEST, "invalid_idempotency_key"), "{key:?}");
        assert!(app.queue.events().is_empty());
    }
    let mut twice = call("track-events", Role::Ingest);
    twice.request.headers_mut().append(name(), HeaderValue::from_static("a"));
    twice.request.headers_mut().append(name(), HeaderValue::from_static("b"));
    assert_eq!(handle(&app(), twice).await.expect_err("refused").code, "invalid_idempotency_key");
    for key in [&*longest, "a key", "~"] {
        let mut call = call("track-events", Role::Ingest);
        call.request.headers_mut().insert(name(), HeaderValue::from_str(key).expect("is a value"));
        assert_eq!(handle(&app(), call).await.expect("taken").status(), StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn an_event_whose_text_was_not_utf_8_is_refused_alone() {
    // As a gateway hands it on.
    let event = r#"{"eventName":"a","properties":{"text":"��"}}"#;
    let good = r#"{"eventName":"b","properties":{"text":"限时 \ufffd"}}"#;
    let (status, answer, queued) = send(JSON, format!("[{good},{event}]")).await;
    assert_eq!((status, queued.len()), (202, 1), "{answer}");
    let error = &answer["errors"][0];
    assert_eq!((&error["code"], &error["pointer"]), (&json!("invalid_utf8"), &json!("/1/properties")), "{answer}");
    for event in [
        r#"{"eventName":"�"}"#,
        r#"{"eventName":"a","userId":"�"}"#,
        r#"{"eventName":"a","context":{"userAgent":"�"}}"#,
    ] {
        let (status, answer, _) = send(JSON, format!("[{event}]")).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (422, &json!("invalid_utf8")), "{answer}");
    }
    // What arrives as bytes is as it was sent.
    let (status, answer, queued) = send(LINES, event.as_bytes().to_vec()).await;
    assert_eq!((status, queued.len()), (202, 1), "{answer}");
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    let event = r#"{"eventName":"a"}"#;
    for (kind, sent, count) in [
        (LINES, format!("\u{FEFF}{event}\n{event}"), 2),
        (LINES, format!("\u{FEFF}{event}\r\n\u{FEFF}{event}\r\n\u{FEFF}"), 2),
        (JSON, format!("\u{FEFF}[{event}]"), 1),
    ] {
        let (status, answer, queued) = send(kind, sent).await;
        assert_eq!((status, queued.len(), &answer["rejected"]), (202, count, &json!(0)), "{answer}");
    }
}

#[tokio::test]
async fn half_a_character_in_a_fields_name_costs_only_its_event() {
    let good = r#"{"eventName":"a"}"#;
    for bad in [
        r#"{"eventName":"b","\ud83d":1}"#,
        r#"{"\ude00\ud83d":{"\ud83d":[]},"eventName":"b"}"#,
        r#"{"eventName":"b","context":{"\ud83d":1}}"#,
        r#"{"eventName":"b","properties":{"\ud83d":1}}"#,
        r#"{"eventName":"b","properties":{"a":{"b":[{"\ud83dx":1}]}}}"#,
    ] {
        let (status, answer, queued) = send(JSON, format!("[{good},{bad},{good}]")).await;
        assert_eq!((status, queued.len()), (202, 2), "{bad} {answer}");
        let error = &answer["errors"][0];
        assert_eq!((&error["code"], &error["index"]), (&json!("invalid_string"), &json!(1)), "{bad} {answer}");
    }
}

#[tokio::test]
async fn lines_that_are_sent_as_one_json_value_are_told_how() {
    for sent in [
        "{\"eventName\":\"a\"}\n{\"eventName\":\"b\"}\n",
        "{\"eventName\":\"a\"}{\"eventName\":\"b\"}",
        "{\"events\":[]}\n{\"eventName\":\"b\"}",
    ] {
        let (status, answer, _) = send(JSON, sent).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_body")), "{sent}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains(LINES)), "{answer}");
    }
}

#[tokio::test]
async fn a_time_in_seconds_is_told_so() {
    for field in ["timestamp", "sentAt"] {
        for seconds in ["1795512600", "\"1795512600\"", "1795512600.5"] {
            let (_, answer, _) = send(JSON, format!(r#"[{{"eventName":"a","{field}":{seconds}}}]"#)).await;
            let error = &answer["errors"][0];
            assert_eq!(
                (&error["code"], &error["pointer"]),
                (&json!("invalid_timestamp"), &json!(format!("/0/{field}")))
            );
            let detail = error["detail"].as_str().unwrap_or_default();
            assert!(detail.contains("looks like seconds") && detail.contains("(1795512600"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_request_whose_clock_makes_no_sense_is_refused_once() {
    let (status, answer, queued) =
        send(JSON, r#"{"sentAt":1795512600,"events":[{"eventName":"a"},{"eventName":"b"}]}"#).await;
    assert_eq!((status, queued.len()), (422, 0));
    assert_eq!(answer["errors"].as_array().map_or(0, Vec::len), 1, "{answer}");
    let error = &answer["errors"][0];
    assert_eq!((&error["code"], &error["pointer"]), (&json!("invalid_timestamp"), &json!("/sentAt")));
    assert!(error["detail"].as_str().is_some_and(|detail| detail.contains("looks like seconds")), "{answer}");
}

/// An event with as much wrong as can be, and the longest of everything.
fn bad_event() -> Value {
    let name = "\u{1}".repeat(300);
    let mut event = json!({"eventName": name, "eventType": name, "sessionId": name, "userId": name, "eventId": name,
        "accountId": name, "timestamp": name, "sentAt": "x", "context": {"ip": name, "userAgent": name, "locale": name}});
    event["properties"] = json!({"\u{1}".repeat(300): 1});
    event["context"][&name] = json!(1);
    event[&name] = json!(1);
    event
}

#[tokio::test]
async fn a_verdict_fits_whatever_is_wrong_and_names_every_rejected_event() {
    let small = json!({"eventName": 7, "eventType": 7, "timestamp": "x", "x": 1});
    let mut events = vec![small; 1_999];
    events.insert(1, json!({"eventName": "good"}));
    let (status, answer, queued) = send(JSON, Value::from(events).to_string()).await;
    assert_eq!((status, queued.len()), (202, 1));
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(1), &json!(1_999)));
    let listed = answer["errors"].as_array().map_or(0, Vec::len);
    assert_eq!((listed, &answer["errorsOmitted"]), (100, &json!(1_999 * 4 - 100)));
    let rejected: Vec<usize> = (0..2_000).filter(|index| *index != 1).collect();
    assert_eq!(answer["rejectedIndexes"], json!(rejected));
    assert!(answer.to_string().len() < ANSWER_BYTES, "{} bytes", answer.to_string().len());

    let mut events = vec![bad_event(); 100];
    let (status, answer, _) = send(JSON, Value::from(events.clone()).to_string()).await;
    assert_eq!((status, answer["errors"].as_array().map_or(0, Vec::len)), (422, 100));
    assert!(answer["errorsOmitted"].as_u64().is_some_and(|omitted| omitted >= 1_000), "{}", answer["errorsOmitted"]);
    assert!(answer.to_string().len() < ANSWER_BYTES, "{} bytes", answer.to_string().len());

    events.push(json!({"eventName": "good"}));
    let (status, answer, _) = send(JSON, Value::from(events).to_string()).await;
    assert_eq!((status, answer["rejectedIndexes"].as_array().map_or(0, Vec::len)), (202, 100));
    assert!(answer.to_string().len() < ANSWER_BYTES, "{} bytes", answer.to_string().len());
}

#[tokio::test]
async fn a_short_verdict_lists_everything() {
    let (status, answer, _) = send(JSON, r#"[{"eventName":"a"},{"eventName":7}]"#).await;
    assert_eq!((status, answer["errors"].as_array().map_or(0, Vec::len)), (202, 1));
    assert_eq!((&answer["errorsOmitted"], &answer["rejectedIndexes"]), (&Value::Null, &Value::Null));
    let app = app();
    let answer = handle(&app, call("track-events", Role::Ingest)).await.expect("accepted");
    assert_eq!(body(&answer)["errorsOmitted"], Value::Null);
}
