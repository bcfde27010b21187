//! Whatever a function talks to, played as cheaply as possible: SQS, DynamoDB and a ClickHouse without events.

use std::convert::Infallible;

use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// A server that lives as long as this.
pub struct Stub {
    pub url: String,
    server: JoinHandle<()>,
}

impl Stub {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).ok();
                tokio::spawn(async move {
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
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

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
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
    // Frame by frame: the body is read, as it must be, and not kept.
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    let mut response = Response::new(Full::new(Bytes::from_static(reply)));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}
