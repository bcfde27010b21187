//! What is known of rollups: which buckets have changed since they were computed, and which series there are.
//!
//! A bucket is marked *after* the events that change it can be read, and a rollup's time of computing is taken *before* it
//! reads events. So a rollup whose time lies after the last mark has seen everything, however the two were interleaved.
//!
//! Only the shortest buckets are marked so. The longer ones are computed from them, by one process at a time, which marks what
//! they are a part of before it notes them as computed. So a longer bucket has seen everything if neither it nor a shorter one
//! within it lacks anything.

use std::collections::{HashMap, HashSet};

use analytics_domain::{
    account::AccountId,
    metric::{Freshness, Grain, Kept, buckets::Range},
};
use clickhouse::Row;
use serde::Deserialize;

use super::states::{Accounts, MOST_RANGES, of_accounts, within};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Stale buckets that an answer takes note of. Of more than that, it rather reads the events.
const MOST_STALE: usize = 5_000;

/// What answers need to know of an account's rollups.
#[derive(Clone, Debug, Default)]
pub struct Rollups {
    /// None if so much has changed that rollups are of no use.
    pub(super) freshness: Option<Freshness>,
    /// The series that are complete.
    pub(super) ready: HashSet<u64>,
}

/// Accounts that one statement asks about.
const ACCOUNTS: usize = 200;

#[derive(Deserialize, Row)]
struct Fact {
    account: String,
    /// 0: a series.
    grain: u32,
    value: u64,
}

impl EventWarehouse {
    /// What is known of the rollups of accounts over some time, in the order of the accounts.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn rollups(
        &self,
        account_ids: &[&AccountId],
        ranges: &[Range],
        now: i64,
    ) -> Result<Vec<Rollups>, WarehouseError> {
        let mut all = Vec::with_capacity(account_ids.len());
        for accounts in account_ids.chunks(ACCOUNTS) {
            all.extend(self.rollups_of(accounts, ranges, now).await?);
        }
        Ok(all)
    }

    async fn rollups_of(
        &self,
        accounts: Accounts<'_>,
        ranges: &[Range],
        now: i64,
    ) -> Result<Vec<Rollups>, WarehouseError> {
        let days: Vec<Range> = ranges
            .iter()
            .map(|range| Range {
                from: Grain::Day.floor(range.from),
                to: Grain::Day.floor(range.to) + Grain::Day.length(),
            })
            .collect();
        let account =
            if accounts.len() > 1 { "SELECT toString(account_id) AS account, " } else { "SELECT '' AS account, " };
        let mut statement = Statement::default();
        statement
            .push(account)
            .push("grain, toUInt64(toUnixTimestamp(bucket)) AS value FROM rollup_buckets FINAL WHERE ");
        of_accounts(&mut statement, accounts);
        statement.push(" AND ");
        within(&mut statement, "bucket", &days, MOST_RANGES);
        statement.push(" AND computed_at <= changed_at LIMIT ");
        statement.integer(i64::try_from(MOST_STALE).unwrap_or(i64::MAX));
        statement.push(if accounts.len() > 1 { " BY account_id" } else { "" });
        statement.push(" UNION ALL ").push(account);
        statement.push("toUInt32(0) AS grain, series AS value FROM rollup_series FINAL WHERE ");
        of_accounts(&mut statement, accounts);
        statement.push(" AND ready").by_one_thread();
        let mut facts: HashMap<String, Vec<Fact>> = HashMap::new();
        for fact in self.ask::<Fact>(&statement).await? {
            facts.entry(fact.account.clone()).or_default().push(fact);
        }
        let of = |account: &&AccountId| facts.get(if accounts.len() > 1 { account.as_str() } else { "" });
        Ok(accounts.iter().map(|account| Rollups::new(of(account).map_or(&[], Vec::as_slice), now)).collect())
    }
}

impl Rollups {
    fn new(facts: &[Fact], now: i64) -> Self {
        let mut stale = Vec::new();
        let mut ready = HashSet::new();
        for fact in facts {
            match Grain::from_seconds(fact.grain) {
                None => drop(ready.insert(fact.value)),
                Some(grain) => stale.push((grain, i64::try_from(fact.value).unwrap_or(0) * 1_000)),
            }
        }
        let freshness = (stale.len() < MOST_STALE).then(|| Freshness::new(stale, Kept::at(now)));
        Self { freshness, ready }
    }
}
