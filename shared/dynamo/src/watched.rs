//! Whether somebody watches an account, as far as a process needs to know.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::ConnectionTable;

/// For so many milliseconds it is believed that somebody watches, or nobody.
const BELIEVED: i64 = 2_000;
/// Accounts remembered at most; then the memory starts anew.
const REMEMBERED: usize = 10_000;

/// The accounts that somebody watches, each looked up every two seconds at most.
#[derive(Debug)]
pub struct Watched {
    connections: ConnectionTable,
    believed: Mutex<HashMap<String, (bool, i64)>>,
}

impl Watched {
    #[must_use]
    pub fn new(connections: ConnectionTable) -> Self {
        Self { connections, believed: Mutex::default() }
    }

    /// What is known without looking it up.
    pub fn believed(&self, account_id: &str, now: i64) -> Option<bool> {
        let believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_watched, at) = believed.get(account_id)?;
        (now - at < BELIEVED).then_some(*is_watched)
    }

    /// Whether somebody watches the account. If that cannot be told, nobody does.
    pub async fn look_up(&self, account_id: &str, now: i64) -> bool {
        if let Some(is_watched) = self.believed(account_id, now) {
            return is_watched;
        }
        let is_watched = self.connections.is_watched(account_id, now).await.unwrap_or_else(|error| {
            tracing::warn!(error.cause = %error, "it is not known whether anybody watches");
            false
        });
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        if believed.len() >= REMEMBERED {
            believed.clear();
        }
        believed.insert(account_id.to_owned(), (is_watched, now));
        is_watched
    }
}
