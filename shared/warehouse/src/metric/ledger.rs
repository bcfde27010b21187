//! The books of rollups: which buckets have changed, which are computed, and which series are complete.

use std::collections::{BTreeMap, BTreeSet};

use analytics_domain::{account::AccountId, metric::Grain};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::{EventWarehouse, WarehouseError, classify, statement::Statement};

/// Stands among an account's series where a version before this one noted a request.
const REQUEST: u64 = 0;

/// Stale buckets of one length that are told of an account at once: the latest.
const MOST_BUCKETS: usize = 2_000;

/// Accounts that are told at once.
const MOST_ACCOUNTS: i64 = 1_000;

/// Stored buckets of one account and one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub account_id: AccountId,
    pub grain: Grain,
    /// Ascending.
    pub buckets: Vec<Bucket>,
}

impl Noted {
    /// Whether there may be more stale buckets than these.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.buckets.len() >= MOST_BUCKETS
    }
}

/// What is noted of a stored bucket: times in epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub start: i64,
    pub changed_at: i64,
    /// 0 if it never was.
    pub computed_at: i64,
}

impl Bucket {
    /// Whether it has changed since it was computed.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.computed_at <= self.changed_at
    }
}

/// What is known of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesState {
    Ready,
    Building,
    /// Cannot be kept: see [`EventWarehouse::roll`].
    Wide,
}

/// A deletion or another change of stored events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    pub id: String,
    /// None if its condition does not begin with an account: it may concern any.
    pub account_id: Option<AccountId>,
}

/// Each row says when, so that a series that changes back is no repeated insert.
#[derive(Row, Serialize)]
struct SeriesRow<'a> {
    account_id: &'a str,
    series: u64,
    ready: bool,
    wide: bool,
    changed_at: i64,
}

#[derive(Row, Serialize)]
struct BuiltRow<'a> {
    account_id: &'a str,
    since: i64,
    grain: u32,
    bucket: u32,
}

#[derive(Row, Serialize)]
struct ComputedRow<'a> {
    account_id: &'a str,
    grain: u32,
    bucket: u32,
    changed_at: i64,
    computed_at: i64,
}

/// The buckets of a condition that follows, as `noted`: start, last mark and last computing.
const NOTED: &str = "SELECT account_id, grain, (toInt64(toUnixTimestamp(bucket)) * 1000, \
                     toUnixTimestamp64Milli(max(changed_at) AS changed), toUnixTimestamp64Milli(max(computed_at) AS \
                     computed)) AS noted FROM rollup_buckets WHERE ";

impl EventWarehouse {
    /// ClickHouse's time, in epoch milliseconds: what changes are marked with.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn clock(&self) -> Result<i64, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toUnixTimestamp64Milli(now64(3))");
        Ok(self.ask::<i64>(&statement).await?.into_iter().sum())
    }

    /// Deletions and other changes of stored events that have ended and that rollups have not taken in.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn new_mutations(&self) -> Result<Vec<Mutation>, WarehouseError> {
        // ClickHouse writes conditions in its own way: `(account_id = 'a') AND …`.
        const NEW: &str = r"SELECT mutation_id AS id, if(match(command, '(?i)\\bor\\b'), '', extract(command,
            '^\\((?:UPDATE _row_exists = 0|DELETE) WHERE \\(?account_id = \'([^\'\\\\]+)\'(?:\\) AND |\\)$)')) AS account_id
            FROM system.mutations WHERE database = currentDatabase() AND table = 'events' AND is_done AND mutation_id NOT IN
            (SELECT mutation_id FROM rollup_mutations)";
        #[derive(Deserialize, Row)]
        struct Found {
            id: String,
            account_id: String,
        }
        let mut statement = Statement::default();
        statement.push(NEW);
        let account = |id: String| (!id.is_empty()).then(|| AccountId::stored(&id));
        let mutation = |found: Found| Mutation { id: found.id, account_id: account(found.account_id) };
        Ok(self.ask(&statement).await?.into_iter().map(mutation).collect())
    }

    /// Marks all buckets of these accounts as changed; of all accounts, unless some are named.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn mark_all(&self, account_ids: Option<&BTreeSet<AccountId>>) -> Result<(), WarehouseError> {
        let mut mark = Statement::default();
        mark.push(
            "INSERT INTO rollup_buckets (account_id, grain, bucket, changed_at) SELECT account_id, grain, bucket, now64(3) \
             FROM (SELECT DISTINCT account_id, grain, bucket FROM rollup_buckets",
        );
        if let Some(account_ids) = account_ids {
            mark.push(" WHERE account_id IN ").texts(account_ids);
        }
        mark.push(")");
        self.execute(&mark).await
    }

    /// Notes that rollups have taken in these mutations.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn take_in(&self, mutations: &[Mutation]) -> Result<(), WarehouseError> {
        let ids = mutations.iter().map(|mutation| &mutation.id);
        let mut take = Statement::default();
        take.push("INSERT INTO rollup_mutations (mutation_id) SELECT arrayJoin(").texts(ids).push(")");
        self.execute(&take).await
    }

    /// Accounts with stale buckets that were marked or computed since `since`, in order and behind `after`, each with the time
    /// of its oldest such mark. Fewer than told at once means that these are the last.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn lagging(&self, since: i64, after: &str) -> Result<Vec<(AccountId, i64)>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push(
            "SELECT account_id, toUnixTimestamp64Milli(min(changed)) FROM (SELECT account_id, grain, bucket, \
             max(changed_at) AS changed, max(computed_at) AS computed FROM rollup_buckets WHERE grain > 10 AND account_id > ",
        );
        statement.text(after).push(" AND (changed_at >= ").time(since).push(" OR computed_at >= ").time(since);
        statement.push(
            ") GROUP BY account_id, grain, bucket HAVING computed <= changed) GROUP BY account_id ORDER BY account_id LIMIT ",
        );
        statement.integer(MOST_ACCOUNTS);
        let found = self.ask::<(String, i64)>(&statement).await?;
        Ok(found.into_iter().map(|(id, since)| (AccountId::stored(&id), since)).collect())
    }

    /// Accounts of which series are known, in order and behind `after`.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn with_series(&self, after: &str) -> Result<Vec<AccountId>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT DISTINCT toString(account_id) AS account FROM rollup_series WHERE account_id > ");
        statement.text(after).push(" ORDER BY account LIMIT ").integer(MOST_ACCOUNTS);
        let ids = self.ask::<String>(&statement).await?;
        Ok(ids.iter().map(|id| AccountId::stored(id)).collect())
    }

    /// Buckets of some accounts that have changed since they were computed, those included that have yet to end. Marks before
    /// `since` are not looked for. Of many, the latest: see [`Noted::is_cut`].
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn stale(&self, account_ids: &[AccountId], since: i64) -> Result<Vec<Noted>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT account_id, grain, arraySort(arraySlice(arrayReverseSort(groupArray(noted)), 1, ");
        statement.integer(i64::try_from(MOST_BUCKETS).unwrap_or(i64::MAX)).push(")) FROM (").push(NOTED);
        // Ticks that are not computed by then never will be.
        statement.push("(grain > 10 OR bucket > now() - 1800) AND account_id IN ").texts(account_ids);
        statement.push(" AND (changed_at >= ").time(since);
        statement.push(" OR computed_at >= ").time(since);
        statement.push(") GROUP BY account_id, grain, bucket HAVING computed <= changed");
        self.noted(statement).await
    }

    /// All buckets of an account, whether they have changed or not.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn buckets(&self, account_id: &AccountId) -> Result<Vec<Noted>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT account_id, grain, arraySort(groupArray(noted)) FROM (").push(NOTED);
        statement.push("account_id = ").text(account_id).push(" GROUP BY account_id, grain, bucket");
        self.noted(statement).await
    }

    async fn noted(&self, mut statement: Statement) -> Result<Vec<Noted>, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Found {
            account_id: String,
            grain: u32,
            buckets: Vec<(i64, i64, i64)>,
        }
        statement.push(") GROUP BY account_id, grain ORDER BY account_id, grain");
        let noted = self.ask::<Found>(&statement).await?.into_iter().filter_map(|found| {
            let bucket = |(start, changed_at, computed_at)| Bucket { start, changed_at, computed_at };
            Some(Noted {
                account_id: AccountId::stored(&found.account_id),
                grain: Grain::from_seconds(found.grain)?,
                buckets: found.buckets.into_iter().map(bucket).collect(),
            })
        });
        Ok(noted.collect())
    }

    /// What is known of an account's series, and since when, in epoch milliseconds.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn series(&self, account_id: &AccountId) -> Result<BTreeMap<u64, (SeriesState, i64)>, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Found {
            series: u64,
            ready: bool,
            wide: bool,
            changed_at: i64,
        }
        let mut statement = Statement::default();
        statement.push("SELECT series, ready, wide, changed_at FROM rollup_series FINAL WHERE account_id = ");
        statement.text(account_id).push(" AND series != ").id(REQUEST);
        let found: Vec<Found> = self.ask(&statement).await?;
        let state = |found: &Found| match (found.ready, found.wide) {
            (_, true) => SeriesState::Wide,
            (true, false) => SeriesState::Ready,
            (false, false) => SeriesState::Building,
        };
        Ok(found.iter().map(|found| (found.series, (state(found), found.changed_at))).collect())
    }

    /// Of these buckets, those that the build begun at `since` has yet to compute.
    ///
    /// # Errors
    /// If ClickHouse does not answer.
    pub async fn missing(
        &self,
        account_id: &AccountId,
        since: i64,
        grain: Grain,
        starts: &[i64],
    ) -> Result<Vec<i64>, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT toInt64(toUnixTimestamp(bucket)) * 1000 FROM rollup_builds WHERE account_id = ");
        statement.text(account_id).push(" AND since = ").time(since).push(" AND grain = ");
        statement.integer(grain.seconds().into());
        let there: BTreeSet<i64> = self.ask::<i64>(&statement).await?.into_iter().collect();
        Ok(starts.iter().copied().filter(|start| !there.contains(start)).collect())
    }

    /// Notes that the build begun at `since` has computed these buckets.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn note_built(
        &self,
        account_id: &AccountId,
        since: i64,
        Span { grain, starts }: Span<'_>,
    ) -> Result<(), WarehouseError> {
        let mut insert = self.insert::<BuiltRow>("rollup_builds").await?;
        for start in starts {
            let bucket = u32::try_from(start / 1_000).unwrap_or(0);
            let row = BuiltRow { account_id, since, grain: grain.seconds(), bucket };
            insert.write(&row).await.map_err(classify)?;
        }
        insert.end().await.map_err(classify)
    }

    /// Notes what is known of some series.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn set_series(
        &self,
        account_id: &AccountId,
        series: &[u64],
        state: SeriesState,
    ) -> Result<(), WarehouseError> {
        if series.is_empty() {
            return Ok(());
        }
        let changed_at = self.clock().await?;
        let mut insert = self.insert::<SeriesRow>("rollup_series").await?;
        for series in series {
            let (ready, wide) = (state == SeriesState::Ready, state == SeriesState::Wide);
            let row = SeriesRow { account_id, series: *series, ready, wide, changed_at };
            insert.write(&row).await.map_err(classify)?;
        }
        insert.end().await.map_err(classify)
    }

    /// Notes that all series of these buckets have seen what was marked before `version`, and that the longer buckets that
    /// they are parts of have not.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed it.
    pub async fn note_computed(
        &self,
        account_id: &AccountId,
        Span { grain, starts }: Span<'_>,
        version: i64,
    ) -> Result<(), WarehouseError> {
        let mut insert = self.insert::<ComputedRow>("rollup_buckets").await?;
        let now = self.clock().await?;
        for longer in grain.longer() {
            let changed: BTreeSet<i64> = starts.iter().map(|start| longer.floor(*start)).collect();
            for start in changed {
                insert.write(&ComputedRow::new(account_id, longer, start, now, 0)).await.map_err(classify)?;
            }
        }
        for start in starts {
            insert.write(&ComputedRow::new(account_id, grain, *start, 0, version)).await.map_err(classify)?;
        }
        insert.end().await.map_err(classify)
    }
}

impl<'a> ComputedRow<'a> {
    fn new(account_id: &'a str, grain: Grain, start: i64, changed_at: i64, computed_at: i64) -> Self {
        let bucket = u32::try_from(start / 1_000).unwrap_or(0);
        Self { account_id, grain: grain.seconds(), bucket, changed_at, computed_at }
    }
}
