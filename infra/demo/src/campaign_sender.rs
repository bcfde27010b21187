//! Sends simulated campaigns: a stretch of the past as fast as it is taken, or the present at its own pace.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;

use crate::batch::{Batch, Batches, Identity};
use crate::catalogue;
use crate::client::{Client, Delivery, Layout};
use crate::event::Event;
use crate::ledger::write_line;
use crate::progress::{Progress, grouped, rate};
use crate::stop::Stop;

/// What became of the events of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub sent: u64,
    pub accepted: u64,
    pub rejected: u64,
}

/// What was sent, and what the API said.
#[derive(Debug, Default)]
pub struct Summary {
    pub by_name: BTreeMap<&'static str, Row>,
    /// Every accepted event.
    pub accepted: Vec<Identity>,
    pub retries: u64,
    pub elapsed: Duration,
    /// The first few reasons for rejections.
    pub reasons: Vec<String>,
    /// The first request that failed for good.
    failure: Option<String>,
    keep_identities: bool,
}

const REASONS_SHOWN: usize = 5;

impl Summary {
    fn enter(&mut self, events: Vec<Identity>, delivery: &Delivery) {
        self.retries += (delivery.failed_tries.len() as u64).saturating_sub(u64::from(delivery.outcome.is_err()));
        let verdict = match &delivery.outcome {
            Ok(verdict) => Some(verdict),
            Err(failure) => {
                self.failure.get_or_insert_with(|| format!("{} {}", failure.code, failure.detail));
                None
            }
        };
        let mut taken = vec![verdict.is_some(); events.len()];
        for rejection in verdict.iter().flat_map(|verdict| &verdict.rejections) {
            taken[rejection.index] = false;
            let name = events[rejection.index].name;
            self.by_name.entry(name).or_default().rejected += 1;
            if self.reasons.len() < REASONS_SHOWN {
                self.reasons.push(format!("{name}: {} {} {}", rejection.code, rejection.pointer, rejection.detail));
            }
        }
        for (event, taken) in events.into_iter().zip(taken) {
            let row = self.by_name.entry(event.name).or_default();
            row.sent += 1;
            row.accepted += u64::from(taken);
            if taken && self.keep_identities {
                self.accepted.push(event);
            }
        }
    }

    pub fn total(&self) -> Row {
        self.by_name.values().fold(Row::default(), |sum, row| Row {
            sent: sum.sent + row.sent,
            accepted: sum.accepted + row.accepted,
            rejected: sum.rejected + row.rejected,
        })
    }

    /// Writes every accepted event as a line of JSON.
    pub fn write_ledger(&self, path: &Path) -> anyhow::Result<()> {
        let write = || {
            let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
            for Identity { name, at_ms, id } in &self.accepted {
                write_line(&mut file, name, *at_ms, id)?;
            }
            file.flush()
        };
        write().with_context(|| format!("writing the ledger {}", path.display()))
    }

    fn progress_line(&self, started: Instant) -> String {
        let Row { sent, accepted, rejected } = self.total();
        format!(
            "{} sent, {} accepted, {} rejected, {} retries, {}/s",
            grouped(sent),
            grouped(accepted),
            grouped(rejected),
            grouped(self.retries),
            grouped(rate(sent, started.elapsed())),
        )
    }

    /// An error if anything was not delivered.
    pub fn check(&self) -> anyhow::Result<()> {
        match &self.failure {
            Some(failure) => bail!("not everything could be sent: {failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, row: &Row| {
            let [sent, accepted, rejected] = [row.sent, row.accepted, row.rejected].map(grouped);
            writeln!(f, "{name:<24}{sent:>10}{accepted:>10}{rejected:>10}")
        };
        for (name, row) in catalogue::in_order(&self.by_name) {
            line(name, row)?;
        }
        let total = self.total();
        line("total", &total)?;
        for reason in &self.reasons {
            writeln!(f, "rejected: {reason}")?;
        }
        let speed = grouped(rate(total.sent, self.elapsed));
        writeln!(f, "in {:.1} s, {speed} events a second, {} retries", self.elapsed.as_secs_f64(), self.retries)
    }
}

/// How batches are sent.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub batch: usize,
    pub connections: usize,
    /// Keep every accepted event, for a ledger.
    pub keep_identities: bool,
}

/// Sends all events, several requests at a time. Stops at the first request that fails for good.
pub async fn send_all<I>(client: &Client, events: I, options: Options, stop: &Stop, progress: &Progress) -> Summary
where
    I: Iterator<Item = Event> + Send + 'static,
{
    let started = Instant::now();
    let batches = Arc::new(Mutex::new(Batches::new(events, options.batch)));
    let summary = Summary { keep_identities: options.keep_identities, ..Summary::default() };
    let summary = Arc::new(Mutex::new(summary));
    let mut workers = JoinSet::new();
    for _ in 0..options.connections.max(1) {
        let (client, batches, summary, stop) = (client.clone(), batches.clone(), summary.clone(), stop.clone());
        workers.spawn(async move {
            while !stop.is_set() {
                let next = lock(&batches).next();
                let Some(Batch { body, events }) = next else {
                    break;
                };
                let delivery = client.deliver(body, events.len(), Layout::Json, &stop).await;
                if delivery.outcome.is_err() {
                    stop.set();
                }
                lock(&summary).enter(events, &delivery);
            }
        });
    }
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            ended = workers.join_next() => if ended.is_none() { break },
            _ = tick.tick() => progress.show(&lock(&summary).progress_line(started)),
        }
    }
    progress.end();
    let mut summary = std::mem::take(&mut *lock(&summary));
    summary.elapsed = started.elapsed();
    summary
}

/// Sends each event when its time has come, until told to stop. `speed` is how much faster than the clock the
/// events' world runs; their times are moved to when they are sent.
pub async fn send_live(
    client: &Client,
    events: impl Iterator<Item = Event>,
    from_ms: i64,
    speed: f64,
    options: Options,
    stop: &Stop,
    progress: &Progress,
) -> Summary {
    let started = Instant::now();
    let mut summary = Summary { keep_identities: options.keep_identities, ..Summary::default() };
    let mut events = events.map(|event| moved(event, from_ms, speed)).peekable();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    'running: loop {
        tokio::select! {
            () = stop.wait() => break,
            _ = tick.tick() => {}
        }
        let now_ms = from_ms.saturating_add_unsigned(u64::try_from(started.elapsed().as_millis()).unwrap_or(0));
        let due = std::iter::from_fn(|| events.next_if(|event| event.at_ms <= now_ms));
        for Batch { body, events } in Batches::new(due, options.batch) {
            let mut delivery = pin!(client.deliver(body, events.len(), Layout::Json, stop));
            let delivery = loop {
                tokio::select! {
                    delivery = &mut delivery => break delivery,
                    _ = tick.tick() => {
                        let line = summary.progress_line(started);
                        progress.show(&format!("{line}, waiting for an answer"));
                    }
                }
            };
            let failed = delivery.outcome.is_err();
            summary.enter(events, &delivery);
            if failed {
                break 'running;
            }
        }
        progress.show(&summary.progress_line(started));
    }
    progress.end();
    summary.elapsed = started.elapsed();
    summary
}

fn moved(mut event: Event, from_ms: i64, speed: f64) -> Event {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "days in milliseconds")]
    let after_start = ((event.at_ms - from_ms) as f64 / speed) as i64;
    event.at_ms = from_ms + after_start;
    event
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
