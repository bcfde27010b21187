//! Accounts whose events were stored are announced to those who watch them. Nothing waits for it for long: what is not
//! announced now is in the numbers that the next announcement brings.

use std::{collections::BTreeSet, time::Duration};

use analytics_domain::{account::AccountId, live::LiveMessage};
use analytics_dynamo::Watched;
use analytics_messaging::LiveQueue;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

/// Messages on their way at the same time.
const AT_ONCE: usize = 64;
/// For all messages together.
const PATIENCE: Duration = Duration::from_millis(700);

/// Those who watch, and are told that there is something new.
pub trait Watchers: Sync {
    fn stored(&self, account_ids: &BTreeSet<AccountId>) -> impl Future<Output = ()> + Send;
}

/// Announces the accounts that somebody watches.
pub struct Announcing {
    pub live: LiveQueue,
    pub watched: Watched,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
}

impl Watchers for Announcing {
    async fn stored(&self, account_ids: &BTreeSet<AccountId>) {
        let at = (self.now)();
        let watched = self.watched.among(account_ids, at).await;
        let count = watched.len();
        let sending: Vec<_> = watched.into_iter().map(|account_id| self.announce(account_id, at)).collect();
        if timeout(PATIENCE, stream::iter(sending).buffer_unordered(AT_ONCE).collect::<()>()).await.is_err() {
            tracing::warn!(accounts = count, "the live queue did not take all announcements in time");
        }
    }
}

impl Announcing {
    async fn announce(&self, account_id: &AccountId, at: i64) {
        let message = LiveMessage::Stored { account_id: account_id.into(), at };
        if let Err(error) = self.live.announce(&message).await {
            tracing::warn!(account.id = account_id.as_str(), error.cause = %error, "stored events were not announced");
        }
    }
}
