//! Groups that have changed their id.

use std::collections::HashMap;

use analytics_domain::{
    account::AccountId,
    metric::{Aliases, GROUP},
};

use super::{
    read::{Source, text},
    states::{Accounts, of_accounts},
};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Changes of an account that are taken note of, the last ones, and the longest id of a group, in bytes: they go into parameters of
/// statements.
const MOST: i64 = 500;
const LONGEST: i64 = 100;

/// Accounts that one statement asks about.
const ACCOUNTS: usize = 200;

impl EventWarehouse {
    /// Which ids mean the same group, as the events `group_changed` of each account tell.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn aliases(&self, account_ids: &[&AccountId]) -> Result<Vec<Aliases>, WarehouseError> {
        let mut changes: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for accounts in account_ids.chunks(ACCOUNTS) {
            for (account, old, new) in self.ask::<(String, String, String)>(&statement(accounts)).await? {
                changes.entry(account).or_default().push((old, new));
            }
        }
        let of = |account: &&AccountId| changes.remove(account.as_str()).unwrap_or_default();
        Ok(account_ids.iter().map(of).map(Aliases::of).collect())
    }
}

pub(super) fn statement(accounts: Accounts<'_>) -> Statement {
    let mut statement = Statement::default();
    statement.push(
        "SELECT account, assumeNotNull(old), assumeNotNull(new) FROM (SELECT account, at, event_id, old, new FROM (",
    );
    statement.push("SELECT toString(account_id) AS account, timestamp AS at, event_id");
    for (path, name) in [(GROUP, "old"), ("newGroupId", "new"), ("change", "change")] {
        // Of copies of the same event, the first one counts.
        statement.push(", argMax(tuple(");
        text(&mut statement, Source::Events, path);
        statement.push("), version).1 AS ").push(name);
    }
    statement.push(" FROM events WHERE ");
    of_accounts(&mut statement, accounts);
    statement.push(" AND event_name = 'group_changed' GROUP BY account, at, event_id) WHERE change = 'migrated' AND old != '' AND new != '' AND length(old) <= ");
    statement.integer(LONGEST).push(" AND length(new) <= ").integer(LONGEST);
    statement.push(" ORDER BY at DESC, event_id DESC LIMIT ").integer(MOST);
    statement.push(" BY account) ORDER BY at, event_id").by_one_thread();
    statement
}
