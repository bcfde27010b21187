//! The live queue: messages to the function that sends frames to subscribers.

use analytics_domain::live::LiveMessage;
use analytics_platform::config::{ConfigError, Lookup};

use crate::{Queue, QueueError, Queues};

/// The one announcer of live messages.
#[derive(Clone, Debug)]
pub struct LiveQueue {
    queue: Queue,
}

impl LiveQueue {
    /// Reads `LIVE_QUEUE_URL`, the address of a FIFO queue.
    ///
    /// # Errors
    /// If the key is missing.
    pub fn from_queues(queues: &Queues, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self { queue: Queue::new(queues.clone(), lookup.required("LIVE_QUEUE_URL")?) })
    }

    /// Announces something, behind everything that was announced in the same group. The same message again counts once.
    ///
    /// # Errors
    /// If the queue has not confirmed it; it may have taken it all the same.
    pub async fn announce(&self, message: &LiveMessage<'_>) -> Result<(), QueueError> {
        let text = serde_json::to_string(message).map_err(|error| QueueError::Refused(error.to_string()))?;
        self.queue.send_in_group(text, &message.group()).await
    }
}
