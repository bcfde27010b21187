//! The public HTTP API as a client sees it: one batch, posted until there is an answer worth having.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::answer::{Failure, Verdict, read_answer};
use crate::clock;
use crate::rng::Rng;
use crate::stop::Stop;

/// How often and how slowly a batch is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries in all, the first included.
    pub tries: u32,
    /// Wait before the second try; it doubles from try to try.
    pub first_wait: Duration,
    pub longest_wait: Duration,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Patience {
    pub const fn with_retries(retries: u32) -> Self {
        Self {
            tries: retries.saturating_add(1),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(20),
            timeout: Duration::from_secs(30),
        }
    }

    /// Half of the doubled wait is fixed, half is chance; a server's `Retry-After` is never undercut.
    fn wait(&self, tries: u32, retry_after: Option<Duration>, rng: &mut Rng) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << (tries - 1).min(16)).min(self.longest_wait);
        let half = u64::try_from(doubled.as_micros() / 2).unwrap_or(u64::MAX);
        let jittered = Duration::from_micros(half + rng.below(half + 1));
        jittered.max(retry_after.unwrap_or_default().min(Duration::from_mins(2)))
    }
}

/// How the events of a body are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `{"events":[…]}`
    #[default]
    Json,
    /// One event a line.
    Ndjson,
}

impl Layout {
    pub(crate) const fn opening(self) -> &'static [u8] {
        match self {
            Self::Json => br#"{"events":["#,
            Self::Ndjson => b"",
        }
    }

    pub(crate) const fn separator(self) -> u8 {
        match self {
            Self::Json => b',',
            Self::Ndjson => b'\n',
        }
    }

    pub(crate) const fn closing(self) -> &'static [u8] {
        match self {
            Self::Json => b"]}",
            Self::Ndjson => b"\n",
        }
    }
}

/// How the delivery of one batch ended.
#[derive(Debug)]
pub struct Delivery {
    pub outcome: Result<Verdict, Failure>,
    /// Codes of the tries that failed, the last included if it did.
    pub failed_tries: Vec<String>,
    /// A try without a clear answer may have been taken, whatever the last one said.
    pub maybe_taken: bool,
    /// How long the last try took.
    pub latency: Duration,
}

/// Sends batches to one deployment in one account's name.
#[derive(Clone)]
pub struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    batch_uri: Uri,
    headers: HeaderMap,
    patience: Patience,
    gzip: bool,
}

impl Client {
    /// `url` is the API's base, with or without a path of its own.
    pub fn new(url: &str, token: &str, patience: Patience) -> anyhow::Result<Self> {
        let batch_uri: Uri = format!("{}/api/events/batch", url.trim_end_matches('/'))
            .parse()
            .with_context(|| format!("--url {url} is not an address"))?;
        ensure!(
            matches!(batch_uri.scheme_str(), Some("http" | "https")) && batch_uri.host().is_some(),
            "--url {url}: expected http://host[:port][/path] or https://…"
        );
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).context("--token has odd characters")?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, bearer);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("demo/", env!("CARGO_PKG_VERSION"))));

        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(10)));
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self { http, batch_uri, headers, patience, gzip: false })
    }

    /// Compress bodies.
    #[must_use]
    pub const fn gzipped(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// Posts a body of `events` events until there is a verdict, patience ends or trying again is pointless. Safe
    /// to repeat, because every event carries its id and time. When told to stop, the try under way is the last one.
    pub async fn deliver(&self, body: Vec<u8>, events: usize, layout: Layout, stop: &Stop) -> Delivery {
        let body = if self.gzip { gzip(&body) } else { Bytes::from(body) };
        let mut rng = Rng::keyed(&[clock::entropy(), body.len() as u64]);
        let mut failed_tries = Vec::new();
        let mut maybe_taken = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let started = Instant::now();
            let outcome =
                match tokio::time::timeout(self.patience.timeout, self.post(body.clone(), events, layout)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(Failure::unanswered("timeout", format!("no answer in {:?}", self.patience.timeout))),
                };
            let latency = started.elapsed();
            if let Err(failure) = &outcome {
                failed_tries.push(failure.code.clone());
                maybe_taken |= failure.maybe_taken;
                if failure.retry && tries < self.patience.tries {
                    let wait = self.patience.wait(tries, failure.retry_after, &mut rng);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => continue,
                        () = stop.wait() => {}
                    }
                }
            }
            return Delivery { outcome, failed_tries, maybe_taken, latency };
        }
    }

    async fn post(&self, body: Bytes, events: usize, layout: Layout) -> Result<Verdict, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.batch_uri.clone();
        request.headers_mut().clone_from(&self.headers);
        let content_type = match layout {
            Layout::Json => "application/json",
            Layout::Ndjson => "application/x-ndjson",
        };
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.gzip {
            request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let lost = |error: &dyn std::error::Error| Failure::unanswered("connection", chain(error));
        let response = self.http.request(request).await.map_err(|error| lost(&error))?;
        let (head, body) = response.into_parts();
        let answer = body.collect().await.map_err(|error| lost(&error))?.to_bytes();
        read_answer(head.status, &head.headers, &answer, events)
    }
}

fn gzip(body: &[u8]) -> Bytes {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(body);
    Bytes::from(encoder.finish().unwrap_or_default())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_and_never_undercut_the_server() {
        let patience = Patience::with_retries(9);
        let mut rng = Rng::keyed(&[1]);
        for (tries, low, high) in [(1, 100, 200), (3, 400, 800), (30, 10_000, 20_000)] {
            let wait = patience.wait(tries, None, &mut rng).as_millis();
            assert!((low..=high).contains(&wait), "try {tries}: {wait} ms");
        }
        assert_eq!(patience.wait(1, Some(Duration::from_secs(7)), &mut rng), Duration::from_secs(7));
    }
}
