//! Whatever is wrong with a request gets a clear 4xx that names it, and nothing else is lost.

use std::io::Write;

use analytics_domain::access::Role;
use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

async fn post(account: &Account<'_>, headers: &[(&str, &str)], body: impl Into<Body>) -> Result<(u16, Value)> {
    let request = account.stack.post("/api/events/batch").bearer_auth(account.token(Role::Ingest));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.body(body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    Ok((status.as_u16(), serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?))
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_body_that_cannot_be_used_is_refused_with_its_reason() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("bodies");
    let many = format!("[{}{{\"eventName\":\"a\"}}]", "{\"eventName\":\"a\"},".repeat(2_000));
    let bomb = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            encoder.write_all(&vec![b' '; 1024 * 1024])?;
        }
        encoder.finish()?
    };
    let gzip = ("content-encoding", "gzip");
    let packed = ("content-type", "application/gzip");
    let image = ("content-type", "image/png");
    let long_key = "k".repeat(256);
    let cases = [
        ("broken JSON", vec![JSON], b"[{\"eventName\":\"a\"".to_vec(), 400, "invalid_json"),
        ("no JSON", vec![JSON], b"hello".to_vec(), 400, "invalid_json"),
        ("NaN", vec![JSON], b"[{\"eventName\":\"a\",\"properties\":{\"n\":NaN}}]".to_vec(), 400, "invalid_json"),
        ("nothing", vec![JSON], Vec::new(), 400, "invalid_json"),
        ("a number", vec![JSON], b"5".to_vec(), 400, "invalid_body"),
        ("other shape", vec![JSON], b"{\"event\":{}}".to_vec(), 400, "invalid_body"),
        ("empty batch", vec![JSON], b"[]".to_vec(), 400, "empty_batch"),
        ("empty batch, wrapped", vec![JSON], b"{\"events\":[]}".to_vec(), 400, "empty_batch"),
        ("2,001 events", vec![JSON], many.into_bytes(), 413, "too_many_events"),
        ("over 4 MB", vec![JSON], vec![b' '; 4 * 1024 * 1024 + 1], 413, "body_too_large"),
        ("gzip bomb", vec![packed, gzip], bomb, 413, "body_too_large"),
        ("not gzip", vec![packed, gzip], b"[]".to_vec(), 400, "invalid_gzip"),
        ("unknown encoding", vec![JSON, ("content-encoding", "br")], b"[]".to_vec(), 415, "unsupported_encoding"),
        ("unknown type", vec![image], b"[]".to_vec(), 415, "unsupported_media_type"),
        ("lines as JSON", vec![JSON], b"{\"eventName\":\"a\"}\n{\"eventName\":\"b\"}".to_vec(), 400, "invalid_body"),
        ("empty key", vec![JSON, ("idempotency-key", "")], b"[]".to_vec(), 400, "invalid_idempotency_key"),
        ("long key", vec![JSON, ("idempotency-key", &long_key)], b"[]".to_vec(), 400, "invalid_idempotency_key"),
        ("key in Cyrillic", vec![JSON, ("idempotency-key", "ключ")], b"[]".to_vec(), 400, "invalid_idempotency_key"),
    ];
    for (name, headers, body, status, code) in cases {
        let (got, problem) = post(&account, &headers, body).await.context(name)?;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{name}: {problem}");
        assert!(problem["requestId"].as_str().is_some_and(|id| !id.is_empty()), "{name}");
    }
    Ok(())
}

/// Bytes that are not UTF-8 reach the function as they are only in a compressed body: whatever a gateway does to text.
#[tokio::test]
async fn a_body_that_is_not_utf_8_is_refused() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("utf8");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"[{\"eventName\":\"\xff\xfe\"}]")?;
    let (status, problem) = post(&account, &[("content-type", "application/gzip")], encoder.finish()?).await?;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_utf8")), "{problem}");
    Ok(())
}

/// Of plain text, the gateway replaces what is not UTF-8.
#[tokio::test]
async fn an_event_that_is_not_utf_8_is_never_stored_as_something_else() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("damaged");
    let cp1251 = b"\xf1\xea\xe8\xe4\xea\xe0";
    let body =
        [b"[{\"eventName\":\"a\"},{\"eventName\":\"b\",\"properties\":{\"text\":\"", &cp1251[..], b"\"}}]"].concat();
    for kind in ["application/json", "text/plain"] {
        let (status, answer) = post(&account, &[("content-type", kind)], body.clone()).await?;
        let code = if status == 202 { &answer["errors"][0]["code"] } else { &answer["code"] };
        assert_eq!(code, "invalid_utf8", "{kind}: {status} {answer}");
    }
    let line = [b"{\"eventName\":\"c\"}\n{\"eventName\":\"", &cp1251[..], b"\"}\n"].concat();
    let (status, answer) = post(&account, &[("content-type", "application/x-ndjson")], line).await?;
    assert_eq!((status, &answer["errors"][0]["code"]), (202, &json!("invalid_json")), "{answer}");
    account.until_total(1, &[("eventName", "c")]).await?;
    assert_eq!(account.total(&[("eventName", "b")]).await?, 0);
    Ok(())
}

#[tokio::test]
async fn bad_events_are_named_and_kept_while_their_neighbours_are_stored() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("neighbours");
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let huge = "x".repeat(33 * 1024);
    let bad = [
        ("5".to_owned(), "invalid_type", ""),
        ("{}".to_owned(), "required", "/eventName"),
        ("{\"eventName\":7}".to_owned(), "invalid_type", "/eventName"),
        (format!("{{\"eventName\":\"b\",\"properties\":{{\"t\":\"{huge}\"}}}}"), "too_large", ""),
        ("{\"eventName\":\"b\",\"properties\":{\"n\":1e999}}".to_owned(), "number_out_of_range", "/properties/n"),
        (format!("{{\"eventName\":\"b\",\"properties\":{{\"d\":{deep}}}}}"), "too_deep", "/properties/d"),
        ("{\"eventName\":\"b\",\"timestamp\":\"24.11.2026 10:00\"}".to_owned(), "invalid_timestamp", "/timestamp"),
        ("{\"eventName\":\"b\",\"timestamp\":\"2019-01-01T00:00:00Z\"}".to_owned(), "timestamp_too_old", "/timestamp"),
        ("{\"eventName\":\"b\",\"timestamp\":4102444800000}".to_owned(), "timestamp_in_future", "/timestamp"),
        ("{\"eventName\":\"b\",\"eventId\":\"no-time\"}".to_owned(), "timestamp_required", "/timestamp"),
        ("{\"eventName\":\"b\",\"properties\":{\"t\":\"\\ud83d\"}}".to_owned(), "invalid_string", "/properties/t"),
        ("{\"eventName\":\"b\",\"accountId\":\"other\"}".to_owned(), "account_mismatch", "/accountId"),
        ("{\"eventName\":\"b\",\"colour\":1}".to_owned(), "unknown_field", "/colour"),
        ("{\"eventName\":\"b\",\"\\ud83d\":1}".to_owned(), "invalid_string", ""),
        ("{\"eventName\":\"b\",\"context\":{\"ip\":\"x\"}}".to_owned(), "invalid_ip", "/context/ip"),
    ];
    let good = "{\"eventName\":\"good\",\"properties\":{\"kept\":true}}";
    let events: Vec<&str> = bad.iter().flat_map(|(event, _, _)| [good, event.as_str()]).collect();
    let body = format!("{{\"events\":[{}]}}", events.join(","));
    let (status, verdict) = post(&account, &[JSON], body).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{verdict}");
    assert_eq!(verdict["accepted"], bad.len());
    assert_eq!(verdict["rejected"], bad.len());
    for (place, (event, code, pointer)) in bad.iter().enumerate() {
        let error = &verdict["errors"][place];
        let event = &event[..event.len().min(80)];
        assert_eq!(error["code"], *code, "{event}");
        assert_eq!(error["index"], place * 2 + 1, "{event}");
        assert_eq!(error["pointer"], format!("/events/{}{pointer}", place * 2 + 1), "{event}");
    }
    account.until_total(bad.len() as u64, &[("eventName", "good")]).await?;
    account.until_total(bad.len() as u64, &[("status", "rejected")]).await?;
    let kept = account.search(&[("status", "rejected"), ("code", "timestamp_required")]).await?;
    assert_eq!(kept["events"][0]["event"], "{\"eventName\":\"b\",\"eventId\":\"no-time\"}", "{kept}");
    assert_eq!(account.total(&[]).await?, bad.len() as u64);
    Ok(())
}

#[tokio::test]
async fn a_broken_line_of_ndjson_costs_only_itself() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("lines");
    let body = "\u{FEFF}{\"eventName\":\"a\"}\n{\"eventName\":\n\n{\"eventName\":\"a\"}\n";
    let (status, verdict) = post(&account, &[("content-type", "application/x-ndjson")], body).await?;
    assert_eq!((status, &verdict["accepted"], &verdict["rejected"]), (202, &json!(2), &json!(1)), "{verdict}");
    assert_eq!(verdict["errors"][0]["pointer"], "/1");
    account.until_total(2, &[("eventName", "a")]).await
}

#[tokio::test]
async fn a_single_bad_event_is_refused_with_all_that_is_wrong() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("single");
    let request = stack.post("/api/events").bearer_auth(account.token(Role::Ingest));
    let answer = request.json(&json!({"eventName": "", "timestamp": "soon", "colour": 1})).send().await?;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await?;
    let pointers: Vec<_> = problem["errors"].as_array().context("errors")?.iter().map(|e| &e["pointer"]).collect();
    assert_eq!(pointers, ["/colour", "/eventName", "/timestamp"], "{problem}");
    Ok(())
}

#[tokio::test]
async fn a_search_that_makes_no_sense_is_refused_by_parameter() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("senseless");
    for (parameters, status, code) in [
        (vec![("limit", "5000")], 422, "out_of_range"),
        (vec![("from", "soon")], 422, "invalid_timestamp"),
        (vec![("from", "2026-02-01T00:00:00Z"), ("to", "2026-01-01T00:00:00Z")], 422, "invalid_range"),
        (vec![("colour", "red")], 422, "unknown_parameter"),
        (vec![("property.a[like]", "x")], 422, "unknown_operator"),
        (vec![("cursor", "';DROP TABLE events;--")], 400, "invalid_cursor"),
    ] {
        let request = stack.get("/api/events/search").bearer_auth(account.token(Role::Viewer)).query(&parameters);
        let answer = request.send().await?;
        assert_eq!(answer.status(), status, "{parameters:?}");
        let problem: Value = answer.json().await?;
        let codes = [&problem["code"], &problem["errors"][0]["code"]];
        assert!(codes.contains(&&json!(code)), "{parameters:?}: {problem}");
    }
    Ok(())
}
