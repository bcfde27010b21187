//! `GET /api/asyncapi.json`: the description of the live streams.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Reply, json_bytes, openapi::OpenApi};
use http::{HeaderValue, StatusCode, header};
use lambda_http::Request;
use serde_json::{Map, Value};

const DOCUMENT: &str = include_str!("asyncapi.json");

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document
        .operation(
            Operation::GetAsyncapi,
            "Get the description of the live streams",
            "The messages of the WebSocket, as AsyncAPI 3.0",
        )
        .answer::<Map<String, Value>>(200, "An AsyncAPI document");
}

/// Answers with the AsyncAPI document.
///
/// # Errors
/// Never.
pub async fn handle(_: &(), _: Request) -> Result<Reply, ApiError> {
    let mut reply = json_bytes(StatusCode::OK, DOCUMENT.to_owned());
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use analytics_domain::live::{Changed, Differences, Frame, Totals};
    use serde_json::{Value, json};

    #[test]
    fn every_example_is_as_its_message_says() {
        let document: Value = serde_json::from_str(super::DOCUMENT).expect("is JSON");
        let messages = document["components"]["messages"].as_object().expect("there are messages");
        assert_eq!(messages.len(), 17);
        for (name, message) in messages {
            let schema = json!({"allOf": [message["payload"]], "components": document["components"]});
            let validator = jsonschema::validator_for(&schema).expect("is a schema");
            let examples = message["examples"].as_array().expect("there are examples");
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                assert!(validator.is_valid(&example["payload"]), "{name}: {example}");
            }
        }
    }

    /// The message that a frame is.
    const fn message(frame: &Frame<'_>) -> &'static str {
        match frame {
            Frame::Ready { .. } => "ready",
            Frame::Subscribed { .. } => "subscribed",
            Frame::Unsubscribed { .. } => "unsubscribed",
            Frame::Snapshot { .. } | Frame::Chart { .. } => "snapshot",
            Frame::Delta { .. } => "delta",
            Frame::Event { .. } => "event",
            Frame::Resync { .. } => "resync",
            Frame::Lagged { .. } => "lagged",
            Frame::TokenExpiring { .. } => "token_expiring",
            Frame::GoingAway { .. } => "going_away",
            Frame::Authenticated { .. } => "authenticated",
            Frame::Pong { .. } => "pong",
            Frame::Error { .. } | Frame::StreamError { .. } => "error",
        }
    }

    #[test]
    fn what_is_sent_is_as_its_message_says() {
        let document: Value = serde_json::from_str(super::DOCUMENT).expect("is JSON");
        let now = || "2026-11-24T09:30:00.000Z".to_owned();
        let totals = || Totals { since: now(), events: 3, by_name: [("message_sent", 3)].into() };
        let (stream, seq) = ("analytics", 7);
        let one = || Changed::One(Differences { series: Vec::new() });
        let several = Changed::Several { results: vec![Differences { series: Vec::new() }] };
        let frames = [
            Frame::Ready {
                connection_id: "c",
                account_id: "shop",
                role: "viewer",
                token_expires_at: now(),
                streams: vec![stream.to_owned()],
            },
            Frame::Subscribed { stream },
            Frame::Unsubscribed { stream },
            Frame::Snapshot { stream, seq, as_of: now(), totals: totals() },
            Frame::Delta { stream: "metrics/ctr", seq, as_of: now(), changed: one() },
            Frame::Delta { stream: "query/a", seq, as_of: now(), changed: several },
            Frame::Event { stream, seq, as_of: now(), events: Vec::new(), skipped: 0, totals: totals() },
            Frame::Resync { stream },
            Frame::Lagged { stream, dropped: 3 },
            Frame::TokenExpiring { token_expires_at: now() },
            Frame::GoingAway { reason: "it ends" },
            Frame::Authenticated { token_expires_at: now() },
            Frame::Pong { at: now(), streams: [(stream.to_owned(), seq)].into() },
            Frame::Error { code: "invalid_message", detail: "is none" },
            Frame::StreamError { stream, code: "unavailable", detail: "later" },
        ];
        for frame in frames {
            let name = message(&frame);
            let payload = &document["components"]["messages"][name]["payload"];
            let schema = json!({"allOf": [payload], "components": document["components"]});
            let validator = jsonschema::validator_for(&schema).expect("is a schema");
            let sent: Value = serde_json::from_str(&frame.to_json()).expect("is JSON");
            let problems: Vec<String> = validator.iter_errors(&sent).map(|problem| problem.to_string()).collect();
            assert!(problems.is_empty(), "{name}: {problems:?} in {sent}");
        }
    }
}
