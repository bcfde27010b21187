//! The context of the functions that define metrics.

use analytics_domain::{account::AccountId, metric::Metrics};
use analytics_dynamo::{MetricTable, WorkTable};
use analytics_http::ApiError;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::EventWarehouse;

use crate::errors;

/// The context of creating or changing a metric.
pub struct Defining {
    pub table: MetricTable,
    /// Notes that rollups of the metric are to be built.
    pub work: WorkTable,
    /// Knows the names and properties of the account's events.
    pub warehouse: EventWarehouse,
}

impl Defining {
    /// Reads the keys of [`aws::sdk_config`], [`MetricTable::from_tables`], [`WorkTable::from_tables`] and [`EventWarehouse::to_read`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let tables = analytics_dynamo::client(&aws::sdk_config(lookup)?);
        Ok(Self {
            table: MetricTable::from_tables(&tables, lookup)?,
            work: WorkTable::from_tables(&tables, lookup)?,
            warehouse: EventWarehouse::to_read(lookup)?,
        })
    }
}

/// All metrics of an account with the revision that they are of.
///
/// # Errors
/// If the table does not answer.
pub async fn metrics_of(table: &MetricTable, account_id: &AccountId) -> Result<(Metrics, i64), ApiError> {
    let kept = table.list(account_id).await.map_err(errors::table)?;
    Ok((Metrics::new(kept.definitions), kept.revision))
}
