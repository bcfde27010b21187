//! ClickHouse: where events are kept and found again.

mod conditions;
mod insert;
pub mod metric;
mod position;
mod search;
mod statement;

use std::time::Duration;

use analytics_platform::config::{ConfigError, Lookup};
use clickhouse::{Client, Compression};

pub use search::{FoundEvent, FoundPage, FoundRejected};

/// ClickHouse did not take or tell something.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// Try again: unreachable, overloaded, starting.
    #[error("ClickHouse is unavailable: {0}")]
    Unavailable(String),
    /// Trying again with the same rows or the same question won't help.
    #[error("ClickHouse refused: {0}")]
    Refused(String),
    /// The question takes more time or memory than one may.
    #[error("the query is over its limits: {0}")]
    OverLimits(String),
    #[error("the cursor is not one that a search has given")]
    InvalidCursor,
}

/// The events of all accounts.
#[derive(Clone)]
pub struct EventWarehouse {
    client: Client,
}

impl EventWarehouse {
    /// Reads `CLICKHOUSE_URL`, `CLICKHOUSE_USER`, `CLICKHOUSE_PASSWORD` and `CLICKHOUSE_DATABASE`.
    ///
    /// # Errors
    /// If the address is not set.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let or = |key: &str, default: &str| lookup.find(key).unwrap_or_else(|| default.to_owned());
        let client = Client::default()
            .with_url(lookup.required("CLICKHOUSE_URL")?)
            .with_user(or("CLICKHOUSE_USER", "default"))
            .with_password(or("CLICKHOUSE_PASSWORD", ""))
            .with_database(or("CLICKHOUSE_DATABASE", "analytics"))
            .with_compression(Compression::Lz4)
            // The types of rows are held to the tables by tests, not by another question before each cold insert.
            .with_validation(false);
        Ok(Self { client })
    }

    /// Whether ClickHouse answers, and has the tables.
    ///
    /// # Errors
    /// If it does not answer within two seconds, or lacks them.
    pub async fn ping(&self) -> Result<(), WarehouseError> {
        let ask = self
            .client
            .query("SELECT count() FROM events WHERE account_id = ''")
            .with_setting("max_execution_time", "2");
        ask.fetch_one::<u64>().await.map(drop).map_err(classify)
    }
}

/// How long one insert may take before it counts as failed: less than the function's own time, so that it can say so.
const INSERT_TIMEOUT: Duration = Duration::from_secs(15);

/// Codes: <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
fn classify(error: clickhouse::error::Error) -> WarehouseError {
    use clickhouse::error::Error;
    match error {
        Error::BadResponse(text) => {
            let code = text.strip_prefix("Code: ").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
            match code {
                // TIMEOUT_EXCEEDED, TOO_SLOW, TOO_MANY_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES
                Some(159 | 160 | 158 | 307 | 396) => WarehouseError::OverLimits(text),
                // MEMORY_LIMIT_EXCEEDED: the query's own limit, or that of the whole server
                Some(241) if text.contains("query") && !text.contains("total") => WarehouseError::OverLimits(text),
                // CANNOT_PARSE_*, INCORRECT_DATA, UNKNOWN_TYPE, TYPE_MISMATCH, CANNOT_READ_ALL_DATA, ARGUMENT_OUT_OF_BOUND
                Some(6 | 25 | 26 | 27 | 33 | 38 | 41 | 53 | 69 | 72 | 117) => WarehouseError::Refused(text),
                _ => WarehouseError::Unavailable(text),
            }
        }
        other => WarehouseError::Unavailable(chain(&other)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += ": ";
        text += &cause.to_string();
        source = cause.source();
    }
    text
}
