//! Every minute: stored buckets are computed for what has changed.
//!
//! Each call works for most of a minute as long as events arrive, and ends at once when nothing has changed. Whatever it is
//! cut off from is found undone by the next one: a bucket counts as computed only after all of its series are stored.

mod pass;

use std::time::Duration;

use analytics_dynamo::{MetricTable, TableError};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, WarehouseError};
use serde::Serialize;

use pass::Ended;

/// What the function is made of.
pub struct App {
    pub table: MetricTable,
    pub warehouse: EventWarehouse,
    /// How long one call works at most.
    pub patience: Duration,
    /// Time between two looks at what has changed.
    pub pause: Duration,
    /// Time from a bucket's end, and without anything new in it, until it is computed: most of its events have come by then.
    pub delay: Duration,
    /// Events of ten seconds that make it worth while to compute them by themselves.
    pub tick_events: u64,
    /// Time from a minute's computing until it is computed again, if events come late. An hour rests for 3, a day for 30 times
    /// as long: until then, answers are made of the shorter buckets.
    pub rest: Duration,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
}

/// How long one statement may take beyond a call's patience.
const SLACK_MILLIS: i64 = 60_000;

impl App {
    /// Reads `METRICS_TABLE`, `ROLLUP_SECONDS` (50), `ROLLUP_PAUSE_SECONDS` (2), and the keys of [`aws::sdk_config`] and
    /// [`EventWarehouse::from_lookup`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let seconds = |key, usual| lookup.parsed(key, usual, "a number of seconds").map(Duration::from_secs);
        let tables = analytics_dynamo::client(&aws::sdk_config(lookup)?);
        Ok(Self {
            table: MetricTable::new(tables, lookup.required("METRICS_TABLE")?),
            warehouse: EventWarehouse::from_lookup(lookup)?,
            patience: seconds("ROLLUP_SECONDS", 50)?,
            pause: seconds("ROLLUP_PAUSE_SECONDS", 2)?,
            delay: Duration::from_millis(1_500),
            tick_events: 2_000,
            rest: Duration::from_secs(10),
            now: analytics_platform::now_millis,
        })
    }
}

/// Why buckets were not computed.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
}

/// What one call has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    pub passes: u32,
    pub buckets: usize,
    /// Series that are ready now and were not before.
    pub series: usize,
    /// Whether another call was at work, so that this one did nothing.
    pub elsewhere: bool,
}

/// Computes what is due, for as long as there is something to wait for.
///
/// # Errors
/// If a store does not answer; what was done until then is done.
pub async fn handle(app: &App) -> Result<Done, RollupError> {
    let started = (app.now)();
    let patience = i64::try_from(app.patience.as_millis()).unwrap_or(i64::MAX);
    let owner = format!("{:016x}", u64::from_be_bytes(analytics_platform::random()));
    // Nobody else computes until every statement of this call must have ended.
    let until = started + patience + SLACK_MILLIS;
    if !app.table.lease("rollup-metrics", &owner, started, until).await? {
        return Ok(Done { elsewhere: true, ..Done::default() });
    }
    let worked = work(app, started + patience).await;
    app.table.lease("rollup-metrics", &owner, (app.now)(), 0).await?;
    if let Ok(done) = &worked {
        tracing::info!(passes = done.passes, buckets = done.buckets, series = done.series, "rolled up");
    }
    worked
}

async fn work(app: &App, deadline: i64) -> Result<Done, RollupError> {
    let mut done = Done::default();
    // The first look is at everything.
    let mut since = 0;
    loop {
        let (ended, oldest) = pass::pass(app, since, deadline, &mut done).await?;
        since = oldest;
        done.passes += 1;
        let pause = match ended {
            Ended::Idle | Ended::Late => return Ok(done),
            Ended::Again => Duration::ZERO,
            Ended::Waiting => app.pause,
        };
        if (app.now)() + i64::try_from(pause.as_millis()).unwrap_or(0) >= deadline {
            return Ok(done);
        }
        tokio::time::sleep(pause).await;
    }
}
