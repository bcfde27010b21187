//! `GET /api/asyncapi.json`: the description of the live streams.

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Reply, json_bytes, openapi::Document};
use http::{HeaderValue, StatusCode, header};
use lambda_http::Request;
use serde_json::{Map, Value};

const DOCUMENT: &str = include_str!("asyncapi.json");

/// What the API's document says of it.
pub fn describe(document: &mut Document) {
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
}
