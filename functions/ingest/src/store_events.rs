//! SQS `events` → ClickHouse: sealed batches become rows.
//!
//! Every step may run twice: storing a batch again changes nothing, and neither does setting one aside again. A message
//! that can never be stored is moved to the dead-letter queue at once, with its reason, so that it does not hold up its
//! neighbours; one that could not be stored now is reported back and comes again. A call takes on as many plain bytes as it
//! can store, and answers before its time is over, whatever becomes of them.

mod noted;
mod portions;
mod storing;
mod watchers;

use std::{collections::BTreeSet, future::Future, time::Duration};

use analytics_domain::account::AccountId;
use analytics_dynamo::{ConnectionTable, Watched, WorkTable};
use analytics_messaging::{LiveQueue, Message, PartialFailure, Queue, QueueError, SqsBatch};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, WarehouseError};
use futures_util::{StreamExt, stream};
use portions::{Portions, Sealed, portions};
use storing::Outcome;
use tokio::time::{Instant, timeout_at};
pub use watchers::{Announcing, Watchers};

/// Parts of a call's time, from its start. The function has 20 seconds (`template.yaml`): after these, announcing takes one
/// more, and three are left for reading what was handed over, and for a processor that has other things to do.
const STORING: Duration = Duration::from_secs(13);
const SETTING_ASIDE: Duration = Duration::from_secs(16);
/// Messages on their way to the dead-letter queue at the same time.
const AT_ONCE: usize = 16;

pub use noted::NotedStore;

/// Where events are kept.
pub trait Store: Sync {
    /// Stores the events of sealed batches, each as its message has it.
    fn store(&self, messages: &[&str]) -> impl Future<Output = Result<(), WarehouseError>> + Send;
}

/// Where messages go that can never be stored.
pub trait DeadLetters: Sync {
    fn set_aside(&self, body: String, reason: &str) -> impl Future<Output = Result<(), QueueError>> + Send;
}

impl DeadLetters for Queue {
    async fn set_aside(&self, body: String, reason: &str) -> Result<(), QueueError> {
        self.send_with_reason(body, reason).await
    }
}

/// What the function is made of.
pub struct App<S, D, W> {
    pub store: S,
    pub dead_letters: D,
    pub watchers: W,
}

impl App<NotedStore, Queue, Announcing> {
    /// Reads `DEAD_LETTER_QUEUE_URL`, `LIVE_QUEUE_URL`, `CONNECTIONS_TABLE`, `ROLLUPS_TABLE` and the keys of the adapters.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        let (tables, queues) = (analytics_dynamo::client(&sdk), analytics_messaging::client(&sdk));
        Ok(Self {
            store: NotedStore {
                warehouse: EventWarehouse::from_lookup(lookup)?,
                work: WorkTable::from_tables(&tables, lookup)?,
                now: analytics_platform::now_millis,
            },
            watchers: Announcing {
                live: LiveQueue::from_queues(&queues, lookup)?,
                watched: Watched::new(ConnectionTable::from_tables(&tables, lookup)?),
                now: analytics_platform::now_millis,
            },
            dead_letters: Queue::new(queues, lookup.required("DEAD_LETTER_QUEUE_URL")?),
        })
    }
}

/// Stores the events of all messages.
pub async fn handle<S: Store, D: DeadLetters, W: Watchers>(app: &App<S, D, W>, sqs: SqsBatch) -> PartialFailure {
    let start = Instant::now();
    let (mut readable, mut poison) = (Vec::new(), Vec::new());
    for message in &sqs.records {
        match Sealed::read(message) {
            Ok(sealed) => readable.push(sealed),
            Err(error) => poison.push((message, error.to_string())),
        }
    }
    let Portions { inserts, beyond } = portions(readable);
    let outcome = storing::store(&app.store, inserts, start + STORING).await;
    let Outcome { stored, poison: refused, again } = outcome;
    poison.extend(refused.into_iter().map(|(sealed, reason)| (sealed.message, reason)));
    tracing::info!(
        messages = sqs.records.len(),
        events = stored.iter().map(|sealed| sealed.events).sum::<usize>(),
        poison = poison.len(),
        again = again.len(),
        beyond = beyond.len(),
        "batches stored"
    );
    let left = set_aside(&app.dead_letters, poison, start + SETTING_ASIDE).await;
    // Those who watch hear of what is in the store, once nothing else is left to do.
    let with_events = stored.into_iter().filter(|sealed| sealed.events > 0);
    let account_ids: BTreeSet<AccountId> = with_events.map(|sealed| sealed.account_id).collect();
    if !account_ids.is_empty() {
        app.watchers.stored(&account_ids).await;
    }
    again.iter().chain(&beyond).map(|sealed| sealed.message).chain(left).collect()
}

/// Moves messages to the dead-letter queue. Returns those that it has not taken in time.
async fn set_aside<'m>(
    dead_letters: &impl DeadLetters,
    poison: Vec<(&'m Message, String)>,
    until: Instant,
) -> Vec<&'m Message> {
    let moving = poison.into_iter().map(|(message, reason)| async move {
        tracing::error!(message.id = message.message_id, error.cause = reason, "message can never be stored");
        let cause = match timeout_at(until, dead_letters.set_aside(message.body.clone(), &reason)).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::error!(message.id = message.message_id, error.cause = cause, "message could not be set aside");
        Some(message)
    });
    let moving: Vec<_> = moving.collect();
    let left: Vec<Option<&Message>> = stream::iter(moving).buffer_unordered(AT_ONCE).collect().await;
    left.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
