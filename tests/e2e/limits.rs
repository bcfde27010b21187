//! The local stack holds the limits of AWS, so that tests meet them.

use analytics_domain::access::Role;
use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use tests::{socket::Socket, stack::Stack};

#[tokio::test]
async fn a_request_is_as_large_as_lambda_and_the_gateway_carry() -> Result<()> {
    let stack = Stack::shared().await;
    let token = stack.account("limits").token(Role::Ingest);
    let send = async |kind: &str, body: Vec<u8>| -> Result<StatusCode> {
        let request = stack.post("/api/events/batch").bearer_auth(&token).header("content-type", kind);
        Ok(request.body(body).send().await?.status())
    };
    // The function itself refuses these: they reach it.
    assert_eq!(send("application/json", vec![b'x'; 5_000_000]).await?, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send("application/json", b"[]".to_vec()).await?, StatusCode::BAD_REQUEST);
    // These do not: quotes double on their way, and base64 adds a third.
    for (kind, body) in [
        ("application/json", vec![b'"'; 3_200_000]),
        ("application/gzip", vec![0; 4_800_000]),
        ("application/json", vec![b' '; 11_000_000]),
    ] {
        let request = stack.post("/api/events/batch").bearer_auth(&token).header("content-type", kind);
        let answer = request.body(body).send().await?;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(!answer.headers().contains_key("x-request-id"), "the function has answered");
    }
    Ok(())
}

#[tokio::test]
async fn a_frame_over_its_limit_ends_the_connection() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("limits");
    let query = format!("token={}", account.token(Role::Viewer));
    for (padding, stays) in [(15_000, true), (33_000, false), (140_000, false)] {
        let mut socket = Socket::open(&stack.setting("LIVE_URL"), &query).await?;
        socket.expect("ready").await?;
        socket.say(&json!({"action": "ping", "padding": "x".repeat(padding)})).await?;
        assert_eq!(socket.hear().await.is_ok(), stays, "{padding} bytes");
    }
    Ok(())
}
