//! Whatever a function talks to, played as cheaply as possible: SQS, DynamoDB and a ClickHouse without events. Messages to
//! SQS can be kept.

use std::convert::Infallible;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

/// A server that lives as long as this.
pub struct Stub {
    pub url: String,
    server: JoinHandle<()>,
}

impl Stub {
    /// A server that reads what it is sent and keeps nothing.
    pub async fn start() -> Result<Self> {
        Self::serve(None).await
    }

    /// A server that hands over the bodies of the messages that are sent to SQS.
    pub async fn keeping_messages() -> Result<(Self, UnboundedReceiver<String>)> {
        let (sender, messages) = unbounded_channel();
        Ok((Self::serve(Some(sender)).await?, messages))
    }

    async fn serve(messages: Option<UnboundedSender<String>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).ok();
                let messages = messages.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(messages.clone(), request));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Ok(Self { url, server })
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    messages: Option<UnboundedSender<String>>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let kept = messages.filter(|_| target == "AmazonSQS.SendMessage");
    let (kind, reply): (_, &'static [u8]) = match target {
        "AmazonSQS.SendMessage" => (
            "application/x-amz-json-1.0",
            br#"{"MD5OfMessageBody":"00000000000000000000000000000000","MessageId":"5fea7756-0ea4-451a-a703-a558b933e274"}"#,
        ),
        "AmazonSQS.GetQueueAttributes" => {
            ("application/x-amz-json-1.0", br#"{"Attributes":{"ApproximateNumberOfMessages":"0"}}"#)
        }
        target if target.starts_with("DynamoDB") => ("application/x-amz-json-1.0", b"{}"),
        // ClickHouse: an insert is taken, a question is answered with no rows.
        _ => ("application/octet-stream", b""),
    };
    match kept {
        Some(messages) => {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            if let Ok(message) = message_body(&body) {
                messages.send(message).ok();
            }
        }
        // Frame by frame: the body is read, as it must be, and not kept.
        None => while let Some(Ok(_)) = request.body_mut().frame().await {},
    }
    let mut response = Response::new(Full::new(Bytes::from_static(reply)));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}

/// The message in a call of `SendMessage`.
fn message_body(call: &[u8]) -> Result<String> {
    let call: Value = serde_json::from_slice(call)?;
    Ok(call["MessageBody"].as_str().context("a message has a body")?.to_owned())
}
