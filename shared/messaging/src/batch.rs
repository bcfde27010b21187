//! What Lambda calls a function with that reads a queue, and what the function answers:
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use serde::{Deserialize, Serialize};

/// The messages of one call.
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
    #[serde(default)]
    pub attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    /// Of a FIFO queue's message.
    #[serde(default)]
    pub message_group_id: String,
    /// The sender's trace, as [`Trace::parse`](analytics_platform::trace::Trace::parse) reads it.
    #[serde(default, rename = "AWSTraceHeader")]
    pub trace_header: Option<String>,
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

impl<'m> FromIterator<&'m Message> for PartialFailure {
    fn from_iter<I: IntoIterator<Item = &'m Message>>(again: I) -> Self {
        let failure = |message: &Message| ItemFailure { item_identifier: message.message_id.clone() };
        Self { batch_item_failures: again.into_iter().map(failure).collect() }
    }
}
