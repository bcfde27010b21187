//! Load: batches by the clock, a share of them sent again, and exact books of what was accepted.
//!
//! The schedule is open: a batch is due at its time whether or not earlier ones have been answered. When every
//! connection is busy at that time, it starts late, and the report says so.

mod mill;
mod plan;
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
pub use mill::{AVERAGE_BYTES, Mill, Stamps};
pub use plan::{Plan, Reason, Slice};
pub use report::{Latency, Report};
use tokio::task::JoinSet;

use crate::client::{Client, Delivery, Layout};
use crate::clock;
use crate::ledger::{Fate, Ledger, write_line};
use crate::progress::{Progress, grouped, rate};
use crate::stop::Stop;

#[derive(Clone, Debug)]
pub struct Options {
    /// New events a second; 0: as fast as the answers come. What is sent again comes on top.
    pub rate: u64,
    pub duration: Option<Duration>,
    /// New events in all.
    pub events: Option<u64>,
    pub batch: usize,
    pub connections: usize,
    /// The share of batches that are sent again.
    pub resend: f64,
    pub layout: Layout,
    pub seed: u64,
    /// Where to write every accepted event, once, as a line of JSON.
    pub ledger: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate: 1_000,
            duration: None,
            events: None,
            batch: 500,
            connections: 4,
            resend: 0.0,
            layout: Layout::Json,
            seed: 1,
            ledger: None,
        }
    }
}

/// How long a run lasts when nothing else is asked for.
pub const DEFAULT_DURATION: Duration = Duration::from_mins(1);

/// A batch counts as late when it starts this long after it was due.
const LATE: Duration = Duration::from_millis(100);

struct Run {
    client: Client,
    options: Options,
    mill: Mill,
    started: Instant,
    started_ms: i64,
    stop: Stop,
    books: Mutex<Books>,
}

struct Books {
    plan: Plan,
    stamps: Stamps,
    /// When the last new batch was due, after the start.
    last_due: Duration,
    ledger: Ledger,
    tally: report::Tally,
}

/// Sends load until it is all sent or time is up, and reports.
pub async fn run(client: &Client, options: &Options, stop: &Stop, progress: &Progress) -> anyhow::Result<Report> {
    let books = Books {
        plan: Plan::new(options.batch, options.events, options.resend),
        stamps: Stamps::new(options.batch),
        last_due: Duration::ZERO,
        ledger: Ledger::default(),
        tally: report::Tally::default(),
    };
    let mill = Mill::new(options.seed);
    let cpu_before = report::cpu_time();
    let run = Arc::new(Run {
        client: client.clone(),
        options: options.clone(),
        mill,
        started: Instant::now(),
        started_ms: clock::now_ms(),
        stop: stop.clone(),
        books: Mutex::new(books),
    });
    let mut workers = JoinSet::new();
    for _ in 0..options.connections.max(1) {
        workers.spawn(work(Arc::clone(&run)));
    }
    let mut second = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                Some(ended) => ended.context("a sending task broke off")?,
                None => break,
            },
            _ = second.tick() => progress.show(&run.progress_line()),
        }
    }
    progress.end();
    let elapsed = run.started.elapsed();
    let cpu = report::cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let books = run.books();
    if let Some(path) = &options.ledger {
        run.write_ledger(path, &books).with_context(|| format!("writing the ledger {}", path.display()))?;
    }
    Ok(books.tally.report(options.rate, run.planned(), &books.ledger, |number| run.mill.name(number), elapsed, cpu))
}

async fn work(run: Arc<Run>) {
    while let Some((slice, due)) = run.take() {
        if run.options.rate > 0 {
            tokio::select! {
                () = tokio::time::sleep_until((run.started + due).into()) => {}
                () = run.stop.wait() => {}
            }
        }
        let behind = run.started.elapsed().saturating_sub(due);
        let body = run.body(&slice);
        let bytes = body.len();
        let delivery = run.client.deliver(body, slice.size(), run.options.layout, &run.stop).await;
        run.enter(&slice, bytes, behind, &delivery);
    }
}

impl Run {
    /// The next request and when it is due, after the start.
    fn take(&self) -> Option<(Slice, Duration)> {
        let mut books = self.books();
        let elapsed = self.started.elapsed();
        let next_due = books.plan.next_new().map(|event| self.due(event));
        let over = |duration| elapsed >= duration || next_due.is_some_and(|due| due >= duration);
        let closed = self.stop.is_set() || self.options.duration.is_some_and(over);
        let slice = books.plan.next(closed)?;
        if slice.reason == Reason::New {
            let due = if self.options.rate == 0 { elapsed } else { self.due(slice.events.start) };
            books.last_due = due;
            books.stamps.push(self.started_ms.saturating_add_unsigned(u64::try_from(due.as_millis()).unwrap_or(0)));
            books.tally.events_new += slice.size() as u64;
        } else {
            books.tally.events_again += slice.size() as u64;
        }
        Some((slice, books.last_due))
    }

    fn due(&self, event: u64) -> Duration {
        let rate = self.options.rate;
        event.saturating_mul(1_000_000).checked_div(rate).map_or(Duration::ZERO, Duration::from_micros)
    }

    fn body(&self, slice: &Slice) -> Vec<u8> {
        let mut body = Vec::with_capacity(slice.size() * (AVERAGE_BYTES + 64) + 64);
        self.mill.write_body(slice.numbers(), &self.books().stamps, self.options.layout, &mut body);
        body
    }

    fn enter(&self, slice: &Slice, bytes: usize, behind: Duration, delivery: &Delivery) {
        let mut books = self.books();
        books.ledger.enter(slice.numbers(), delivery);
        let again = slice.reason != Reason::New;
        books.tally.enter(slice.size(), bytes, if again { None } else { Some(behind) }, delivery);
        if let Err(failure) = &delivery.outcome
            && failure.concerns_all()
        {
            self.stop.set();
        }
    }

    /// How many new events are due in the time given, if the run was left to last that long.
    fn planned(&self) -> Option<u64> {
        let duration = self.options.duration.filter(|_| !self.stop.is_set())?;
        let due = u128::from(self.options.rate) * duration.as_millis() / 1_000;
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        Some(due.min(self.options.events.unwrap_or(u64::MAX)))
    }

    fn progress_line(&self) -> String {
        let books = self.books();
        let tally = &books.tally;
        let elapsed = self.started.elapsed();
        format!(
            "{} s: {} accepted, {}/s, {} rejected, {} errors, {} batches late",
            elapsed.as_secs(),
            grouped(tally.accepted),
            grouped(rate(tally.accepted, elapsed)),
            grouped(tally.rejected),
            grouped(tally.errors.values().sum()),
            grouped(tally.late),
        )
    }

    fn write_ledger(&self, path: &Path, books: &Books) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for number in books.ledger.with_fate(Fate::Accepted) {
            let at_ms = books.stamps.of(number);
            write_line(&mut file, self.mill.name(number), at_ms, &self.mill.id(number, at_ms).to_string())?;
        }
        file.flush()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
