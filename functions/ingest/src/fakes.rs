//! Fakes of the queue and the table behind the accept path, for unit tests.

use std::sync::{Mutex, PoisonError};

use analytics_domain::{
    account::AccountId,
    event::{SealedBatch, open},
    idempotency::{Answer, Start, Ticket},
};
use analytics_testkit::NOW;

use crate::accept::{Advised, Answers, App, SealedQueue, Unavailable};

/// A queue that remembers what it took, or is down.
#[derive(Debug, Default)]
pub struct FakeQueue {
    pub messages: Mutex<Vec<String>>,
    pub down: bool,
}

impl FakeQueue {
    /// Every event in the queue: name and id.
    pub fn events(&self) -> Vec<(String, String)> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for message in messages.iter() {
            let bytes = open(message).expect("is sealed");
            let batch = SealedBatch::from_bytes(&bytes).expect("is a batch");
            events.extend(batch.events.iter().map(|event| (event.event_name.to_string(), event.event_id.to_string())));
        }
        events
    }
}

impl SealedQueue for FakeQueue {
    async fn send(&self, _account_id: &AccountId, message: String) -> Result<(), Unavailable> {
        if self.down {
            return Err(Unavailable { what: "the queue", cause: "it is down".to_owned() });
        }
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        Ok(())
    }
}

/// A memory of answers that always says the same at the start, and remembers how requests ended.
#[derive(Debug)]
pub struct FakeAnswers {
    pub start: Start,
    pub finished: Mutex<Vec<Answer>>,
    pub released: Mutex<u32>,
}

impl FakeAnswers {
    pub fn starting(start: Start) -> Self {
        Self { start, finished: Mutex::default(), released: Mutex::default() }
    }
}

impl Answers for FakeAnswers {
    async fn start(&self, _: &Ticket, _: i64) -> Result<Start, Unavailable> {
        Ok(self.start.clone())
    }

    async fn finish(&self, _: &Ticket, answer: &Answer) -> Result<(), Unavailable> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push(answer.clone());
        Ok(())
    }

    async fn release(&self, _: &Ticket) -> Result<(), Unavailable> {
        *self.released.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ok(())
    }
}

/// An app of the accept path, whose requests are new.
pub fn app() -> App<FakeQueue, FakeAnswers> {
    App {
        queue: FakeQueue::default(),
        answers: FakeAnswers::starting(Start::Proceed { first_seen: NOW - 60_000 }),
        retention_days: 400,
        advised: Advised::default(),
    }
}
