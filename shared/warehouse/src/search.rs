//! Finding events, newest first.
//!
//! The table is sorted by day and name, so there is no reading it newest first; instead the time range is walked
//! backwards in growing windows until a page is full. Common events fill it from the first window, which is small; rare
//! ones are found by the indexes, which skip most of the larger ones.
//!
//! Within a window, two steps. The first finds candidates among all stored rows, copies of re-sent events included. The
//! second looks up, by identity, the copy that counts (the first accepted) and tests that one: so an answer never shows
//! what a later copy changed. This costs a few milliseconds, where `FINAL` over the whole range costs hundreds.

use std::time::Duration;

use analytics_domain::{
    account::AccountId,
    search::{RejectedSearch, Search},
};
use clickhouse::Row;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    EventWarehouse, WarehouseError, classify,
    conditions::matching,
    position::{EventPosition, RejectedPosition, from_cursor, to_cursor},
    statement::Statement,
};

const HOUR: i64 = 3_600_000;
/// A window is at least and at most this many times as long as the one after it.
const GROWTH: (i64, i64) = (2, 256);
/// Candidates that one step takes at most, unless the page itself has more.
const MOST_CANDIDATES: usize = 256;
/// Bytes of keys that go into one look-up: ClickHouse takes 128 KB of one parameter.
const KEY_BYTES: usize = 48 * 1024;
/// ClickHouse ends a query itself by then, unless it cannot be reached at all.
const PATIENCE: Duration = Duration::from_secs(22);
/// How long a search may take with all its questions. The gateway waits for 29 seconds.
const SEARCH_TIME: Duration = Duration::from_secs(25);
/// Bytes of a page as Lambda carries it, within its 6 MB: the page is JSON, and a string within JSON again.
const PAGE_BYTES: usize = 5_500_000;
/// Bytes of an event in a page besides what it holds: names of fields, times, quotes.
const FIELDS_BYTES: usize = 600;
/// Seconds and bytes that one question may take of ClickHouse.
const LIMITS: [(&str, &str); 3] =
    [("max_execution_time", "20"), ("max_memory_usage", "2000000000"), ("optimize_move_to_prewhere_if_final", "1")];

/// The columns of [`FoundEvent`].
const FOUND_COLUMNS: &str = "SELECT timestamp, event_name, event_id, event_type, session_id, user_id, received_at, \
                             clock_skew_ms, ip, user_agent, locale, properties";

/// One accepted event as stored.
#[derive(Clone, Debug, Deserialize, PartialEq, Row)]
pub struct FoundEvent {
    /// Epoch milliseconds, as the client gave it.
    pub timestamp: i64,
    pub event_name: String,
    pub event_id: String,
    pub event_type: String,
    pub session_id: String,
    pub user_id: String,
    pub received_at: i64,
    pub clock_skew_ms: Option<i64>,
    pub ip: String,
    pub user_agent: String,
    pub locale: String,
    /// A JSON object.
    pub properties: String,
}

/// One rejected event as stored.
#[derive(Clone, Debug, Deserialize, PartialEq, Row)]
pub struct FoundRejected {
    pub received_at: i64,
    pub batch_id: String,
    pub position: u32,
    pub code: String,
    pub pointer: String,
    pub detail: String,
    pub event_name: String,
    /// As it came, perhaps cut.
    pub event: String,
}

/// Bytes that a text takes in a page, at most: what is escaped once as JSON is escaped again.
fn carried(text: &str) -> usize {
    let more = |byte: u8| match byte {
        b'"' | b'\\' => 3,
        0..0x20 | 0x7f => 6,
        _ => 0,
    };
    text.bytes().map(|byte| 1 + more(byte)).sum()
}

/// What a page has room for.
trait Carried {
    fn bytes(&self) -> usize;
}

impl Carried for FoundEvent {
    fn bytes(&self) -> usize {
        let texts = [
            &self.event_name,
            &self.event_id,
            &self.event_type,
            &self.session_id,
            &self.user_id,
            &self.ip,
            &self.user_agent,
            &self.locale,
        ];
        // They are JSON already.
        let properties =
            self.properties.bytes().map(|byte| 1 + usize::from(matches!(byte, b'"' | b'\\'))).sum::<usize>();
        FIELDS_BYTES + properties + texts.into_iter().map(|text| carried(text)).sum::<usize>()
    }
}

impl Carried for FoundRejected {
    fn bytes(&self) -> usize {
        let texts = [&self.pointer, &self.detail, &self.event_name, &self.event, &self.code];
        FIELDS_BYTES + texts.into_iter().map(|text| carried(text)).sum::<usize>()
    }
}

/// How many of these fit a page: one at least.
fn fitting(found: &[impl Carried]) -> usize {
    let mut bytes = 0;
    let fits = |one: &&_| {
        bytes += Carried::bytes(*one);
        bytes <= PAGE_BYTES
    };
    found.iter().take_while(fits).count().max(1)
}

/// A page of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPage<T> {
    pub found: Vec<T>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<String>,
    /// How many match in all, if that was asked.
    pub total: Option<u64>,
}

impl EventWarehouse {
    /// Finds accepted events of an account. `now` bounds the search: nothing is accepted for over an hour ahead of it. A page ends
    /// where it would get too large for an answer.
    ///
    /// # Errors
    /// If the cursor is not one of ours, ClickHouse does not answer, or the search takes more than one may.
    pub async fn search(
        &self,
        account_id: &AccountId,
        search: &Search,
        now: i64,
    ) -> Result<FoundPage<FoundEvent>, WarehouseError> {
        timeout(SEARCH_TIME, self.find(account_id, search, now)).await.unwrap_or_else(|_| Err(too_long()))
    }

    async fn find(
        &self,
        account_id: &AccountId,
        search: &Search,
        now: i64,
    ) -> Result<FoundPage<FoundEvent>, WarehouseError> {
        let limit = search.page.limit as usize;
        let mut before: Option<EventPosition> = search.page.cursor.as_deref().map(from_cursor).transpose()?;
        let mut walk = Walk::new(search, now, before.as_ref());
        let mut found: Vec<FoundEvent> = Vec::new();
        let mut candidates: Vec<EventPosition> = Vec::new();
        let mut look = limit + 1;
        while found.len() <= limit {
            // Those of several windows are looked up together: a look-up has its price, however few it is for.
            while candidates.len() < look
                && let Some(window) = walk.window()
            {
                let missing = look - candidates.len();
                let more = self.candidates(account_id, search, window, before.as_ref(), missing).await?;
                if more.len() < missing {
                    walk.advance(more.len(), missing - more.len());
                }
                before = more.last().cloned().or(before);
                candidates.extend(more);
            }
            if candidates.is_empty() {
                break;
            }
            let counting = self.first_copies(account_id, search, &candidates).await?;
            // Where many later copies match and the first ones don't, small steps would take forever.
            look = match counting.len() * 2 < candidates.len() {
                true => (look * 4).min(MOST_CANDIDATES.max(limit + 1)),
                false => (limit + 1).saturating_sub(found.len() + counting.len()),
            };
            found.extend(counting);
            candidates.clear();
            if fitting(&found) < found.len() {
                break;
            }
        }
        let most = limit.min(fitting(&found));
        let next = (found.len() > most).then(|| {
            found.truncate(most);
            found.last().map(|last| {
                to_cursor(&EventPosition {
                    timestamp: last.timestamp,
                    event_name: last.event_name.clone(),
                    event_id: last.event_id.clone(),
                })
            })
        });
        let total = match search.page.count {
            true => Some(self.count(account_id, search).await?),
            false => None,
        };
        Ok(FoundPage { found, next: next.flatten(), total })
    }

    async fn candidates(
        &self,
        account_id: &AccountId,
        search: &Search,
        (from, to): (i64, i64),
        before: Option<&EventPosition>,
        limit: usize,
    ) -> Result<Vec<EventPosition>, WarehouseError> {
        #[derive(Deserialize, Row)]
        struct Candidate {
            timestamp: i64,
            event_name: String,
            event_id: String,
        }
        let mut statement = Statement::default();
        statement.push("SELECT timestamp, event_name, event_id FROM events WHERE account_id = ").text(account_id);
        statement.push(" AND timestamp >= ").time(from).push(" AND timestamp < ").time(to);
        if let Some(before) = before {
            statement.push(" AND timestamp <= ").time(before.timestamp);
            statement.push(" AND (timestamp, event_name, event_id) < (").time(before.timestamp);
            statement.push(", ").text(&before.event_name).push(", ").text(&before.event_id).push(")");
        }
        matching(&mut statement, search);
        statement.push(
            " ORDER BY timestamp DESC, event_name DESC, event_id DESC LIMIT 1 BY timestamp, event_name, event_id LIMIT ",
        );
        statement.integer(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.ask::<Candidate>(&statement).await?;
        Ok(rows
            .into_iter()
            .map(|Candidate { timestamp, event_name, event_id }| EventPosition { timestamp, event_name, event_id })
            .collect())
    }

    /// Of each candidate the copy that counts, if that one matches too.
    async fn first_copies(
        &self,
        account_id: &AccountId,
        search: &Search,
        mut candidates: &[EventPosition],
    ) -> Result<Vec<FoundEvent>, WarehouseError> {
        let mut found = Vec::with_capacity(candidates.len());
        while !candidates.is_empty() && (found.is_empty() || fitting(&found) == found.len()) {
            let mut bytes = 0;
            let fits = candidates.iter().take_while(|key| {
                bytes += key.event_name.len() + key.event_id.len() + 32;
                bytes <= KEY_BYTES
            });
            let (now, later) = candidates.split_at(fits.count().max(1));
            found.extend(self.look_up(account_id, search, now).await?);
            candidates = later;
        }
        Ok(found)
    }

    async fn look_up(
        &self,
        account_id: &AccountId,
        search: &Search,
        candidates: &[EventPosition],
    ) -> Result<Vec<FoundEvent>, WarehouseError> {
        let keys = candidates.iter().map(|key| (key.timestamp, key.event_name.clone(), key.event_id.clone())).collect();
        let mut statement = Statement::default();
        statement.push(FOUND_COLUMNS).push(" FROM (").push(FOUND_COLUMNS).push(", 1");
        // Tested beside the columns, not around them: so only those that the conditions name are read.
        matching(&mut statement, search);
        statement.push(" AS matches FROM events WHERE account_id = ").text(account_id);
        // In this form, with every column of the sorting key, the set of keys selects granules.
        statement.push(
            " AND (toDate(timestamp), event_name, timestamp, event_id) IN (SELECT \
             toDate(fromUnixTimestamp64Milli((arrayJoin(",
        );
        statement.keys(keys).push(") AS key).1, 'UTC') AS time), key.2, time, key.3)");
        statement.push(" ORDER BY version DESC LIMIT 1 BY timestamp, event_name, event_id) WHERE matches");
        statement.push(" ORDER BY timestamp DESC, event_name DESC, event_id DESC");
        self.ask(&statement).await
    }

    async fn count(&self, account_id: &AccountId, search: &Search) -> Result<u64, WarehouseError> {
        let mut statement = Statement::default();
        statement.push("SELECT count() FROM events FINAL WHERE account_id = ").text(account_id);
        if let Some(from) = search.from {
            statement.push(" AND timestamp >= ").time(from);
        }
        if let Some(to) = search.to {
            statement.push(" AND timestamp < ").time(to);
        }
        matching(&mut statement, search);
        Ok(self.ask::<u64>(&statement).await?.into_iter().sum())
    }

    /// Finds rejected events of an account.
    ///
    /// # Errors
    /// As [`EventWarehouse::search`].
    pub async fn search_rejected(
        &self,
        account_id: &AccountId,
        search: &RejectedSearch,
    ) -> Result<FoundPage<FoundRejected>, WarehouseError> {
        timeout(SEARCH_TIME, self.find_rejected(account_id, search)).await.unwrap_or_else(|_| Err(too_long()))
    }

    async fn find_rejected(
        &self,
        account_id: &AccountId,
        search: &RejectedSearch,
    ) -> Result<FoundPage<FoundRejected>, WarehouseError> {
        let before: Option<RejectedPosition> = search.page.cursor.as_deref().map(from_cursor).transpose()?;
        let limit = search.page.limit as usize;
        let mut matching = Statement::default();
        matching.push(" FROM rejected_events FINAL WHERE account_id = ").text(account_id);
        if let Some(from) = search.from {
            matching.push(" AND received_at >= ").time(from);
        }
        if let Some(to) = search.to {
            matching.push(" AND received_at < ").time(to);
        }
        if let Some(code) = &search.code {
            matching.push(" AND code = ").text(code);
        }
        if !search.event_names.is_empty() {
            matching.push(" AND event_name IN ").texts(&search.event_names);
        }
        let mut page =
            matching.after("SELECT received_at, batch_id, position, code, pointer, detail, event_name, event");
        if let Some(before) = before {
            page.push(" AND (received_at, batch_id, position) < (").time(before.received_at);
            page.push(", ").text(before.batch_id).push(", ").integer(before.position.into()).push(")");
        }
        page.push(" ORDER BY received_at DESC, batch_id DESC, position DESC LIMIT ");
        page.integer(i64::from(search.page.limit) + 1);
        let mut found: Vec<FoundRejected> = self.ask(&page).await?;
        let most = limit.min(fitting(&found));
        let next = (found.len() > most).then(|| {
            found.truncate(most);
            found.last().map(|last| {
                to_cursor(&RejectedPosition {
                    received_at: last.received_at,
                    batch_id: last.batch_id.clone(),
                    position: last.position,
                })
            })
        });
        let total = match search.page.count {
            true => Some(self.ask::<u64>(&matching.after("SELECT count()")).await?.into_iter().sum()),
            false => None,
        };
        Ok(FoundPage { found, next: next.flatten(), total })
    }

    pub(crate) async fn ask<T>(&self, statement: &Statement) -> Result<Vec<T>, WarehouseError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let query = statement.prepare(&self.client().await?)?;
        let query = LIMITS.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        let query = self.seconds.into_iter().fold(query, |query, most| query.with_setting("max_execution_time", most));
        match tokio::time::timeout(PATIENCE, query.fetch_all::<T>()).await {
            Ok(answer) => self.checked(answer.map_err(classify)).await,
            Err(_) => Err(WarehouseError::Unavailable("no answer in time".to_owned())),
        }
    }
}

fn too_long() -> WarehouseError {
    WarehouseError::OverLimits("the time of one search is up".to_owned())
}

/// The walk back through time.
struct Walk {
    oldest: i64,
    to: i64,
    length: i64,
}

impl Walk {
    fn new(search: &Search, now: i64, before: Option<&EventPosition>) -> Self {
        let newest = search.to.unwrap_or(i64::MAX).min(now + 2 * HOUR);
        let to = before.map_or(newest, |before| newest.min(before.timestamp + 1));
        // The first window reaches from an hour ahead of now to an hour back.
        Self { oldest: search.from.unwrap_or(0), to, length: if before.is_some() { HOUR } else { 3 * HOUR } }
    }

    fn window(&self) -> Option<(i64, i64)> {
        (self.to > self.oldest).then(|| ((self.to - self.length).max(self.oldest), self.to))
    }

    /// Goes on to the next window, which is as long as should hold twice what is missing, by what the last one held.
    fn advance(&mut self, held: usize, missing: usize) {
        self.to -= self.length;
        let wanted = (2 * missing).checked_div(held).and_then(|times| i64::try_from(times).ok());
        self.length *= wanted.unwrap_or(GROWTH.1).clamp(GROWTH.0, GROWTH.1);
        // Beyond a year back there is little left: take it all at once.
        if self.length > 300 * 24 * HOUR {
            self.length = self.to - self.oldest;
        }
    }
}

#[cfg(test)]
mod tests {
    use analytics_domain::search::Query;

    use super::*;

    #[test]
    fn the_walk_back_covers_all_time_once() {
        let Ok(Query::Accepted(search)) = Query::parse([]) else { panic!("is a search") };
        let now = 1_795_512_600_000;
        let mut walk = Walk::new(&search, now, None);
        let mut reached = now + 2 * HOUR;
        let mut windows = 0;
        while let Some((from, to)) = walk.window() {
            assert_eq!(to, reached);
            reached = from;
            windows += 1;
            walk.advance(0, 51);
        }
        assert_eq!(reached, 0);
        assert!(windows < 8, "{windows}");
    }
}
