//! SQS `events` → ClickHouse: sealed batches become rows.
//!
//! Every step may run twice: storing a batch again changes nothing, and neither does setting one aside again. A message
//! that can never be stored is moved to the dead-letter queue at once, with its reason, so that it does not hold up its
//! neighbours; one that could not be stored now is reported back and comes again.

use std::future::Future;

use analytics_domain::event::{SealedBatch, open};
use analytics_messaging::{Queue, QueueError};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, WarehouseError};
use serde::{Deserialize, Serialize};

/// Where events are kept.
pub trait Store: Sync {
    fn store(&self, batches: &[SealedBatch<'_>]) -> impl Future<Output = Result<(), WarehouseError>> + Send;
}

/// Where messages go that can never be stored.
pub trait DeadLetters: Sync {
    fn set_aside(&self, body: String, reason: &str) -> impl Future<Output = Result<(), QueueError>> + Send;
}

impl Store for EventWarehouse {
    async fn store(&self, batches: &[SealedBatch<'_>]) -> Result<(), WarehouseError> {
        Self::store(self, batches).await
    }
}

impl DeadLetters for Queue {
    async fn set_aside(&self, body: String, reason: &str) -> Result<(), QueueError> {
        self.send_with_reason(body, reason).await
    }
}

/// What the function is made of.
pub struct App<S, D> {
    pub store: S,
    pub dead_letters: D,
}

impl App<EventWarehouse, Queue> {
    /// Reads `DEAD_LETTER_QUEUE_URL` and the keys of the adapters.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        Ok(Self {
            store: EventWarehouse::from_lookup(lookup)?,
            dead_letters: Queue::new(&sdk, lookup.required("DEAD_LETTER_QUEUE_URL")?),
        })
    }
}

/// The messages of one invocation.
#[derive(Deserialize)]
pub struct SqsBatch {
    #[serde(rename = "Records")]
    pub records: Vec<Message>,
}

/// One SQS message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub message_id: String,
    pub body: String,
}

/// The messages that must come again; all others are done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartialFailure {
    pub batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    pub item_identifier: String,
}

/// Stores the events of all messages.
pub async fn handle<S: Store, D: DeadLetters>(app: &App<S, D>, sqs: SqsBatch) -> PartialFailure {
    let mut failures = PartialFailure::default();
    let mut opened = Vec::with_capacity(sqs.records.len());
    for message in sqs.records {
        match open(&message.body) {
            Ok(bytes) => opened.push((message, bytes)),
            Err(error) => set_aside(app, message, &error.to_string(), &mut failures).await,
        }
    }
    let mut batches = Vec::with_capacity(opened.len());
    let mut poison = Vec::new();
    for (place, (_, bytes)) in opened.iter().enumerate() {
        match SealedBatch::from_bytes(bytes) {
            Ok(batch) => batches.push((place, batch)),
            Err(error) => poison.push((place, error.to_string())),
        }
    }
    let events: usize = batches.iter().map(|(_, batch)| batch.events.len()).sum();
    let messages = opened.len();
    let mut again = Vec::new();
    store(app, batches, &mut poison, &mut again).await;
    tracing::info!(messages, events, poison = poison.len(), again = again.len(), "stored");
    let mut messages: Vec<Option<Message>> = opened.into_iter().map(|(message, _)| Some(message)).collect();
    failures.batch_item_failures.extend(
        again
            .into_iter()
            .filter_map(|place| messages[place].take())
            .map(|message| ItemFailure { item_identifier: message.message_id }),
    );
    for (place, reason) in poison {
        if let Some(message) = messages[place].take() {
            set_aside(app, message, &reason, &mut failures).await;
        }
    }
    failures
}

/// Stores all batches at once. If ClickHouse refuses their content, each half is tried by itself, until the one batch
/// that it does refuse stands alone: it is poison, the others are stored.
async fn store<S: Store, D>(
    app: &App<S, D>,
    batches: Vec<(usize, SealedBatch<'_>)>,
    poison: &mut Vec<(usize, String)>,
    again: &mut Vec<usize>,
) {
    let mut waiting = vec![batches];
    while let Some(mut group) = waiting.pop() {
        let (places, batches): (Vec<usize>, Vec<SealedBatch>) = group.drain(..).unzip();
        if batches.is_empty() {
            continue;
        }
        match app.store.store(&batches).await {
            Ok(()) => {}
            Err(WarehouseError::Refused(reason)) => match places.as_slice() {
                [place] => poison.push((*place, reason)),
                _ => {
                    let mut group: Vec<_> = places.into_iter().zip(batches).collect();
                    let half = group.split_off(group.len() / 2);
                    waiting.extend([half, group]);
                }
            },
            Err(error) => {
                tracing::warn!(error.cause = %error, messages = places.len(), "not stored now, will come again");
                again.extend(places);
            }
        }
    }
}

/// Moves a message to the dead-letter queue; if that is down, the message comes again.
async fn set_aside<S, D: DeadLetters>(app: &App<S, D>, message: Message, reason: &str, failures: &mut PartialFailure) {
    tracing::error!(message.id = message.message_id, error.cause = reason, "set aside");
    let Message { message_id, body } = message;
    if let Err(error) = app.dead_letters.set_aside(body, reason).await {
        tracing::error!(message.id = message_id, error.cause = %error, "could not be set aside, will come again");
        failures.batch_item_failures.push(ItemFailure { item_identifier: message_id });
    }
}

#[cfg(test)]
mod tests;
