//! `POST /api/events`: one event in.

use analytics_domain::{access::Operation, event::parse_single, time};
use analytics_http::{ApiError, FieldError, Reply, accepted, openapi::OpenApi};
use analytics_runtime::Call;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    accept::{self, Answers, App, SealedQueue, Taken},
    schema::Event,
};

/// The answer to an accepted event.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AcceptedEvent")]
struct Accepted {
    event_id: String,
    #[schemars(extend("format" = "date-time"))]
    timestamp: String,
}

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let summary = "Send one event";
    let description = "An event that is answered with 202 is safe, and will be in every answer exactly once. The same account, \
                       eventName, timestamp and eventId are the same event: sending it again changes nothing.";
    accept::describe(&mut document.operation(Operation::TrackEvent, summary, description))
        .body::<Event>()
        .answer::<Accepted>(202, "The event is safe")
        .sends(202, "Idempotency-Replayed", "true, if this is the answer of an earlier request with the same key");
}

/// Takes one event.
///
/// # Errors
/// If the request cannot be read or holds a bad event; or the queue is down.
pub async fn handle<Q: SealedQueue, A: Answers>(app: &App<Q, A>, call: Call) -> Result<Reply, ApiError> {
    accept::handle(app, &call, Operation::TrackEvent, parse_single, answer).await
}

fn answer(taken: Taken) -> Result<Reply, ApiError> {
    match taken.first {
        Some((event_id, timestamp)) => accepted(&Accepted { event_id, timestamp: time::format(timestamp) }),
        None => {
            let errors = FieldError::of_events(None, taken.rejections);
            Err(ApiError::invalid("the event was not accepted: see errors", errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use analytics_domain::access::Role;
    use analytics_testkit::{answer, body, call, request};
    use http::StatusCode;

    use super::*;
    use crate::fakes::app;

    #[tokio::test]
    async fn the_sample_is_accepted_and_queued() {
        let app = app();
        let answer = handle(&app, call("track-event", Role::Ingest)).await.expect("accepted");
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(body(&answer)["timestamp"], "2026-11-24T09:30:00.000Z");
        let id = body(&answer)["eventId"].as_str().map(str::to_owned);
        assert_eq!(app.queue.events(), [("message_sent".to_owned(), id.expect("an id was given"))]);
    }

    #[tokio::test]
    async fn a_viewer_sends_nothing() {
        let app = app();
        let request = request("track-event", Role::Viewer);
        let refused = answer(Operation::TrackEvent, request, |call| handle(&app, call)).await;
        assert_eq!((refused.status(), &body(&refused)["code"]), (StatusCode::FORBIDDEN, &"role_forbidden".into()));
        assert!(app.queue.events().is_empty());
    }

    #[tokio::test]
    async fn the_users_event_is_taken_as_it_stands() {
        let app = app();
        let mut call = call("track-event", Role::Ingest);
        let event = r#"{"eventId":"e1","accountId":"unit","sessionId":"s1","eventType":"message",
            "eventName":"message_sent","timestamp":"2026-11-24T09:29:00Z","properties":{"campaignId":"123"},
            "context":{"ip":"203.0.113.9","userAgent":"x","locale":"zh-CN"}}"#;
        *call.request.body_mut() = event.into();
        let answer = handle(&app, call).await.expect("accepted");
        assert_eq!((answer.status(), &body(&answer)["eventId"]), (StatusCode::ACCEPTED, &"e1".into()));
        assert_eq!(app.queue.events(), [("message_sent".to_owned(), "e1".to_owned())]);
    }

    #[tokio::test]
    async fn an_event_of_another_account_is_refused() {
        let app = app();
        let mut call = call("track-event", Role::Ingest);
        *call.request.body_mut() = r#"{"eventName":"a","accountId":"shop"}"#.into();
        let refused = handle(&app, call).await.expect_err("refused");
        assert_eq!((refused.status, &*refused.errors[0].code), (StatusCode::UNPROCESSABLE_ENTITY, "account_mismatch"));
        assert_eq!(refused.errors[0].pointer.as_deref(), Some("/accountId"));
    }
}
