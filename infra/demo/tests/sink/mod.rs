//! A small server that takes batches as the API does, or misbehaves as told.

use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What to do with a request instead of simply taking its events.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answer with this status, and `Retry-After` if there is a value.
    Status(u16, Option<&'static str>),
    /// Close the connection before looking at the events.
    Drop,
    /// Take the events, then close the connection without an answer.
    TakeAndDrop,
    /// Take all events but those at these positions.
    Reject(Vec<usize>),
    /// Take nothing, with 422 and every event named.
    RejectAll,
}

/// Identity of an event: name, time, id.
pub type Key = (String, String, String);

#[derive(Default)]
pub struct Seen {
    pub faults: VecDeque<Fault>,
    /// How often each event was taken.
    pub taken: HashMap<Key, u64>,
    pub requests: u64,
    pub largest_batch: usize,
    pub last_headers: http::HeaderMap,
    pub in_flight: usize,
    pub most_in_flight: usize,
}

#[derive(Clone)]
pub struct Sink {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Sink {
    pub async fn start(faults: impl IntoIterator<Item = Fault>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen { faults: faults.into_iter().collect(), ..Seen::default() }));
        let sink = Self { url: format!("http://{address}/stage"), seen };
        let serving = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = serving.clone();
                let service = service_fn(move |request| answer(sink.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        sink
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Distinct events taken, by name.
    pub fn counts(&self) -> std::collections::BTreeMap<String, u64> {
        let mut counts = std::collections::BTreeMap::new();
        for (name, _, _) in self.seen().taken.keys() {
            *counts.entry(name.clone()).or_default() += 1;
        }
        counts
    }
}

async fn answer(sink: Sink, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    assert_eq!(request.uri().path(), "/stage/api/events/batch");
    let (head, body) = request.into_parts();
    {
        let mut seen = sink.seen();
        seen.in_flight += 1;
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
    }
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    tokio::task::yield_now().await;
    let events = events(&head.headers, &body);
    let mut seen = sink.seen();
    seen.in_flight -= 1;
    seen.requests += 1;
    seen.last_headers = head.headers;
    seen.largest_batch = seen.largest_batch.max(events.len());
    let rejected = match seen.faults.pop_front() {
        Some(Fault::Drop) => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Status(status, retry_after)) => {
            let mut response = Response::new(Full::from(r#"{"code":"told_to","detail":"a fault"}"#));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            if let Some(value) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from_static(value));
            }
            return Ok(response);
        }
        Some(Fault::TakeAndDrop) => {
            take(&mut seen, events, &[]);
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        Some(Fault::Reject(positions)) => positions,
        Some(Fault::RejectAll) => (0..events.len()).collect(),
        None => Vec::new(),
    };
    let count = events.len();
    take(&mut seen, events, &rejected);
    let accepted = count - rejected.len();
    let errors: Vec<_> =
        rejected.iter().map(|index| serde_json::json!({"index": index, "code": "invalid_type"})).collect();
    let answer = serde_json::json!({"accepted": accepted, "rejected": rejected.len(), "errors": errors});
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = if accepted == 0 { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::ACCEPTED };
    Ok(response)
}

fn take(seen: &mut Seen, events: Vec<Key>, rejected: &[usize]) {
    for (index, key) in events.into_iter().enumerate() {
        if !rejected.contains(&index) {
            *seen.taken.entry(key).or_default() += 1;
        }
    }
}

fn events(headers: &http::HeaderMap, body: &[u8]) -> Vec<Key> {
    let mut text = String::new();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
        flate2::read::GzDecoder::new(body).read_to_string(&mut text).expect("gzip of UTF-8");
    } else {
        text.push_str(std::str::from_utf8(body).expect("UTF-8"));
    }
    let events: Vec<serde_json::Value> = if headers[header::CONTENT_TYPE] == "application/x-ndjson" {
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    } else {
        let mut document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        serde_json::from_value(document["events"].take()).expect("a list")
    };
    let text = |event: &serde_json::Value, key| event[key].as_str().expect("a string").to_owned();
    events.iter().map(|event| (text(event, "eventName"), text(event, "timestamp"), text(event, "eventId"))).collect()
}
