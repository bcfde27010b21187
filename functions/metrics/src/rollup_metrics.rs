//! Every minute: stored buckets are computed for what has changed.
//!
//! Which accounts have work is noted in a table. ClickHouse is asked about those only and, where nobody has work, not at all. A
//! call works for most of a minute as long as events arrive. Calls may work side by side, on different accounts. What a call is
//! cut off from is found undone by a later one: a bucket counts as computed only after all of its series are stored, and the
//! claim on its account runs out.

mod account;
mod due;
mod portion;
mod roller;
mod schedule;
mod sweep;
#[cfg(test)]
mod tests;

use std::time::Duration;

use analytics_domain::account::AccountId;
use analytics_dynamo::{MetricTable, TableError, WorkTable};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, WarehouseError};
pub use portion::Portions;
use roller::Rollups;
use schedule::{Ended, Schedule, Who};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

/// How long a call works, in seconds, unless it is told otherwise.
const PATIENCE_SECONDS: u64 = 50;

/// For so long after a deadline, statements of begun buckets may begin.
const GRACE: Duration = Duration::from_secs(10);

/// So long after a deadline, what has not ended is cut off: the rest of the function's time (`template.yaml`) is for noting where
/// the call has ended, and that an account takes too long.
const OVERTIME: Duration = Duration::from_secs(45);

/// What the function is made of.
pub struct App {
    pub table: MetricTable,
    pub work: WorkTable,
    pub warehouse: EventWarehouse,
    /// How long one call works at most.
    pub patience: Duration,
    /// How long it works on one account before the others have their turn.
    pub share: Duration,
    /// How long a claim on an account outlives a process that has died. It is renewed in the first seventh, and the rest is
    /// longer than a statement may take.
    pub lease: Duration,
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
    /// How many buckets of an account are computed at once.
    pub portions: Portions,
}

impl App {
    /// Reads `METRICS_TABLE`, `ROLLUPS_TABLE`, `ROLLUP_SECONDS` (50), `ROLLUP_PAUSE_SECONDS` (2), and the keys of
    /// [`aws::sdk_config`] and [`EventWarehouse::from_lookup`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let seconds = |key, usual| lookup.parsed(key, usual, "a number of seconds").map(Duration::from_secs);
        let tables = analytics_dynamo::client(&aws::sdk_config(lookup)?);
        Ok(Self {
            table: MetricTable::from_tables(&tables, lookup)?,
            work: WorkTable::from_tables(&tables, lookup)?,
            warehouse: EventWarehouse::from_lookup(lookup)?,
            patience: seconds("ROLLUP_SECONDS", PATIENCE_SECONDS)?,
            share: Duration::from_secs(15),
            lease: Duration::from_secs(70),
            pause: seconds("ROLLUP_PAUSE_SECONDS", 2)?,
            delay: Duration::from_millis(1_500),
            tick_events: 2_000,
            rest: Duration::from_secs(10),
            now: analytics_platform::now_millis,
            portions: Portions::default(),
        })
    }

    fn lease(&self) -> i64 {
        millis(self.lease)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Why buckets were not computed.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// Nothing is lost: fewer buckets are computed at once next time.
    #[error("computing some buckets takes longer than one call has")]
    CutOff,
}

impl RollupError {
    /// Whether ClickHouse itself may be down.
    const fn is_of_the_store(&self) -> bool {
        matches!(
            self,
            Self::Warehouse(WarehouseError::Unavailable(_) | WarehouseError::TimedOut(_) | WarehouseError::Unfit(_))
        )
    }
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The schedule: accounts of which work is noted.
    Routine,
    /// All accounts with stale buckets, noted or not, and deletions.
    Everything,
    /// One account, and deletions.
    Account(AccountId),
}

impl Call {
    /// The call of an event: the schedule's is the routine, `{"accountId": "…"}` is about one account, and any other is about
    /// everything.
    #[must_use]
    pub fn of(event: &Value) -> Self {
        match event["accountId"].as_str() {
            _ if event["source"] == "aws.scheduler" => Self::Routine,
            Some(account_id) => Self::Account(AccountId::stored(account_id)),
            None => Self::Everything,
        }
    }
}

/// What one call has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    pub passes: u32,
    /// Accounts that were worked on, each as often as it was.
    pub accounts: usize,
    /// Those of them that have failed.
    pub failed: usize,
    pub buckets: usize,
    /// Series that are ready now and were not before.
    pub series: usize,
    /// Whether another call was at work on some account.
    pub elsewhere: bool,
    /// Accounts whose work has waited for over a quarter of an hour, and the longest wait.
    pub behind: usize,
    pub behind_seconds: i64,
}

/// Computes what is due, for as long as there is something to wait for.
///
/// # Errors
/// If a store does not answer; what was done until then is done.
pub async fn handle(app: &App, call: &Call) -> Result<Done, RollupError> {
    let started = (app.now)();
    let rollups = Rollups::new(app, app.work.progress().await?);
    let looking = async {
        match call {
            // After an upgrade that changes the series, build them now: otherwise idle accounts would be answered from events until
            // they send again.
            Call::Routine if rollups.series_have_changed() => rollups.look_for_everything().await,
            Call::Routine => Ok(()),
            Call::Everything => rollups.look_for_everything().await,
            Call::Account(account_id) => rollups.look_for(account_id).await,
        }
    };
    timeout(app.patience + OVERTIME, looking).await.unwrap_or(Err(RollupError::CutOff))?;
    let deadline = started + millis(app.patience);
    let mut schedule = Schedule::new(&rollups, &rollups, app.now, deadline, millis(app.share));
    schedule.cursor = rollups.cursor();
    let who = if let Call::Account(account_id) = call { Who::Account(account_id) } else { Who::All };
    let worked = work(app, &mut schedule, who).await;
    let done = schedule.done;
    rollups.note_cursor(schedule.cursor).await?;
    if done.behind > 0 {
        // Stable: an alarm and docs/operations.md know this message.
        tracing::warn!(accounts = done.behind, oldest_s = done.behind_seconds, "rollups are behind");
    }
    if done.accounts > 0 {
        tracing::info!(
            passes = done.passes,
            accounts = done.accounts,
            failed = done.failed,
            buckets = done.buckets,
            series = done.series,
            "rolled up"
        );
    }
    worked.map(|()| done)
}

async fn work(
    app: &App,
    schedule: &mut Schedule<'_, Rollups<'_>, Rollups<'_>>,
    who: Who<'_>,
) -> Result<(), RollupError> {
    loop {
        let before = schedule.done;
        // Counted once a call.
        (schedule.done.behind, schedule.done.behind_seconds) = (0, 0);
        let next = match schedule.pass(who).await? {
            Ended::Late | Ended::Through(None) => return Ok(()),
            Ended::Through(Some(next)) => next,
        };
        let now = (app.now)();
        // What was computed may make more computable.
        let has_computed = schedule.done.buckets > before.buckets || schedule.done.series > before.series;
        let pause = if has_computed { Duration::ZERO } else { app.pause };
        let looks_at = now + millis(pause);
        if looks_at >= schedule.deadline || next >= schedule.deadline {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
    }
}
