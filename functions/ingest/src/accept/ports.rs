//! What the accept path needs of the outside, small enough for tests to play.

use std::future::Future;

use analytics_domain::{
    account::AccountId,
    idempotency::{Answer, Start, Ticket},
};
use analytics_dynamo::AnswerTable;

/// Something behind us is down; the cause is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{what} is unavailable: {cause}")]
pub struct Unavailable {
    pub what: &'static str,
    pub cause: String,
}

/// Where sealed batches go.
pub trait SealedQueue: Sync {
    /// Returns once the queue has taken the message.
    fn send(&self, account_id: &AccountId, message: String) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// What was answered to requests with an idempotency key.
pub trait Answers: Sync {
    fn start(&self, ticket: &Ticket, now: i64) -> impl Future<Output = Result<Start, Unavailable>> + Send;
    fn finish(&self, ticket: &Ticket, answer: &Answer) -> impl Future<Output = Result<(), Unavailable>> + Send;
    fn release(&self, ticket: &Ticket) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

fn table(error: impl std::fmt::Display) -> Unavailable {
    Unavailable { what: "the store of idempotency keys", cause: error.to_string() }
}

impl Answers for AnswerTable {
    async fn start(&self, ticket: &Ticket, now: i64) -> Result<Start, Unavailable> {
        Self::start(self, ticket, now).await.map_err(table)
    }

    async fn finish(&self, ticket: &Ticket, answer: &Answer) -> Result<(), Unavailable> {
        Self::finish(self, ticket, answer).await.map_err(table)
    }

    async fn release(&self, ticket: &Ticket) -> Result<(), Unavailable> {
        Self::release(self, ticket).await.map_err(table)
    }
}
