//! The stack's ClickHouse, asked directly.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::body::Bytes;
use reqwest::Client;

use crate::process;

/// A ClickHouse on this machine.
#[derive(Clone)]
pub struct ClickHouse {
    pub url: String,
    pub http: Client,
    pub pid: u32,
}

impl ClickHouse {
    /// Runs a statement; its answer as text.
    pub async fn ask(&self, sql: &str) -> Result<String> {
        let query = [("database", "analytics")];
        let answer = self.http.post(&self.url).query(&query).body(sql.to_owned()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{text}\n{sql}");
        Ok(text.trim_end().to_owned())
    }

    /// The answer as it comes.
    pub async fn bytes(&self, sql: &str) -> Result<Bytes> {
        let query = [("database", "analytics")];
        let answer = self.http.post(&self.url).query(&query).body(sql.to_owned()).send().await?.error_for_status()?;
        Ok(answer.bytes().await?)
    }

    /// Inserts rows that are written as the statement says.
    pub async fn insert(&self, sql: &str, rows: Bytes) -> Result<()> {
        let query = [("database", "analytics"), ("query", sql), ("type_json_skip_duplicated_paths", "1")];
        let answer = self.http.post(&self.url).query(&query).body(rows).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{}", answer.text().await?);
        Ok(())
    }

    /// A number.
    pub async fn number(&self, sql: &str) -> Result<u64> {
        Ok(self.ask(sql).await?.parse()?)
    }

    /// CPU time of the whole server so far, background work included.
    pub fn cpu(&self) -> Result<Duration> {
        process::cpu(self.pid)
    }

    /// Waits until no merge has run for two seconds, but at most this long.
    pub async fn until_calm(&self, patience: Duration) -> Result<()> {
        let (started, mut calm_since) = (Instant::now(), Instant::now());
        while started.elapsed() < patience && calm_since.elapsed() < Duration::from_secs(2) {
            if self.number("SELECT count() FROM system.merges").await? > 0 {
                calm_since = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok(())
    }
}
