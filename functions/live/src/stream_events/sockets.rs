//! Sockets on which nothing is said: whether their tokens still count is looked at now and then, since no frame and no message
//! of theirs has it looked at.

use analytics_domain::account::AccountId;
use futures_util::{StreamExt, stream};
use tokio::time::timeout_at;

use crate::stream_events::{App, account::Account, budget::Budget};

/// Accounts at the same time.
const AT_ONCE: usize = 8;

/// Ends the connections whose token has ended, or was signed by a key that counts no longer. While nobody is connected, it
/// reads one empty list.
pub async fn end_invalid(app: &App) {
    let budget = Budget::new(1);
    let accounts = match app.connections.accounts((app.now)()).await {
        Ok(accounts) => accounts,
        Err(error) => {
            tracing::warn!(error.cause = %error, "idle connections were not looked at");
            return;
        }
    };
    let count = accounts.len();
    let accounts = from_anywhere(accounts, u64::from_be_bytes(analytics_platform::random()));
    let all = stream::iter(accounts).for_each_concurrent(AT_ONCE, |account_id| check(app, account_id, budget));
    if timeout_at(budget.answering(), all).await.is_err() {
        tracing::warn!(accounts = count, "there was no time to look at the connections of all accounts");
    }
}

/// The accounts from a random one on. If there is no time for all of them, each has the same chance, and the last of a fixed
/// order are not left out again and again.
fn from_anywhere<T>(mut accounts: Vec<T>, random: u64) -> Vec<T> {
    if let Some(start) = random.checked_rem(accounts.len() as u64) {
        accounts.rotate_left(usize::try_from(start).unwrap_or(0));
    }
    accounts
}

/// The connections of one account are forgotten at once: those of all accounts would not fit into the memory.
async fn check(app: &App, account_id: AccountId, budget: Budget) {
    match app.connections.list(&account_id, (app.now)()).await {
        Ok(connections) => Account::of(app, &account_id, connections, budget).end_those_who_may_not_stay().await,
        Err(error) => {
            tracing::warn!(account.id = account_id.as_str(), error.cause = %error, "connections were not looked at")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_account_may_be_the_first_to_be_looked_at() {
        let accounts = ["a", "b", "c"].map(str::to_owned);
        let orders: Vec<Vec<String>> = (0..6).map(|random| from_anywhere(accounts.to_vec(), random)).collect();
        let firsts: BTreeSet<&String> = orders.iter().map(|order| &order[0]).collect();
        assert_eq!(firsts.len(), 3);
        assert!(
            orders
                .iter()
                .all(|order| order.iter().collect::<BTreeSet<_>>() == accounts.iter().collect::<BTreeSet<_>>())
        );
        assert!(from_anywhere(Vec::<String>::new(), 7).is_empty());
    }
}
