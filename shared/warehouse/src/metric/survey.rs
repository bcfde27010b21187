//! A look at an account's events: their names, and what their properties hold.

use analytics_domain::account::AccountId;

use super::read::{Source, number, text};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Names of an account's events that formulas are read with. Any other name stands in quotes.
pub const EVENT_NAMES: usize = 2_000;

/// What a property held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Different ones, about.
    pub values: u64,
    pub texts: u64,
    pub numbers: u64,
}

impl EventWarehouse {
    /// Names of events that an account has sent in the last month, the one that came last first. [`EVENT_NAMES`] at most.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn event_names(&self, account_id: &AccountId, now: i64) -> Result<Vec<String>, WarehouseError> {
        self.ask(&event_names(account_id, now)).await
    }

    /// What some properties of events of these names held in the last day, as far as a look at the latest ones tells.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn survey(
        &self,
        account_id: &AccountId,
        event_names: &[String],
        paths: &[String],
        now: i64,
    ) -> Result<Vec<Fact>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT ");
        for (place, path) in paths.iter().enumerate() {
            statement.push(if place > 0 { ", (uniq(" } else { "[(uniq(" });
            text(&mut statement, Source::Events, path);
            statement.push("), count(");
            text(&mut statement, Source::Events, path);
            statement.push("), count(");
            if path.starts_with('$') {
                statement.push("NULL");
            } else {
                number(&mut statement, path);
            }
            statement.push("))");
        }
        statement.push(if paths.is_empty() { "CAST([], 'Array(Tuple(UInt64, UInt64, UInt64))')" } else { "]" });
        statement.push(" AS facts FROM events WHERE account_id = ").text(account_id);
        statement.push(" AND event_name IN ").texts(event_names).push(" AND timestamp >= ").time(now - 86_400_000);
        statement.push(" SETTINGS max_rows_to_read = 3000000, read_overflow_mode = 'break'");
        let found: Vec<Vec<(u64, u64, u64)>> = self.ask(&statement).await?;
        let facts = found.into_iter().flatten().map(|(values, texts, numbers)| Fact { values, texts, numbers });
        Ok(facts.collect())
    }
}

pub(super) fn event_names(account_id: &AccountId, now: i64) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT toString(event_name) FROM events WHERE account_id = ").text(account_id);
    statement.push(" AND timestamp >= ").time(now - 30 * 86_400_000);
    // Names of the same time are in order, so that the same names are told each time.
    statement.push(" GROUP BY event_name ORDER BY max(timestamp) DESC, event_name LIMIT ");
    statement.integer(i64::try_from(EVENT_NAMES).unwrap_or(i64::MAX));
    statement
}
