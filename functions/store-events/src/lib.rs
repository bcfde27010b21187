//! SQS `events` → ClickHouse: sealed batches become rows.
//!
//! Every step may run twice: storing a batch again changes nothing, and neither does setting one aside again. A message
//! that can never be stored is moved to the dead-letter queue at once, with its reason, so that it does not hold up its
//! neighbours; one that could not be stored now is reported back and comes again.

use std::{collections::BTreeSet, future::Future};

use analytics_domain::{
    event::{SealError, SealedBatch, open},
    live::LiveMessage,
};
use analytics_dynamo::{ConnectionTable, Watched};
use analytics_messaging::{Message, PartialFailure, Queue, QueueError, SqsBatch};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, WarehouseError};

/// Where events are kept.
pub trait Store: Sync {
    /// Stores the events of sealed batches, each as its message has it.
    fn store(&self, messages: &[&str]) -> impl Future<Output = Result<(), WarehouseError>> + Send;
}

/// Where messages go that can never be stored.
pub trait DeadLetters: Sync {
    fn set_aside(&self, body: String, reason: &str) -> impl Future<Output = Result<(), QueueError>> + Send;
}

impl Store for EventWarehouse {
    async fn store(&self, messages: &[&str]) -> Result<(), WarehouseError> {
        Self::store(self, messages).await
    }
}

/// Those who watch, and are told that there is something new.
pub trait News: Sync {
    fn stored(&self, account_ids: &BTreeSet<String>) -> impl Future<Output = ()> + Send;
}

/// The live queue, for accounts that somebody watches.
pub struct LiveNews {
    live: Queue,
    watched: Watched,
    /// Epoch milliseconds.
    now: fn() -> i64,
}

impl News for LiveNews {
    async fn stored(&self, account_ids: &BTreeSet<String>) {
        let at = (self.now)();
        for account_id in account_ids {
            if !self.watched.look_up(account_id, at).await {
                continue;
            }
            let message = LiveMessage::Stored { account_id: account_id.into(), at };
            let Ok(text) = serde_json::to_string(&message) else { continue };
            if let Err(error) = self.live.send_in_group(text, &message.group()).await {
                tracing::warn!(account.id = account_id, error.cause = %error, "those who watch are not told");
            }
        }
    }
}

impl DeadLetters for Queue {
    async fn set_aside(&self, body: String, reason: &str) -> Result<(), QueueError> {
        self.send_with_reason(body, reason).await
    }
}

/// What the function is made of.
pub struct App<S, D, N> {
    pub store: S,
    pub dead_letters: D,
    pub news: N,
}

impl App<EventWarehouse, Queue, LiveNews> {
    /// Reads `DEAD_LETTER_QUEUE_URL`, `LIVE_QUEUE_URL`, `CONNECTIONS_TABLE` and the keys of the adapters.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        let queues = analytics_messaging::client(&sdk);
        Ok(Self {
            store: EventWarehouse::from_lookup(lookup)?,
            news: LiveNews {
                live: Queue::new(queues.clone(), lookup.required("LIVE_QUEUE_URL")?),
                watched: Watched::new(ConnectionTable::new(
                    analytics_dynamo::client(&sdk),
                    lookup.required("CONNECTIONS_TABLE")?,
                )),
                now: analytics_platform::now_millis,
            },
            dead_letters: Queue::new(queues, lookup.required("DEAD_LETTER_QUEUE_URL")?),
        })
    }
}

/// Stores the events of all messages.
pub async fn handle<S: Store, D: DeadLetters, N: News>(app: &App<S, D, N>, sqs: SqsBatch) -> PartialFailure {
    let (mut good, mut poison, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let (mut events, mut account_ids) = (0, BTreeSet::new());
    for message in &sqs.records {
        match count(&message.body) {
            Ok((account_id, held)) => {
                events += held;
                account_ids.insert(account_id);
                good.push(message);
            }
            Err(error) => poison.push((message, error.to_string())),
        }
    }
    store(&app.store, good, &mut poison, &mut again).await;
    app.news.stored(&account_ids).await;
    tracing::info!(messages = sqs.records.len(), events, poison = poison.len(), again = again.len(), "stored");
    for (message, reason) in poison {
        if let Err(error) = set_aside(&app.dead_letters, message, &reason).await {
            tracing::error!(message.id = message.message_id, error.cause = %error, "could not be set aside, will come again");
            again.push(message);
        }
    }
    again.into_iter().collect()
}

/// Whose events a message holds, and how many accepted ones.
fn count(body: &str) -> Result<(String, usize), SealError> {
    let bytes = open(body)?;
    let batch = SealedBatch::from_bytes(&bytes)?;
    Ok((batch.account_id.to_string(), batch.events.len()))
}

/// Stores all messages at once. If ClickHouse refuses their content, each half is tried by itself, until the one message
/// that it does refuse stands alone: it is poison, the others are stored.
async fn store<'m>(
    store: &impl Store,
    messages: Vec<&'m Message>,
    poison: &mut Vec<(&'m Message, String)>,
    again: &mut Vec<&'m Message>,
) {
    let mut waiting = vec![messages];
    while let Some(mut group) = waiting.pop() {
        if group.is_empty() {
            continue;
        }
        let bodies: Vec<&str> = group.iter().map(|message| &*message.body).collect();
        match store.store(&bodies).await {
            Ok(()) => {}
            Err(WarehouseError::Refused(reason)) => match group.as_slice() {
                [message] => poison.push((*message, reason)),
                _ => {
                    let half = group.split_off(group.len() / 2);
                    waiting.extend([half, group]);
                }
            },
            Err(error) => {
                tracing::warn!(error.cause = %error, messages = group.len(), "not stored now, will come again");
                again.extend(group);
            }
        }
    }
}

/// Moves a message to the dead-letter queue.
async fn set_aside(dead_letters: &impl DeadLetters, message: &Message, reason: &str) -> Result<(), QueueError> {
    tracing::error!(message.id = message.message_id, error.cause = reason, "set aside");
    dead_letters.set_aside(message.body.clone(), reason).await
}

#[cfg(test)]
mod tests;
