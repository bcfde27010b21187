//! Whether somebody watches an account, as far as a process needs to know.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use analytics_domain::account::AccountId;
use tokio::{task::JoinSet, time::timeout};

use crate::ConnectionTable;

/// For so many milliseconds it is believed that somebody watches.
const BELIEVED: i64 = 2_000;
/// For all accounts of a question together: the sender of an event waits for the answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// Accounts asked for at the same time.
const AT_ONCE: usize = 64;
/// Accounts remembered at most; then the memory starts anew.
const REMEMBERED: usize = 10_000;

/// The accounts that somebody watches, each looked up at most every two seconds while somebody does, and at most twice a second
/// while nobody does.
#[derive(Debug)]
pub struct Watched {
    connections: ConnectionTable,
    believed: Mutex<HashMap<AccountId, (bool, i64)>>,
}

impl Watched {
    /// For so long a process may believe that nobody watches, after somebody has connected. A stream begins no earlier, so that it
    /// misses nothing.
    pub const NOTICED: Duration = Duration::from_millis(500);

    #[must_use]
    pub fn new(connections: ConnectionTable) -> Self {
        Self { connections, believed: Mutex::default() }
    }

    /// What is known without looking it up.
    pub fn believed(&self, account_id: &AccountId, now: i64) -> Option<bool> {
        let believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_watched, at) = believed.get(account_id)?;
        let lasts = if *is_watched { BELIEVED } else { i64::try_from(Self::NOTICED.as_millis()).unwrap_or(0) };
        (now - at < lasts).then_some(*is_watched)
    }

    /// Whether the account has subscribers. If the table is too slow to answer, the account counts as watched: a live message
    /// without a subscriber costs little, and a lost one is not sent again. If the table fails, the last answer counts.
    pub async fn look_up(&self, account_id: &AccountId, now: i64) -> bool {
        !self.among([account_id], now).await.is_empty()
    }

    /// Those accounts that somebody watches. All are looked up at the same time, within the time that one may take.
    pub async fn among<'a>(
        &self,
        account_ids: impl IntoIterator<Item = &'a AccountId>,
        now: i64,
    ) -> Vec<&'a AccountId> {
        let mut watched = Vec::new();
        let mut unknown: BTreeMap<&AccountId, Option<bool>> = BTreeMap::new();
        for account_id in account_ids {
            match self.believed(account_id, now) {
                Some(true) => watched.push(account_id),
                Some(false) => {}
                None => {
                    unknown.insert(account_id, None);
                }
            }
        }
        if !unknown.is_empty() {
            self.ask(&mut unknown, now).await;
            watched.extend(self.settle(unknown, now));
        }
        watched
    }

    /// Looks accounts up, as many as there is time for.
    async fn ask(&self, unknown: &mut BTreeMap<&AccountId, Option<bool>>, now: i64) {
        let mut waiting: Vec<AccountId> = unknown.keys().map(|account_id| (*account_id).clone()).collect();
        let (mut asking, mut failures) = (JoinSet::new(), 0);
        let all = async {
            loop {
                while asking.len() < AT_ONCE
                    && let Some(account_id) = waiting.pop()
                {
                    let connections = self.connections.clone();
                    asking.spawn(async move {
                        let is_watched = connections.is_watched(&account_id, now).await;
                        (account_id, is_watched)
                    });
                }
                let Some(asked) = asking.join_next().await else { break };
                let Ok((account_id, is_watched)) = asked else { continue };
                let is_watched = is_watched.unwrap_or_else(|error| {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(error.cause = %error, "the table does not say whether anybody watches");
                    }
                    self.last_known(&account_id).unwrap_or(false)
                });
                if let Some(found) = unknown.get_mut(&account_id) {
                    *found = Some(is_watched);
                }
            }
        };
        if timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("the table does not say within {PATIENCE:?} whether anybody watches");
        }
    }

    fn last_known(&self, account_id: &AccountId) -> Option<bool> {
        let believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        believed.get(account_id).map(|(is_watched, _)| *is_watched)
    }

    /// Remembers what was found out, and returns the accounts that somebody watches.
    fn settle<'a>(&self, found: BTreeMap<&'a AccountId, Option<bool>>, now: i64) -> Vec<&'a AccountId> {
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watched = Vec::new();
        for (account_id, is_watched) in found {
            let is_watched = is_watched.unwrap_or(true);
            if believed.len() >= REMEMBERED {
                believed.clear();
            }
            believed.insert(account_id.clone(), (is_watched, now));
            if is_watched {
                watched.push(account_id);
            }
        }
        watched
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use analytics_platform::aws::sdk_config;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const NOBODY: &str = r#"{"Count":0,"Items":[]}"#;

    /// A table that answers once and then keeps everybody waiting.
    async fn table_that_falls_silent() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut waiting = Vec::new();
            let (mut first, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            assert!(first.read(&mut request).await.unwrap() > 0);
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{NOBODY}", NOBODY.len());
            first.write_all(answer.as_bytes()).await.unwrap();
            loop {
                waiting.push(listener.accept().await.unwrap());
            }
        });
        url
    }

    fn watched_at(url: String) -> Watched {
        let lookup = |key: &str| match key {
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            _ => None,
        };
        Watched::new(ConnectionTable::new(crate::client(&sdk_config(&lookup).unwrap()), "connections"))
    }

    #[tokio::test]
    async fn accounts_are_looked_up_together_within_the_time_of_one() {
        let watched = watched_at(table_that_falls_silent().await);
        let account_ids: Vec<AccountId> =
            (0..100).map(|number| AccountId::stored(&format!("account-{number}"))).collect();
        let started = Instant::now();
        let found = watched.among(&account_ids, 0).await;
        assert!(started.elapsed() < 3 * PATIENCE, "{:?}", started.elapsed());
        // One was answered: nobody watches it. Nothing was ever known of the others.
        assert_eq!(found.len(), 99);
    }

    #[tokio::test]
    async fn while_the_table_does_not_answer_nothing_is_missed_and_nobody_is_held_up() {
        let url = table_that_falls_silent().await;
        let watched = watched_at(url);
        let (a, b) = (AccountId::stored("a"), AccountId::stored("b"));
        assert!(!watched.look_up(&a, 0).await);
        let noticed = i64::try_from(Watched::NOTICED.as_millis()).unwrap();
        assert_eq!((watched.believed(&a, noticed - 1), watched.believed(&a, noticed)), (Some(false), None));
        let started = Instant::now();
        assert!(watched.look_up(&a, BELIEVED).await, "somebody may have connected since the table answered");
        assert!(watched.look_up(&b, BELIEVED).await, "nothing was ever known of it");
        assert!(started.elapsed() < 10 * PATIENCE, "{:?}", started.elapsed());
        assert_eq!(watched.believed(&b, BELIEVED + 1), Some(true), "it is not asked again at once");
    }
}
