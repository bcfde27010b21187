//! The function in process, on fakes of what is behind it.

use std::sync::PoisonError;

use analytics_domain::{
    access::Role,
    idempotency::{Answer, Start},
};
use analytics_testkit::{body, call};
use http::{HeaderValue, StatusCode};
use lambda_http::Body;
use serde_json::json;

use super::*;
use crate::fakes::{FakeAnswers, app};

mod bad;
mod schema;

fn with_key() -> Call {
    let mut call = call("track-events", Role::Ingest);
    call.request.headers_mut().insert("idempotency-key", HeaderValue::from_static("k"));
    call
}

#[tokio::test]
async fn the_sample_is_accepted_but_for_its_bad_event() {
    let app = app();
    let answer = handle(&app, call("track-events", Role::Ingest)).await.expect("accepted");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let mut told = body(&answer);
    let warnings = told.as_object_mut().and_then(|told| told.remove("warnings")).expect("warns of what metrics miss");
    assert_eq!(
        told,
        json!({"accepted": 3, "rejected": 1, "errors": [{"index": 3, "code": "invalid_type",
            "pointer": "/events/3/eventName", "detail": "must be a string, this is a number"}]})
    );
    let missing = |event: &str, property: &str| {
        let detail = format!(
            "{event}: {property} is missing, so built-in metrics and the dashboard leave the event out or mix it up"
        );
        json!({"code": "missing_property", "eventName": event, "property": property, "detail": detail})
    };
    assert_eq!(
        warnings,
        json!([
            missing("message_delivered", "messageKey"),
            missing("message_delivered", "audience"),
            missing("message_failed", "final"),
        ])
    );
    let names: Vec<String> = app.queue.events().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["message_sent", "message_delivered", "message_failed"]);
}

#[tokio::test]
async fn there_is_no_202_before_the_queue_has_taken_the_events() {
    let mut app = app();
    app.queue.down = true;
    let refused = handle(&app, with_key()).await.expect_err("refused");
    assert_eq!((refused.status, refused.retry_after_seconds), (StatusCode::SERVICE_UNAVAILABLE, Some(2)));
    // The next try need not wait for the claim to run out.
    assert_eq!(*app.answers.released.lock().unwrap_or_else(PoisonError::into_inner), 1);
}

#[tokio::test]
async fn the_same_key_makes_the_same_events_and_its_answer_is_noted() {
    let (first, second) = (app(), app());
    let answer = handle(&first, with_key()).await.expect("accepted");
    handle(&second, with_key()).await.expect("accepted");
    assert_eq!(first.queue.events(), second.queue.events());
    let noted = first.answers.finished.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Body::Text(text) = answer.body() else { panic!("answers are text") };
    assert_eq!(noted, [Answer { status: 202, body: text.clone() }]);
}

#[tokio::test]
async fn without_a_key_the_same_body_makes_other_events() {
    let (first, second) = (app(), app());
    handle(&first, call("track-events", Role::Ingest)).await.expect("accepted");
    handle(&second, call("track-events", Role::Ingest)).await.expect("accepted");
    assert_ne!(first.queue.events(), second.queue.events());
}

#[tokio::test]
async fn a_key_that_was_seen_before_sends_nothing_again() {
    let answered = Start::Answered(Answer { status: 202, body: "{\"accepted\":3}".to_owned() });
    for (start, status) in [(answered, 202), (Start::Running, 409), (Start::OtherBody, 422)] {
        let app = App { answers: FakeAnswers::starting(start), ..app() };
        let got = match handle(&app, with_key()).await {
            Ok(answer) => answer.status(),
            Err(refused) => refused.status,
        };
        assert_eq!(got, status);
        assert!(app.queue.events().is_empty());
    }
}
