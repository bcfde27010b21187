//! A proxy in front of ClickHouse or AWS that can refuse requests, delay them, or halt one at a chosen point and hold it there,
//! so that a test can kill the process that waits for it between two of its side effects.

use std::{
    fmt::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
pub use hyper::http::request::Parts;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// Where a request is halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// The server has seen nothing of it.
    BeforeRequest,
    /// The server has half of its body.
    HalfBody,
    /// The server has done it, and its answer is not passed on.
    BeforeAnswer,
    /// The answer has been passed on.
    AfterAnswer,
}

impl Point {
    pub const ALL: [Self; 4] = [Self::BeforeRequest, Self::HalfBody, Self::BeforeAnswer, Self::AfterAnswer];
}

/// A halt that was asked for. Dropped, it breaks off the request that it holds.
pub struct Halt {
    reached: oneshot::Receiver<()>,
    _held: oneshot::Sender<()>,
}

impl Halt {
    /// Waits until the point has been reached: for good, if it never is.
    pub async fn reached(&mut self) {
        if (&mut self.reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Armed {
    point: Point,
    /// Requests to let through before.
    skip: usize,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl Armed {
    async fn hold(self) -> Result<Response<Full<Bytes>>> {
        self.reached.send(()).ok();
        self.released.await.ok();
        anyhow::bail!("broken off")
    }
}

struct Shared {
    /// `host:port`.
    server: String,
    /// Which requests count.
    counts: Box<dyn Fn(&Parts) -> bool + Send + Sync>,
    armed: Mutex<Option<Armed>>,
    /// Counted requests are answered with 429, and not passed on.
    is_refusing: AtomicBool,
    /// Counted requests are passed on after so many milliseconds.
    delay: AtomicU64,
    /// Counted requests so far.
    counted: AtomicU64,
}

impl Shared {
    fn armed(&self) -> MutexGuard<'_, Option<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The halt that is meant for this request, if one is.
    fn halt(&self, parts: &Parts) -> Option<Armed> {
        let mut armed = self.armed();
        let fault = armed.as_mut().filter(|fault| (self.counts)(parts) && !fault.reached.is_closed())?;
        if fault.skip == 0 {
            return armed.take();
        }
        fault.skip -= 1;
        None
    }
}

/// The proxy; it ends with this.
pub struct FaultProxy {
    /// What to use in place of the server's address.
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Stands in front of `server`, an address with `http://`. Only requests that `counts` says so are ever halted.
    ///
    /// # Errors
    /// If there is no port for it.
    pub async fn start(server: &str, counts: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Result<Self> {
        let server = server.strip_prefix("http://").context("the server's address starts with http://")?;
        let server = server.trim_end_matches('/').to_owned();
        let counts = Box::new(counts);
        let shared = Arc::new(Shared {
            server,
            counts,
            armed: Mutex::default(),
            is_refusing: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            counted: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, task })
    }

    /// How many counted requests have come.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.shared.counted.load(Ordering::Relaxed)
    }

    /// Whether counted requests are refused from now on, as too many.
    pub fn refuse(&self, whether: bool) {
        self.shared.is_refusing.store(whether, Ordering::Relaxed);
    }

    /// Counted requests wait for so long from now on, before the server sees them.
    pub fn delay(&self, by: Duration) {
        self.shared.delay.store(by.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Halts the next request, or one after `skip` others, at this point. Replaces what was asked for before.
    #[must_use]
    pub fn halt_at(&self, point: Point, skip: usize) -> Halt {
        let (reached, when_reached) = oneshot::channel();
        let (held, released) = oneshot::channel();
        *self.shared.armed() = Some(Armed { point, skip, reached, released });
        Halt { reached: when_reached, _held: held }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).ok();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // An error closes the connection without an answer: just what a request that was broken off gets.
            let service = service_fn(|request| pass(&shared, request));
            server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn pass(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    // Written anew below, for the body as it is passed on.
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    let counts = (shared.counts)(&parts);
    if counts {
        shared.counted.fetch_add(1, Ordering::Relaxed);
    }
    if counts && shared.is_refusing.load(Ordering::Relaxed) {
        let refusal = r#"{"message":"Rate exceeded"}"#;
        let answer = Response::builder().status(429).header("x-amzn-errortype", "LimitExceededException");
        return Ok(answer.body(Full::new(Bytes::from(refusal)))?);
    }
    let delay = shared.delay.load(Ordering::Relaxed);
    if counts && delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let Some(halt) = shared.halt(&parts) else {
        return forward(&shared.server, parts, body).await;
    };
    match halt.point {
        Point::BeforeRequest => halt.hold().await,
        Point::HalfBody => {
            let _open = forward_half(&shared.server, &parts, &body).await?;
            halt.hold().await
        }
        Point::BeforeAnswer => {
            forward(&shared.server, parts, body).await?;
            halt.hold().await
        }
        Point::AfterAnswer => {
            let answer = forward(&shared.server, parts, body).await?;
            tokio::spawn(async move {
                // The answer is written once this function has returned it.
                tokio::time::sleep(Duration::from_millis(2)).await;
                halt.reached.send(()).ok();
            });
            Ok(answer)
        }
    }
}

async fn forward(server: &str, parts: Parts, body: Bytes) -> Result<Response<Full<Bytes>>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(TRANSFER_ENCODING);
    Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
}

/// Sends the request's head and half of its body, chunked; the connection stays open for as long as it is held.
async fn forward_half(server: &str, parts: &Parts, body: &[u8]) -> Result<TcpStream> {
    let mut head = format!("{} {} HTTP/1.1\r\ntransfer-encoding: chunked\r\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        write!(head, "{name}: {}\r\n", value.to_str()?)?;
    }
    let half = &body[..body.len() / 2];
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(format!("{head}\r\n{:x}\r\n", half.len()).as_bytes()).await?;
    stream.write_all(half).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Whether a request is an insert of ClickHouse's HTTP interface.
#[must_use]
pub fn is_insert(parts: &Parts) -> bool {
    parts.uri.query().is_some_and(|query| query.contains("query=INSERT"))
}

/// Whether a request is this operation of an AWS service with a JSON protocol, such as `AmazonSQS.SendMessage`.
#[must_use]
pub fn is_operation(parts: &Parts, operation: &str) -> bool {
    parts.headers.get("x-amz-target").is_some_and(|target| target == operation)
}
