//! Whether somebody watches an account, as far as a process needs to know.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use crate::ConnectionTable;

/// For so many milliseconds it is believed that somebody watches, or nobody.
const BELIEVED: i64 = 2_000;
/// Whoever sends an event waits for it.
const PATIENCE: Duration = Duration::from_millis(300);
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

    /// Whether somebody watches the account. If that cannot be told, it is as it was when it was last known. If it never was,
    /// somebody does if the table is only slow: what is sent to nobody costs little, and what somebody waits for does not come
    /// again.
    pub async fn look_up(&self, account_id: &str, now: i64) -> bool {
        if let Some(is_watched) = self.believed(account_id, now) {
            return is_watched;
        }
        let answer = timeout(PATIENCE, self.connections.is_watched(account_id, now)).await;
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = believed.get(account_id).map(|(is_watched, _)| *is_watched);
        let is_watched = match answer {
            Ok(Ok(is_watched)) => is_watched,
            Ok(Err(error)) => {
                tracing::warn!(error.cause = %error, "it is not known whether anybody watches");
                known.unwrap_or(false)
            }
            Err(_) => {
                tracing::warn!("it is not known within {PATIENCE:?} whether anybody watches");
                known.unwrap_or(true)
            }
        };
        if believed.len() >= REMEMBERED {
            believed.clear();
        }
        believed.insert(account_id.to_owned(), (is_watched, now));
        is_watched
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

    #[tokio::test]
    async fn a_table_that_does_not_answer_changes_no_belief_and_holds_nobody_up() {
        let url = table_that_falls_silent().await;
        let lookup = |key: &str| match key {
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            _ => None,
        };
        let watched = Watched::new(ConnectionTable::new(crate::client(&sdk_config(&lookup).unwrap()), "connections"));
        assert!(!watched.look_up("a", 0).await);
        assert_eq!((watched.believed("a", BELIEVED - 1), watched.believed("a", BELIEVED)), (Some(false), None));
        let started = Instant::now();
        assert!(!watched.look_up("a", BELIEVED).await, "nobody watched it when the table still answered");
        assert!(watched.look_up("b", BELIEVED).await, "nothing was ever known of it");
        assert!(started.elapsed() < 10 * PATIENCE, "{:?}", started.elapsed());
        assert_eq!(watched.believed("b", BELIEVED + 1), Some(true), "it is not asked again at once");
    }
}
