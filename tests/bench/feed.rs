//! Events that arrive while something else is measured: accepted by `track-events` and stored by `store-events`, both called
//! directly. No gateway and no queue takes a share of the machine, so only the system itself is measured.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use demo::{
    client::Layout,
    load::{Mill, Stamps},
};
use serde_json::Value;
use tests::{
    pipeline::sqs_event,
    runtime_api::{Function, Outcome},
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc::UnboundedReceiver},
    task::JoinHandle,
};

use crate::{
    input::{BATCH, envelope},
    local::Local,
    report::{Must, Row},
    stub::Stub,
};

/// How often events are stored: the window in which Lambda gathers messages for `store-events`.
const WINDOW: Duration = Duration::from_secs(1);
/// The share of the wanted rate that must arrive. If less arrives, the machine is too slow for the figure.
const LEAST_SHARE: f64 = 0.9;

/// Events that arrive at a steady rate, for as long as the gate is open.
pub struct Feed {
    rate: u64,
    gate: Arc<Mutex<()>>,
    /// Held while nothing is to arrive.
    closed: Option<OwnedMutexGuard<()>>,
    task: JoinHandle<Result<()>>,
    progress: Arc<Mutex<Progress>>,
}

/// What has arrived, in how much time with an open gate.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    events: u64,
    seconds: f64,
}

impl Feed {
    /// Starts the functions of the stack's checkout. Nothing arrives before [`Feed::open`].
    pub async fn start(local: &Local, accounts: &[&str], rate: u64) -> Result<Self> {
        let source = Source::start(local, accounts, rate).await?;
        let (gate, progress) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Progress::default())));
        let closed = Some(Arc::clone(&gate).lock_owned().await);
        let task = tokio::spawn(work(source, Arc::clone(&gate), Arc::clone(&progress)));
        Ok(Self { rate, gate, closed, task, progress })
    }

    /// Lets events arrive, and returns when they have done so for a while. An open feed stays as it is.
    pub async fn open(&mut self, lead: Duration) -> Result<()> {
        if self.closed.take().is_some() {
            tokio::time::sleep(lead).await;
        }
        self.check()
    }

    /// Ends the arriving, and returns once nothing is on its way.
    pub async fn close(&mut self) -> Result<()> {
        if self.closed.is_none() {
            self.closed = Some(Arc::clone(&self.gate).lock_owned().await);
        }
        self.check()
    }

    /// Ends the feed for good. The row has the events that arrived in a second: with fewer than wanted, the load was smaller than the
    /// figure says.
    pub async fn stop(mut self) -> Result<Row> {
        self.close().await?;
        self.task.abort();
        let Progress { events, seconds } = *self.progress.lock().await;
        let arrived = events as f64 / seconds.max(WINDOW.as_secs_f64());
        let least = Must::AtLeast(self.rate as f64 * LEAST_SHARE);
        Ok(Row::new("events stored meanwhile", "events/s", vec![arrived], least))
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.task.is_finished(), "the functions that store what arrives have failed");
        Ok(())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(mut source: Source, gate: Arc<Mutex<()>>, progress: Arc<Mutex<Progress>>) -> Result<()> {
    loop {
        let _open = gate.lock().await;
        let started = Instant::now();
        let events = source.next().await.inspect_err(|error| eprintln!("… arriving events: {error:#}"))?;
        // The gate stays shut for others until the window is over: events arrive no faster than wanted.
        tokio::time::sleep_until((started + WINDOW).into()).await;
        let mut progress = progress.lock().await;
        progress.events += events;
        progress.seconds += started.elapsed().as_secs_f64();
    }
}

/// The functions, and what they are given.
struct Source {
    track: Function,
    store: Function,
    _stub: Stub,
    messages: UnboundedReceiver<String>,
    mill: Mill,
    stamps: Stamps,
    tokens: Vec<String>,
    /// Batches of a window.
    batches: u64,
    batch: u64,
}

impl Source {
    async fn start(local: &Local, accounts: &[&str], rate: u64) -> Result<Self> {
        let (stub, messages) = Stub::keeping_messages().await?;
        let environment = local.environment();
        let mut track = environment.clone();
        track.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
        track.push(("AWS_ENDPOINT_URL", &stub.url));
        let tokens = accounts.iter().map(|account| local.token(account, Role::Ingest)).collect::<Result<_>>()?;
        Ok(Self {
            track: Function::start(&local.checkout.binary("track-events"), &track).await?,
            store: Function::start(&local.checkout.binary("store-events"), &environment).await?,
            _stub: stub,
            messages,
            mill: Mill::new(u64::from_be_bytes(analytics_platform::random())),
            stamps: Stamps::new(BATCH),
            tokens,
            batches: rate / BATCH as u64,
            batch: 0,
        })
    }

    /// Accepts and stores the events of one window; how many there were.
    async fn next(&mut self) -> Result<u64> {
        for _ in 0..self.batches {
            let token = &self.tokens[usize::try_from(self.batch)? % self.tokens.len()];
            let first = self.batch * BATCH as u64;
            self.stamps.push(now_millis());
            let mut body = Vec::new();
            self.mill.write_body(first..first + BATCH as u64, &self.stamps, Layout::Json, &mut body);
            let call = envelope("POST", "/api/events/batch", "", token, Some(&body));
            let Outcome::Response(answer) = self.track.invoke(call).await? else {
                bail!("track-events has failed");
            };
            let answer: Value = serde_json::from_slice(&answer)?;
            ensure!(answer["statusCode"] == 202, "{answer}");
            self.batch += 1;
        }
        let mut sealed = Vec::new();
        while let Ok(message) = self.messages.try_recv() {
            sealed.push(message);
        }
        ensure!(sealed.len() as u64 >= self.batches, "{} messages of {} batches", sealed.len(), self.batches);
        let records = sealed.iter().enumerate().map(|(number, body)| (number.to_string(), body.as_str()));
        let Outcome::Response(answer) = self.store.invoke(sqs_event(records)).await? else {
            bail!("store-events has failed");
        };
        let answer: Value = serde_json::from_slice(&answer)?;
        let again = answer["batchItemFailures"].as_array().context("store-events names what must come again")?;
        ensure!(again.is_empty(), "{} of {} messages were not stored", again.len(), sealed.len());
        Ok(self.batches * BATCH as u64)
    }
}
