//! A Lambda Runtime API for one function process: hands it invocations, takes its answers, and can kill it at any time.
//!
//! Paths and headers: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    convert::Infallible,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Response(Bytes),
    /// The function reported an error.
    Error(Bytes),
    /// The process ended before it answered.
    Died,
}

struct Invocation {
    id: u64,
    payload: Bytes,
    answer: oneshot::Sender<Outcome>,
}

/// What the server and its owner share.
struct Shared {
    waiting: Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<Option<(u64, oneshot::Sender<Outcome>)>>,
    ready: mpsc::UnboundedSender<Instant>,
}

/// One function process and the Runtime API it talks to.
pub struct Function {
    binary: PathBuf,
    environment: Vec<(String, String)>,
    log: Option<PathBuf>,
    invocations: mpsc::UnboundedSender<Invocation>,
    ready: mpsc::UnboundedReceiver<Instant>,
    ids: AtomicU64,
    port: u16,
    server: JoinHandle<()>,
    child: Child,
    started: Instant,
}

impl Function {
    /// Starts the binary with this environment and nothing else. Its log goes nowhere.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start(binary: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_with_log(binary, environment, None).await
    }

    /// The same, with a file that its log is appended to.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start_with_log(binary: &Path, environment: &[(&str, &str)], log: Option<&Path>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (invocations, waiting) = mpsc::unbounded_channel();
        let (ready_sender, ready) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { waiting: Mutex::new(waiting), running: Mutex::default(), ready: ready_sender });
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).ok();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&shared), request));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        let environment: Vec<(String, String)> =
            environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let started = Instant::now();
        let child = spawn(binary, &environment, port, log)?;
        Ok(Self {
            binary: binary.to_owned(),
            environment,
            log: log.map(Path::to_owned),
            invocations,
            ready,
            ids: AtomicU64::new(1),
            port,
            server,
            child,
            started,
        })
    }

    /// Waits until the process asks for work for the first time, and tells how long it took from its start.
    ///
    /// # Errors
    /// If it ends before.
    pub async fn until_ready(&mut self) -> Result<Duration> {
        tokio::select! {
            at = self.ready.recv() => Ok(at.context("the server has ended")?.duration_since(self.started)),
            status = self.child.wait() => anyhow::bail!("{} ended before it was ready: {}", self.binary.display(), status?),
        }
    }

    /// When the process was last started.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// Hands the function one event and waits for its answer.
    ///
    /// # Errors
    /// If the process cannot be watched.
    pub async fn invoke(&mut self, payload: impl Into<Bytes>) -> Result<Outcome> {
        let (answer, outcome) = oneshot::channel();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let invocation = Invocation { id, payload: payload.into(), answer };
        self.invocations.send(invocation).ok().context("the server has ended")?;
        tokio::select! {
            outcome = outcome => Ok(outcome.unwrap_or(Outcome::Died)),
            status = self.child.wait() => {
                status?;
                Ok(Outcome::Died)
            }
        }
    }

    /// The process's id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the process with SIGKILL: it gets no chance to finish anything.
    ///
    /// # Errors
    /// If it cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts the process again after it has ended; an invocation that it left unanswered is forgotten.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await.ok();
        while self.ready.try_recv().is_ok() {}
        self.started = Instant::now();
        self.child = spawn(&self.binary, &self.environment, self.port, self.log.as_deref())?;
        Ok(())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn spawn(binary: &Path, environment: &[(String, String)], port: u16, log: Option<&Path>) -> Result<Child> {
    let name = binary.file_name().context("a binary has a name")?;
    let log = || match log {
        Some(log) => Ok::<_, std::io::Error>(OpenOptions::new().create(true).append(true).open(log)?.into()),
        None => Ok(Stdio::null()),
    };
    Command::new(binary)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} does not start", binary.display()))
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut segments = path.trim_start_matches("/2018-06-01/runtime/").split('/');
    let reply = match (request.method(), segments.next(), segments.next(), segments.next()) {
        (&Method::GET, Some("invocation"), Some("next"), None) => next(&shared).await,
        (&Method::POST, Some("invocation"), Some(id), Some(kind)) => {
            let (id, is_error) = (id.parse::<u64>().ok(), kind == "error");
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let mut running = shared.running.lock().await;
            if running.as_ref().is_some_and(|(running, _)| Some(*running) == id)
                && let Some((_, answer)) = running.take()
            {
                answer.send(if is_error { Outcome::Error(body) } else { Outcome::Response(body) }).ok();
            }
            empty(StatusCode::ACCEPTED)
        }
        _ => empty(StatusCode::ACCEPTED),
    };
    Ok(reply)
}

async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    shared.ready.send(Instant::now()).ok();
    // A process that was killed while it waited leaves this waiting too; what it would take then is lost to it, so an
    // invocation is only taken while somebody still holds its other end.
    let invocation = loop {
        let Some(invocation) = shared.waiting.lock().await.recv().await else {
            return empty(StatusCode::GONE);
        };
        if !invocation.answer.is_closed() {
            break invocation;
        }
    };
    let deadline = analytics_platform::now_millis() + 60_000;
    let mut reply = Response::new(Full::new(invocation.payload));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", invocation.id.to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:test".to_owned()),
        ("content-type", "application/json".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            reply.headers_mut().insert(name, value);
        }
    }
    *shared.running.lock().await = Some((invocation.id, invocation.answer));
    reply
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}
