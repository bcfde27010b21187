//! Where accepted events go: always to be stored, and to those who watch, while somebody does.

use analytics_domain::{account::AccountId, live::LiveMessage};
use analytics_dynamo::Watched;
use analytics_messaging::{LiveQueue, Queue};

use crate::accept::{SealedQueue, Unavailable};

/// The queue of sealed batches, and the live one.
pub struct Fanout {
    events: Queue,
    live: LiveQueue,
    watched: Watched,
    /// Epoch milliseconds.
    now: fn() -> i64,
}

impl Fanout {
    #[must_use]
    pub const fn new(events: Queue, live: LiveQueue, watched: Watched, now: fn() -> i64) -> Self {
        Self { events, live, watched, now }
    }

    /// Shows accepted events to those who watch. That they do not see some is no reason to refuse what has been taken.
    async fn show(&self, account_id: &AccountId, sealed: &str) {
        let message = LiveMessage::Events { account_id: account_id.into(), sealed: sealed.into() };
        if let Err(error) = self.live.announce(&message).await {
            tracing::warn!(account.id = account_id.as_str(), error.cause = %error, "accepted events are not shown live");
        }
    }
}

impl SealedQueue for Fanout {
    async fn send(&self, account_id: &AccountId, message: String) -> Result<(), Unavailable> {
        let unavailable =
            |error: analytics_messaging::QueueError| Unavailable { what: "the queue", cause: error.to_string() };
        let now = (self.now)();
        if self.watched.believed(account_id, now) == Some(false) {
            return self.events.send(message).await.map_err(unavailable);
        }
        let (sent, is_watched) = tokio::join!(self.events.send(message.clone()), self.watched.look_up(account_id, now));
        sent.map_err(unavailable)?;
        if is_watched {
            self.show(account_id, &message).await;
        }
        Ok(())
    }
}
