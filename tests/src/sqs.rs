//! Queues of the stack, and queues of a test's own.

use std::collections::BTreeMap;

use analytics_platform::{aws, config::environment};
use anyhow::{Context, Result, ensure};
use aws_sdk_sqs::{
    Client,
    types::{Message, QueueAttributeName, SendMessageBatchRequestEntry},
};

/// Most messages, and most bytes of them, that go into one call.
const AT_ONCE: usize = 10;
const BYTES_AT_ONCE: usize = 900 * 1024;

/// One queue.
pub struct Queue {
    client: Client,
    pub url: String,
}

impl Queue {
    /// A queue of the stack.
    ///
    /// # Errors
    /// If the stack's settings are not in the environment.
    pub fn at(url: String) -> Result<Self> {
        Ok(Self { client: Client::new(&aws::sdk_config(&environment)?), url })
    }

    /// A new queue that nothing else reads.
    ///
    /// # Errors
    /// If it cannot be created.
    pub async fn create(name: &str) -> Result<Self> {
        let client = Client::new(&aws::sdk_config(&environment)?);
        let suffix: [u8; 8] = analytics_platform::random();
        let name = format!("{name}-{:016x}", u64::from_be_bytes(suffix));
        let limit = (QueueAttributeName::MaximumMessageSize, "1048576");
        let answer = client.create_queue().queue_name(name).attributes(limit.0, limit.1).send().await?;
        Ok(Self { client, url: answer.queue_url.context("a queue without an address")? })
    }

    /// Deletes the queue.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn remove(self) -> Result<()> {
        self.client.delete_queue().queue_url(self.url).send().await?;
        Ok(())
    }

    /// Sends all bodies in as few calls as they fit in.
    ///
    /// # Errors
    /// If one was not taken.
    pub async fn send_all(&self, bodies: &[String]) -> Result<()> {
        let mut waiting = bodies.iter().peekable();
        while waiting.peek().is_some() {
            let mut room = BYTES_AT_ONCE;
            let mut entries = Vec::new();
            while entries.len() < AT_ONCE
                && let Some(body) = waiting.next_if(|body| entries.is_empty() || body.len() <= room)
            {
                room = room.saturating_sub(body.len());
                let entry = SendMessageBatchRequestEntry::builder().id(entries.len().to_string()).message_body(body);
                entries.push(entry.build()?);
            }
            let answer =
                self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await?;
            ensure!(answer.failed().is_empty(), "{:?}", answer.failed());
        }
        Ok(())
    }

    /// Takes what is there, up to ten messages, with their attributes. They come again unless they are deleted.
    ///
    /// # Errors
    /// If the queue does not tell.
    pub async fn receive(&self) -> Result<Vec<Message>> {
        let request = self.client.receive_message().queue_url(&self.url).message_attribute_names("All");
        let answer = request.max_number_of_messages(10).wait_time_seconds(0).send().await?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn delete(&self, message: &Message) -> Result<()> {
        let request = self.client.delete_message().queue_url(&self.url);
        request.set_receipt_handle(message.receipt_handle.clone()).send().await?;
        Ok(())
    }

    /// Takes everything out of the queue: bodies in the order of their coming.
    ///
    /// # Errors
    /// If the queue does not tell.
    pub async fn drain(&self) -> Result<Vec<String>> {
        let mut bodies = Vec::new();
        loop {
            let messages = self.receive().await?;
            if messages.is_empty() {
                return Ok(bodies);
            }
            for message in messages {
                self.delete(&message).await?;
                bodies.extend(message.body);
            }
        }
    }

    /// Everything that can be received now, by body, with the attribute `reason`. It stays there.
    ///
    /// # Errors
    /// If the queue does not tell.
    pub async fn reasons(&self) -> Result<BTreeMap<String, Option<String>>> {
        let mut seen = Vec::new();
        loop {
            let messages = self.receive().await?;
            if messages.is_empty() {
                break;
            }
            seen.extend(messages);
        }
        let mut all = BTreeMap::new();
        for message in seen {
            let request = self.client.change_message_visibility().queue_url(&self.url).visibility_timeout(0);
            request.set_receipt_handle(message.receipt_handle.clone()).send().await?;
            let attributes = message.message_attributes.unwrap_or_default();
            let reason = attributes.get("reason").and_then(|reason| reason.string_value.clone());
            all.insert(message.body.unwrap_or_default(), reason);
        }
        Ok(all)
    }

    /// Deletes the messages with these bodies.
    ///
    /// # Errors
    /// If the queue does not tell.
    pub async fn remove_all(&self, bodies: &[String]) -> Result<()> {
        loop {
            let messages = self.receive().await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in
                messages.iter().filter(|message| message.body.as_ref().is_some_and(|body| bodies.contains(body)))
            {
                self.delete(message).await?;
            }
        }
    }

    /// How many messages the queue holds, those being worked on included.
    ///
    /// # Errors
    /// If the queue does not tell.
    pub async fn count(&self) -> Result<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await?;
        let attributes = answer.attributes.unwrap_or_default();
        names.iter().map(|name| Ok(attributes.get(name).context("no count")?.parse::<u64>()?)).sum()
    }
}
