//! SQS, as the functions need it: a queue that takes messages, with what a caller can act on as its errors.

mod batch;
mod live;

use std::time::Duration;

use analytics_platform::{aws, trace::Trace};
pub use aws_sdk_sqs::Client as Queues;
use aws_sdk_sqs::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::send_message::builders::SendMessageFluentBuilder,
    types::{
        MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    },
};
use aws_types::SdkConfig;
pub use batch::{ItemFailure, Message, PartialFailure, SqsBatch};
pub use live::LiveQueue;

/// A queue did not take or tell something.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Try again: throttled, unreachable, or failing on its side.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// Trying again won't help: no such queue, not allowed, message refused.
    #[error("the queue refused: {0}")]
    Refused(String),
}

/// One SQS queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A client for all queues.
#[must_use]
pub fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_sqs::config::Builder::from(config)
        .retry_config(RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(50)))
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(3))
                .operation_timeout(Duration::from_secs(7))
                .build(),
        )
        .build();
    Client::from_conf(config)
}

impl Queue {
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Sends one message and returns once SQS has taken it.
    ///
    /// # Errors
    /// If SQS has not confirmed it; it may have taken it all the same.
    pub async fn send(&self, body: String) -> Result<(), QueueError> {
        send(self.message(body)?).await
    }

    /// Sends one message to a FIFO queue, behind all others of its group, and returns once SQS has taken it. The same message
    /// again counts once.
    ///
    /// # Errors
    /// As [`Queue::send`].
    async fn send_in_group(&self, body: String, group: &str) -> Result<(), QueueError> {
        send(self.message(body)?.message_group_id(group)).await
    }

    /// Sends one message that says, in its attribute `reason`, why it is here.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub async fn send_with_reason(&self, body: String, reason: &str) -> Result<(), QueueError> {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(printable(reason)).build();
        // Only a missing data type fails to build.
        let attribute = attribute.map_err(|error| QueueError::Refused(error.to_string()))?;
        send(self.message(body)?.message_attributes("reason", attribute)).await
    }

    /// A message of the trace that the caller is a part of.
    fn message(&self, body: String) -> Result<SendMessageFluentBuilder, QueueError> {
        let message = self.client.send_message().queue_url(&self.url).message_body(body);
        let Some(trace) = Trace::current() else { return Ok(message) };
        let header = MessageSystemAttributeValue::builder().data_type("String").string_value(trace.header()).build();
        let header = header.map_err(|error| QueueError::Refused(error.to_string()))?;
        Ok(message.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, header))
    }

    /// How many messages wait, about.
    ///
    /// # Errors
    /// If SQS does not tell.
    pub async fn waiting(&self) -> Result<u64, QueueError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let answer = request.send().await.map_err(|error| classify(&error))?;
        Ok(answer.attributes().and_then(|all| all.get(&name)?.parse().ok()).unwrap_or_default())
    }
}

async fn send(message: SendMessageFluentBuilder) -> Result<(), QueueError> {
    message.send().await.map(drop).map_err(|error| classify(&error))
}

/// A reason as SQS takes it: it may quote anything, and a message whose reason is refused could never be set aside.
fn printable(reason: &str) -> String {
    /// Leaves room for the largest body in SQS's 1 MiB.
    const CHARS: usize = 1_000;
    let is_refused = |char: char| char.is_control() || matches!(char, '\u{FFFE}' | '\u{FFFF}');
    reason.chars().take(CHARS).map(|char| if is_refused(char) { ' ' } else { char }).collect()
}

fn classify<E: ProvideErrorMetadata>(error: &SdkError<E>) -> QueueError {
    let text = aws::describe(error);
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(400 | 403 | 404) => QueueError::Refused(text),
        _ => QueueError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_reason_holds_only_what_sqs_takes() {
        assert_eq!(printable("cannot parse 限时\0\u{1}\n\u{FFFF}"), "cannot parse 限时    ");
        assert_eq!(printable(&"я".repeat(5_000)).chars().count(), 1_000);
    }
}
