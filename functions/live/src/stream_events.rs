//! SQS `live` → WebSocket frames.
//!
//! The queue is a FIFO with two groups for each account, so one call at a time streams events for an account, in order, and
//! another asks the numbers that are followed. Where each feed stands, and what it has told lately, is in the table: any
//! process can go on.
//!
//! The first event after a pause is sent at once. A call that has told something ends an interval after it began to send; what
//! comes meanwhile gathers in the queue. If that is more than one call takes, calls follow each other, and those before the next
//! frame is due only count.

mod account;
mod audience;
mod budget;
mod chart;
mod charts;
mod events;
mod followers;
mod laggards;
mod post;
mod sockets;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZero,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use account::{Account, News};
use analytics_answers::Answers;
use analytics_domain::{
    account::AccountId,
    live::{LiveMessage, Seen},
};
use analytics_dynamo::{ConnectionTable, FeedTable, SeenTable};
use analytics_http::Verifier;
use analytics_messaging::{LiveQueue, Message, PartialFailure, SqsBatch};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_sockets::Sockets;
use audience::Audience;
use budget::Budget;
use chart::Chart;
use futures_util::future::join_all;
use laggards::Laggards;
pub use sockets::end_invalid;
use tokio::time::{sleep_until, timeout_at};

/// Events that wait for a frame unless a setting says otherwise.
const MOST: NonZero<usize> = NonZero::new(50).unwrap();
/// Messages in a full batch: there are more where it came from.
const FULL: usize = 10;

/// What the function is made of.
pub struct App {
    connections: ConnectionTable,
    feeds: FeedTable,
    seen: SeenTable,
    answers: Answers,
    /// To find out whose token has lost its key.
    verifier: Verifier,
    sockets: Sockets,
    /// Back to this function, to another group.
    live: LiveQueue,
    /// Milliseconds between two frames, at least.
    interval: i64,
    /// Events that wait for a frame at most.
    most: usize,
    /// Epoch milliseconds.
    now: fn() -> i64,
    memory: Mutex<Memory>,
}

/// What is remembered from one call to the next. Another process may take the next call: nothing here is needed for what is
/// told to be right.
#[derive(Default)]
struct Memory {
    /// The last answers of metrics, by their place in the table.
    charts: HashMap<String, Chart>,
    /// Who is connected, by account.
    audiences: HashMap<AccountId, Audience>,
    /// Clients that do not keep up.
    laggards: Laggards,
    /// What clients have been told once.
    noticed: HashSet<(String, i64)>,
    /// When numbers were asked last, by their place in the table.
    asked: HashMap<String, i64>,
    /// The latest events that were counted, by account.
    seen: HashMap<AccountId, Known>,
}

/// Events that were counted, as far as they were read by then.
#[derive(Default)]
struct Known {
    seen: Seen,
    /// Epoch milliseconds.
    read_to: i64,
}

/// Things remembered at most; then the memory starts anew.
const REMEMBERED: usize = 1_000;
/// Events of all accounts that are known to be counted, at most: 40 bytes each.
const KNOWN: usize = 1_000_000;

impl App {
    /// Reads `CONNECTIONS_TABLE`, `LIVE_QUEUE_URL`, `STREAM_INTERVAL_MS` (between two frames), `STREAM_BUFFER_SIZE` (events that wait
    /// for one at most), and the keys of
    /// [`Answers::from_tables`], [`aws::sdk_config`] and [`Sockets::from_lookup`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        let tables = analytics_dynamo::client(&sdk);
        let answers = Answers::from_tables(&tables, lookup)?;
        Ok(Self {
            connections: ConnectionTable::from_tables(&tables, lookup)?,
            feeds: FeedTable::from_tables(&tables, lookup)?,
            seen: SeenTable::from_tables(&tables, lookup)?,
            answers: answers.within(Budget::SHARE_SECONDS),
            verifier: Verifier::from_lookup(lookup)?,
            sockets: Sockets::from_lookup(&sdk, lookup)?,
            live: LiveQueue::from_queues(&analytics_messaging::client(&sdk), lookup)?,
            interval: lookup.parsed("STREAM_INTERVAL_MS", 250, "a number of milliseconds")?,
            most: lookup.parsed("STREAM_BUFFER_SIZE", MOST, "1 or more")?.get(),
            now: analytics_platform::now_millis,
            memory: Mutex::default(),
        })
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.unsigned_abs())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let things = [
            memory.charts.len(),
            memory.audiences.len(),
            memory.laggards.len(),
            memory.noticed.len(),
            memory.asked.len(),
            memory.seen.len(),
        ];
        if things.iter().sum::<usize>() > REMEMBERED {
            *memory = Memory::default();
        }
        if memory.seen.values().map(|known| known.seen.len()).sum::<usize>() > KNOWN {
            memory.seen.clear();
        }
        memory
    }
}

/// Streams what the messages tell to everybody who watches. An account that takes longer than a call lasts has its messages
/// again; those of the others are done.
pub async fn handle(app: &App, batch: SqsBatch) -> PartialFailure {
    let is_full = batch.records.len() >= FULL;
    let mut groups: BTreeMap<&str, (Vec<&Message>, Vec<News<'_>>)> = BTreeMap::new();
    for message in &batch.records {
        match serde_json::from_str::<LiveMessage<'_>>(&message.body) {
            Ok(parsed) => {
                let (messages, all) = groups.entry(&message.attributes.message_group_id).or_default();
                messages.push(message);
                all.push(News { id: &message.message_id, message: parsed });
            }
            Err(error) => tracing::error!(error.cause = %error, "no live message"),
        }
    }
    let budget = Budget::new(groups.len());
    let groups = groups.into_values().map(|(messages, parsed)| async move {
        let account_id = AccountId::stored(parsed.first().map_or("", |news| news.message.account_id()));
        let told = async { Account::load(app, &account_id, budget).await?.tell(&parsed, is_full).await };
        let cause = match timeout_at(budget.answering(), told).await {
            Ok(Ok(until)) => {
                if let Some(until) = until {
                    sleep_until(until.min(budget.answering())).await;
                }
                return Vec::new();
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the call's time is over".to_owned(),
        };
        tracing::warn!(account.id = account_id.as_str(), error.cause = cause, "not told now, will come again");
        messages
    });
    join_all(groups).await.into_iter().flatten().collect()
}
