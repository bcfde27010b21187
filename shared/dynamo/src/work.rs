//! Which accounts have rollups to compute, so that ClickHouse is asked about nobody else.
//!
//! `store-events` notes an account after its events and their marks are stored and before it acknowledges them: after a crash
//! in between, the events are delivered and noted again. `rollup-metrics` reads the notes, claims one account at a time, and
//! deletes the note once nothing is left to compute. A note that has changed meanwhile stays.
//!
//! An item is an account's note and its lease. Leases of accounts lie where no other account can be, whatever its id is.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use analytics_domain::account::AccountId;
use analytics_platform::config::{ConfigError, Lookup};
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, ReturnValue},
};
use tokio::task::JoinSet;

use crate::{TableError, Tables, integer, number, text, unavailable};

/// Partitions that the notes are spread over, by account.
pub const SLOTS: u32 = 8;

/// The partition of what belongs to no account.
const OWN: &str = "own";

/// For so many milliseconds, a process does not note an account again. Within [`QUIET`] at least, nobody takes it that what was
/// seen is all.
const NOTED_FOR: i64 = 5_000;

/// A note younger than so many milliseconds may stand for marks that were not seen yet.
pub const QUIET: i64 = 15_000;

/// Marks of so many milliseconds before a note may be what it is about.
const BEFORE_NOTE: i64 = 300_000;

/// Accounts remembered at most; then the memory starts anew.
const REMEMBERED: usize = 10_000;

/// Accounts that are noted at the same time: over a thousand a second if the table takes a tenth of one.
const AT_ONCE: usize = 128;

/// An account with work. Times are epoch milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub account_id: AccountId,
    /// When events or definitions were noted last.
    pub noted_at: i64,
    /// When there is something to compute.
    pub due_at: i64,
    /// No stale bucket was marked before this time.
    pub since: i64,
    /// Since when something due is not done; none if nothing is.
    pub waiting_since: Option<i64>,
    /// When it was last asked that its series be looked at, although no event has come.
    pub asked_at: Option<i64>,
    /// Nobody else may work on it until then.
    pub leased_until: i64,
    /// Failed tries in a row.
    pub failures: u32,
}

impl Work {
    /// Of an account of which nothing is noted.
    #[must_use]
    pub const fn new(account_id: AccountId) -> Self {
        Self {
            account_id,
            noted_at: 0,
            due_at: 0,
            since: 0,
            waiting_since: None,
            asked_at: None,
            leased_until: 0,
            failures: 0,
        }
    }
}

/// What is left of a claimed account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Something that is due at a time; no stale bucket was marked before `since`. Its series have been looked at, if
    /// `is_answered`.
    Later { due_at: i64, since: i64, is_answered: bool },
    /// Something that is due now; `is_asked` if it is about series.
    Now { is_asked: bool },
    /// It failed and is tried again then.
    Failed { retry_at: i64 },
}

/// What `rollup-metrics` notes of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When all accounts were last looked for in ClickHouse.
    pub swept_at: i64,
    /// Which kind of series was known then.
    pub generation: i64,
    /// The slot and account behind which the next call begins.
    pub cursor: Option<(u32, String)>,
}

/// The accounts with rollups to compute.
#[derive(Debug)]
pub struct WorkTable {
    client: Client,
    name: String,
    noted: Mutex<HashMap<AccountId, i64>>,
}

impl WorkTable {
    /// Reads `ROLLUPS_TABLE`.
    ///
    /// # Errors
    /// If the key is missing.
    pub fn from_tables(tables: &Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self::new(tables.clone(), lookup.required("ROLLUPS_TABLE")?))
    }

    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into(), noted: Mutex::default() }
    }

    /// Notes that stored buckets of these accounts have changed. Each call begins with another account: if there is no time for
    /// all, it is not always the same that are left out.
    ///
    /// # Errors
    /// If some could not be noted; the others are.
    pub async fn note(&self, account_ids: &BTreeSet<AccountId>, now: i64) -> Result<(), TableError> {
        let mut new: Vec<&AccountId> =
            account_ids.iter().filter(|account_id| !self.is_noted(account_id, now)).collect();
        let first = usize::from_be_bytes(analytics_platform::random()) % new.len().max(1);
        new.rotate_left(first);
        let writes = new.into_iter().map(|account_id| {
            let write = self.update(account_id).update_expression(noting(false));
            (account_id.clone(), vec![with_times(write, now, now - BEFORE_NOTE)])
        });
        all(writes.collect(), |account_id| self.remember(account_id, now)).await
    }

    fn remember(&self, account_id: AccountId, now: i64) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(account_id, now);
    }

    fn is_noted(&self, account_id: &AccountId, now: i64) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(account_id).is_some_and(|at| now - at < NOTED_FOR)
    }

    /// Notes accounts of which stale buckets were found, each with the time of the oldest mark; `is_asked` if their series are to
    /// be looked at too.
    ///
    /// # Errors
    /// If some could not be noted; the others are.
    pub async fn note_found(&self, found: &[(AccountId, i64)], is_asked: bool, now: i64) -> Result<(), TableError> {
        let writes = found.iter().map(|(account_id, since)| {
            let older = self.update(account_id).update_expression("SET changedSince = :since");
            let older = older.condition_expression("changedSince > :since");
            let older = older.expression_attribute_values(":since", number(*since));
            let write = with_times(self.update(account_id).update_expression(noting(is_asked)), now, *since);
            (account_id.clone(), vec![older, write])
        });
        all(writes.collect(), drop).await
    }

    /// Notes that the series of an account are to be looked at. Metrics that are written within [`QUIET`] of it are seen.
    ///
    /// # Errors
    /// If it could not be noted.
    pub async fn ask(&self, account_id: &AccountId, now: i64) -> Result<(), TableError> {
        let write = self.update(account_id).update_expression(noting(true));
        with_times(write, now, now - BEFORE_NOTE).send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// The noted accounts of a slot behind `after`, in order. Fewer than `most` are the last.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn page(&self, slot: u32, after: &str, most: i32) -> Result<Vec<Work>, TableError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self.client.query().table_name(&self.name);
            // A value of a key is never empty.
            let page = match after {
                "" => page.key_condition_expression("slot = :slot"),
                after => page
                    .key_condition_expression("slot = :slot AND accountId > :after")
                    .expression_attribute_values(":after", text(after)),
            };
            let page = page
                .expression_attribute_values(":slot", text(&slot.to_string()))
                .limit(most)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable(&error))?;
            found.extend(page.items().iter().filter_map(read));
            start = page.last_evaluated_key().cloned();
            if start.is_none() || found.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
                return Ok(found);
            }
        }
    }

    /// The note of one account, if there is one.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn of(&self, account_id: &AccountId) -> Result<Option<Work>, TableError> {
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("slot = :slot AND accountId = :account")
            .expression_attribute_values(":slot", text(&slot_of(account_id).to_string()))
            .expression_attribute_values(":account", text(account_id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(page.items().iter().find_map(read))
    }

    /// Claims an account until `until`, and says what is noted of it by now; none if another process has it, or it is gone.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn claim(
        &self,
        account_id: &AccountId,
        owner: &str,
        now: i64,
        until: i64,
    ) -> Result<Option<Work>, TableError> {
        let claim = self
            .update(account_id)
            .update_expression("SET holder = :me, leasedUntil = :until")
            .condition_expression(
                "attribute_exists(notedAt) AND (attribute_not_exists(leasedUntil) OR leasedUntil < :now OR holder = :me)",
            )
            .expression_attribute_values(":me", text(owner))
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":now", number(now))
            .return_values(ReturnValue::AllNew);
        match claim.send().await {
            Ok(claimed) => Ok(claimed.attributes().and_then(read)),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Lets go of a claimed account and notes what is left of it. What was noted since the claim, which found `seen`, counts
    /// as due now.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn finish(
        &self,
        account_id: &AccountId,
        owner: &str,
        seen: &Work,
        left: Left,
        now: i64,
    ) -> Result<(), TableError> {
        const UNCHANGED: &str = "holder = :me AND notedAt = :seen";
        let update = |expression: &str| {
            let update = self.update(account_id).update_expression(expression);
            update.expression_attribute_values(":me", text(owner))
        };
        let is_left = match left {
            Left::Nothing => {
                let delete = self
                    .client
                    .delete_item()
                    .table_name(&self.name)
                    .key("slot", text(&slot_of(account_id).to_string()))
                    .key("accountId", text(account_id))
                    .condition_expression(UNCHANGED)
                    .expression_attribute_values(":me", text(owner))
                    .expression_attribute_values(":seen", number(seen.noted_at));
                applied(delete.send().await)?
            }
            Left::Later { due_at, since, is_answered } => {
                let asked = if is_answered { "asked, " } else { "" };
                let later = format!(
                    "SET dueAt = :due, changedSince = :since REMOVE {asked}waitingSince, failures, holder, leasedUntil"
                );
                let later = update(&later)
                    .condition_expression(UNCHANGED)
                    .expression_attribute_values(":due", number(due_at))
                    .expression_attribute_values(":since", number(since))
                    .expression_attribute_values(":seen", number(seen.noted_at));
                applied(later.send().await)?
            }
            Left::Now { is_asked } => {
                let asked = if is_asked { ", asked = :now" } else { "" };
                let due = format!("SET dueAt = :now{asked} REMOVE failures, holder, leasedUntil");
                let due = update(&due).condition_expression("holder = :me");
                applied(due.expression_attribute_values(":now", number(now)).send().await)?;
                true
            }
            Left::Failed { retry_at } => {
                let failed = "SET leasedUntil = :retry, failures = if_not_exists(failures, :none) + :one REMOVE holder";
                let failed = update(failed)
                    .condition_expression("holder = :me")
                    .expression_attribute_values(":retry", number(retry_at))
                    .expression_attribute_values(":none", number(0))
                    .expression_attribute_values(":one", number(1));
                applied(failed.send().await)?;
                true
            }
        };
        if is_left {
            return Ok(());
        }
        // Of a note that has changed meanwhile, only the claim goes.
        let release = update("SET waitingSince = :now REMOVE failures, holder, leasedUntil");
        let release = release.condition_expression("holder = :me").expression_attribute_values(":now", number(now));
        applied(release.send().await).map(drop)
    }

    /// What was noted of the work as a whole.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn progress(&self) -> Result<Progress, TableError> {
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("slot = :own")
            .expression_attribute_values(":own", text(OWN))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        let Some(item) = page.items().first() else { return Ok(Progress::default()) };
        let cursor = integer(item, "cursorSlot").and_then(|slot| {
            let account_id = item.get("cursorAccount")?.as_s().ok().filter(|account_id| !account_id.is_empty())?;
            Some((u32::try_from(slot).ok()?, account_id.clone()))
        });
        Ok(Progress {
            swept_at: integer(item, "sweptAt").unwrap_or(0),
            generation: integer(item, "generation").unwrap_or(0),
            cursor,
        })
    }

    /// Notes how far the work as a whole is.
    ///
    /// # Errors
    /// If the table cannot be asked.
    pub async fn set_progress(&self, progress: &Progress) -> Result<(), TableError> {
        let (slot, account_id) = progress.cursor.as_ref().map_or((0, ""), |(slot, account_id)| (*slot, account_id));
        self.client
            .update_item()
            .table_name(&self.name)
            .key("slot", text(OWN))
            .key("accountId", text(OWN))
            .update_expression(
                "SET sweptAt = :swept, generation = :generation, cursorSlot = :slot, cursorAccount = :account",
            )
            .expression_attribute_values(":swept", number(progress.swept_at))
            .expression_attribute_values(":generation", number(progress.generation))
            .expression_attribute_values(":slot", number(slot.into()))
            .expression_attribute_values(":account", text(account_id))
            .send()
            .await
            .map(drop)
            .map_err(|error| unavailable(&error))
    }

    fn update(&self, account_id: &AccountId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.name)
            .key("slot", text(&slot_of(account_id).to_string()))
            .key("accountId", text(account_id))
    }
}

/// Makes the writes of accounts: those of one account in order, those of different accounts at the same time. Writes whose
/// conditions do not hold are not made. A write that fails ends the writes of its account only. Calls `made` for each account
/// whose writes have not failed.
///
/// # Errors
/// The first one, once everything was tried.
async fn all(
    writes: Vec<(AccountId, Vec<UpdateItemFluentBuilder>)>,
    mut made: impl FnMut(AccountId),
) -> Result<(), TableError> {
    let mut waiting = writes.into_iter();
    let mut running: JoinSet<Result<AccountId, TableError>> = JoinSet::new();
    let mut outcome = Ok(());
    loop {
        while running.len() < AT_ONCE
            && let Some((account_id, writes)) = waiting.next()
        {
            running.spawn(async move {
                for write in writes {
                    applied(write.send().await)?;
                }
                Ok(account_id)
            });
        }
        let Some(ended) = running.join_next().await else { return outcome };
        match ended.unwrap_or_else(|_| Err(TableError::Unavailable("a note was not written".to_owned()))) {
            Ok(account_id) => made(account_id),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
}

/// Whether a write on a condition was made.
fn applied<T, E>(answer: Result<T, SdkError<E>>) -> Result<bool, TableError>
where
    E: ProvideErrorMetadata,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error)
            if error.as_service_error().and_then(ProvideErrorMetadata::code)
                == Some("ConditionalCheckFailedException") =>
        {
            Ok(false)
        }
        Err(error) => Err(unavailable(&error)),
    }
}

/// What a note writes, from `:now` and `:since`.
const fn noting(is_asked: bool) -> &'static str {
    if is_asked {
        "SET notedAt = :now, dueAt = :now, asked = :now, changedSince = if_not_exists(changedSince, :since), \
         waitingSince = if_not_exists(waitingSince, :now)"
    } else {
        "SET notedAt = :now, dueAt = :now, changedSince = if_not_exists(changedSince, :since), waitingSince = \
         if_not_exists(waitingSince, :now)"
    }
}

fn with_times(write: UpdateItemFluentBuilder, now: i64, since: i64) -> UpdateItemFluentBuilder {
    write.expression_attribute_values(":now", number(now)).expression_attribute_values(":since", number(since))
}

/// FNV-1a: the same in every version, since items are found by it.
fn slot_of(account_id: &AccountId) -> u32 {
    let hash =
        account_id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % SLOTS
}

fn read(item: &HashMap<String, AttributeValue>) -> Option<Work> {
    let noted_at = integer(item, "notedAt")?;
    Some(Work {
        account_id: AccountId::stored(item.get("accountId")?.as_s().ok()?),
        noted_at,
        due_at: integer(item, "dueAt").unwrap_or(noted_at),
        since: integer(item, "changedSince").unwrap_or(0),
        waiting_since: integer(item, "waitingSince"),
        asked_at: integer(item, "asked"),
        leased_until: integer(item, "leasedUntil").unwrap_or(0),
        failures: integer(item, "failures").and_then(|failures| failures.try_into().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests;
