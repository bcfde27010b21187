//! Sockets on which nothing is said: whether their tokens still count is looked at now and then, since no frame and no message
//! of theirs has it looked at.

use futures_util::{StreamExt, stream};
use tokio::time::timeout_at;

use crate::{App, account::Account, budget::Budget};

/// Accounts at the same time.
const AT_ONCE: usize = 8;

/// Ends the connections whose token has ended, or was signed by a key that counts no longer. While nobody is connected, it
/// reads one empty list.
pub async fn end_invalid(app: &App) {
    let budget = Budget::new();
    let accounts = match app.connections.accounts((app.now)()).await {
        Ok(accounts) => accounts,
        Err(error) => {
            tracing::warn!(error.cause = %error, "idle connections were not looked at");
            return;
        }
    };
    let count = accounts.len();
    let looking = accounts.iter().map(|account_id| async move {
        match Account::load(app, account_id, budget).await {
            Ok(mut account) => account.end_those_who_may_not_stay().await,
            Err(error) => {
                tracing::warn!(account.id = account_id, error.cause = %error, "connections were not looked at")
            }
        }
    });
    let looking: Vec<_> = looking.collect();
    let all = stream::iter(looking).buffer_unordered(AT_ONCE).collect::<()>();
    if timeout_at(budget.answering(), all).await.is_err() {
        tracing::warn!(accounts = count, "there was no time to look at the connections of all accounts");
    }
}
