//! What the functions are made of.

use analytics_domain::metric::Metrics;
use analytics_dynamo::MetricTable;
use analytics_http::{ApiError, Verifier};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::EventWarehouse;

use crate::errors;

/// The parts that questions about metrics, and definitions of them, need.
pub struct App {
    pub verifier: Verifier,
    pub table: MetricTable,
    pub warehouse: EventWarehouse,
    pub retention_days: i64,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
}

impl App {
    /// Reads `METRICS_TABLE`, `RETENTION_DAYS`, and the keys of [`Verifier::from_lookup`], [`aws::sdk_config`] and
    /// [`EventWarehouse::from_lookup`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self {
            verifier: Verifier::from_lookup(lookup)?,
            table: MetricTable::new(&aws::sdk_config(lookup)?, lookup.required("METRICS_TABLE")?),
            warehouse: EventWarehouse::from_lookup(lookup)?,
            retention_days: lookup.parsed("RETENTION_DAYS", 400, "a number of days")?,
            now: analytics_platform::now_millis,
        })
    }

    /// All metrics of an account with the revision that they are of.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn metrics(&self, account_id: &str) -> Result<(Metrics, i64), ApiError> {
        let kept = self.table.list(account_id).await.map_err(errors::table)?;
        Ok((Metrics::new(kept.metrics), kept.revision))
    }
}
