//! Takes every batch and keeps nothing: shows what `demo load` itself can do.
//!
//! `cargo run -p demo --example sink`, then
//! `cargo run -p demo -- load --url http://127.0.0.1:8099 --token x --rate 0 --duration 10s`.

#![expect(clippy::print_stdout, reason = "a tool talks to people")]

use std::convert::Infallible;
use std::io::Read as _;

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8099").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(take)));
    }
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let (status, answer) = match count(&head.headers, &body) {
        Some(events) => (StatusCode::ACCEPTED, format!(r#"{{"accepted":{events},"rejected":0,"errors":[]}}"#)),
        None => (StatusCode::BAD_REQUEST, r#"{"code":"invalid_json"}"#.to_owned()),
    };
    let mut response = Response::new(Full::from(answer));
    *response.status_mut() = status;
    Ok(response)
}

fn count(headers: &http::HeaderMap, body: &[u8]) -> Option<usize> {
    let mut plain = Vec::new();
    let body = if headers.contains_key(header::CONTENT_ENCODING) {
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).ok()?;
        &plain
    } else {
        body
    };
    if headers.get(header::CONTENT_TYPE)? == "application/x-ndjson" {
        return Some(body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count());
    }
    serde_json::from_slice::<Batch<'_>>(body).ok().map(|batch| batch.events.len())
}
