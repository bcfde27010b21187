//! ClickHouse: where events are kept and found again.

mod cause;
mod conditions;
mod error;
mod insert;
mod marks;
pub mod metric;
pub mod people;
mod position;
mod search;
mod search_index;
mod statement;

use std::time::Duration;

use analytics_platform::config::{ConfigError, Lookup};
use analytics_secrets::{Secret, SecretError};
use clickhouse::{Client, Compression};
pub use error::WarehouseError;
pub(crate) use error::classify;
pub use search::{FoundEvent, FoundPage, FoundRejected};

/// The events of all accounts.
#[derive(Clone)]
pub struct EventWarehouse {
    /// Without a login, if that is a secret: see [`EventWarehouse::client`].
    base: Client,
    login: Option<Secret>,
    /// Seconds that a statement of a question may take, if fewer than usual.
    seconds: Option<&'static str>,
}

impl EventWarehouse {
    /// Reads `CLICKHOUSE_URL`, `CLICKHOUSE_DATABASE`, and `CLICKHOUSE_SECRET_ARN` with the keys of [`Secret::from_lookup`]; without a
    /// secret, `CLICKHOUSE_USER` and `CLICKHOUSE_PASSWORD`.
    ///
    /// # Errors
    /// If the address is not set, or would be reached without TLS and is not this machine.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let or = |key: &str, default: &str| lookup.find(key).unwrap_or_else(|| default.to_owned());
        let base = Client::default()
            .with_url(lookup.url("CLICKHOUSE_URL")?)
            .with_database(or("CLICKHOUSE_DATABASE", "analytics"))
            .with_compression(Compression::Lz4)
            // The types of rows are held to the tables by tests, not by another question before each cold insert.
            .with_validation(false);
        let arn = lookup.find("CLICKHOUSE_SECRET_ARN").filter(|arn| !arn.is_empty());
        let login = arn.map(|arn| Secret::from_lookup(arn, lookup)).transpose()?;
        let base = match login {
            Some(_) => base,
            None => base.with_user(or("CLICKHOUSE_USER", "default")).with_password(or("CLICKHOUSE_PASSWORD", "")),
        };
        Ok(Self { base, login, seconds: None })
    }

    /// The same for questions that may take fewer seconds than those of the API: ClickHouse itself ends their statements.
    #[must_use]
    pub fn within(self, seconds: &'static str) -> Self {
        Self { seconds: Some(seconds), ..self }
    }

    /// The same for functions that only read: ClickHouse refuses whatever else a statement of theirs would do.
    ///
    /// # Errors
    /// As [`EventWarehouse::from_lookup`].
    pub fn to_read(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let warehouse = Self::from_lookup(lookup)?;
        // 1 would refuse the limits of each question too: they are settings.
        // https://clickhouse.com/docs/operations/settings/permissions-for-queries#readonly
        Ok(Self { base: warehouse.base.with_setting("readonly", "2"), ..warehouse })
    }

    /// The client with its login.
    async fn client(&self) -> Result<Client, WarehouseError> {
        let Some(secret) = &self.login else { return Ok(self.base.clone()) };
        let login = secret.login().await.map_err(|error| match error {
            SecretError::Unavailable(_) => WarehouseError::Unavailable(error.to_string()),
            SecretError::Refused(_) | SecretError::Malformed => WarehouseError::Unfit(error.to_string()),
        })?;
        Ok(self.base.clone().with_user(login.username).with_password(login.password))
    }

    /// If ClickHouse has refused the login, has the secret fetched again.
    async fn checked<T>(&self, answer: Result<T, WarehouseError>) -> Result<T, WarehouseError> {
        if let (Some(secret), Err(error)) = (&self.login, &answer)
            && error.is_about_login()
        {
            secret.refused().await;
        }
        answer
    }

    /// Whether ClickHouse answers, and has the tables.
    ///
    /// # Errors
    /// If it does not answer within two seconds, or lacks them.
    pub async fn ping(&self) -> Result<(), WarehouseError> {
        let ask = self.client().await?.query("SELECT count() FROM events WHERE account_id = ''");
        let answer = ask.with_setting("max_execution_time", "2").fetch_one::<u64>().await;
        self.checked(answer.map(drop).map_err(classify)).await
    }
}

/// How long one insert may take before it counts as failed: less than the function's own time, so that it can say so.
const INSERT_TIMEOUT: Duration = Duration::from_secs(15);

/// Months that one insert may write to.
const MOST_PARTITIONS: &str = "130";
