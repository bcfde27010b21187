//! What the functions are made of.

use analytics_domain::{account::AccountId, metric::Metrics};
use analytics_dynamo::{MetricTable, Tables, WorkTable};
use analytics_http::ApiError;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::EventWarehouse;

use crate::errors;

/// The parts that definitions of metrics need.
pub struct App {
    pub table: MetricTable,
    /// None in a function that defines nothing.
    pub work: Option<WorkTable>,
    pub warehouse: EventWarehouse,
}

impl App {
    /// Reads `METRICS_TABLE`, `ROLLUPS_TABLE`, and the keys of [`aws::sdk_config`] and [`EventWarehouse::to_read`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let tables = analytics_dynamo::client(&aws::sdk_config(lookup)?);
        let work = WorkTable::new(tables.clone(), lookup.required("ROLLUPS_TABLE")?);
        Ok(Self { work: Some(work), ..Self::beside(tables, lookup)? })
    }

    /// The same for a function that defines nothing.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn to_read(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Self::beside(analytics_dynamo::client(&aws::sdk_config(lookup)?), lookup)
    }

    fn beside(tables: Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self {
            table: MetricTable::new(tables, lookup.required("METRICS_TABLE")?),
            work: None,
            warehouse: EventWarehouse::to_read(lookup)?,
        })
    }

    /// All metrics of an account with the revision that they are of.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn metrics(&self, account_id: &AccountId) -> Result<(Metrics, i64), ApiError> {
        let kept = self.table.list(account_id).await.map_err(errors::table)?;
        Ok((Metrics::new(kept.metrics), kept.revision))
    }
}
