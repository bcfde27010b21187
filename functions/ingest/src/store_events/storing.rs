//! Inserts within a time, split where they fail.

use std::{collections::VecDeque, time::Duration};

use analytics_warehouse::WarehouseError;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use crate::store_events::{Store, portions::Sealed};

/// Inserts at the same time.
const AT_ONCE: usize = 4;
/// Pieces of an insert that failed.
const PIECES: usize = 4;
/// How long an insert of several messages may take before its pieces are tried. One message has all the time there is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Less time than this is not worth another try.
const LEAST: Duration = Duration::from_millis(500);

/// What became of messages.
#[derive(Default)]
pub struct Outcome<'m> {
    pub stored: Vec<Sealed<'m>>,
    /// What can never be stored, with the reason.
    pub poison: Vec<(Sealed<'m>, String)>,
    pub again: Vec<Sealed<'m>>,
}

/// What an insert that failed comes to.
enum Failure {
    /// The store refuses what is in it.
    Content(String),
    /// It may be what is in it, or not: a time-out, a limit, an error that nobody has thought of.
    Unclear(String),
    /// Whatever is in it, the store does not take it now.
    Elsewhere(String),
}

impl From<WarehouseError> for Failure {
    fn from(error: WarehouseError) -> Self {
        match error {
            WarehouseError::InvalidRows(reason) => Self::Content(reason),
            WarehouseError::Unavailable(_) | WarehouseError::Unfit(_) => Self::Elsewhere(error.to_string()),
            WarehouseError::TimedOut(_)
            | WarehouseError::Refused(_)
            | WarehouseError::OverLimits(_)
            | WarehouseError::InvalidCursor => Self::Unclear(error.to_string()),
        }
    }
}

/// Stores the messages of each insert together. An insert that fails by what is in it, or may have, is tried again in pieces,
/// until the message that fails stands alone and its neighbours are stored. When the time is over, what is left comes again.
pub async fn store<'m>(store: &impl Store, inserts: Vec<Vec<Sealed<'m>>>, until: Instant) -> Outcome<'m> {
    let mut outcome = Outcome::default();
    let mut waiting = VecDeque::from(inserts);
    let mut trying = FuturesUnordered::new();
    loop {
        while trying.len() < AT_ONCE
            && let Some(group) = waiting.pop_front()
        {
            trying.push(attempt(store, group, until));
        }
        let Some((group, result)) = trying.next().await else { return outcome };
        match result {
            Ok(()) => outcome.stored.extend(group),
            Err(Failure::Elsewhere(cause)) => outcome.again.extend(put_off(group, &cause)),
            Err(Failure::Content(reason)) => match <[Sealed<'m>; 1]>::try_from(group) {
                Ok([message]) => outcome.poison.push((message, reason)),
                Err(group) => waiting.extend(pieces(group)),
            },
            Err(Failure::Unclear(cause)) if group.len() == 1 => outcome.again.extend(put_off(group, &cause)),
            Err(Failure::Unclear(_)) => waiting.extend(pieces(group)),
        }
    }
}

async fn attempt<'m>(
    store: &impl Store,
    group: Vec<Sealed<'m>>,
    until: Instant,
) -> (Vec<Sealed<'m>>, Result<(), Failure>) {
    let now = Instant::now();
    if now + LEAST > until {
        return (group, Err(Failure::Elsewhere("the call's time is over".to_owned())));
    }
    let end = if group.len() == 1 { until } else { until.min(now + PATIENCE) };
    let bodies: Vec<&str> = group.iter().map(|sealed| &*sealed.message.body).collect();
    let result = match timeout_at(end, store.store(&bodies)).await {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::Unclear("no answer in time".to_owned())),
    };
    (group, result)
}

fn put_off<'m>(group: Vec<Sealed<'m>>, cause: &str) -> Vec<Sealed<'m>> {
    tracing::warn!(
        error.cause = cause,
        messages = group.len(),
        "messages were not stored and are returned to the queue"
    );
    group
}

fn pieces(mut group: Vec<Sealed<'_>>) -> Vec<Vec<Sealed<'_>>> {
    let length = group.len().div_ceil(PIECES);
    let mut pieces = Vec::with_capacity(PIECES);
    while group.len() > length {
        pieces.push(group.split_off(group.len() - length));
    }
    pieces.push(group);
    pieces
}
