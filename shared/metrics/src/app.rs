//! What the functions are made of.

use std::time::Duration;

use analytics_domain::metric::{Metrics, Query, buckets::Range};
use analytics_dynamo::{MetricTable, Tables, WorkTable};
use analytics_http::{ApiError, Verifier};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, metric::Rollups};
use tokio::time::Instant;

use crate::errors;

/// What a question may take in all, from what is known of the account to the last number: the gateway waits for 29 s.
const ANSWER_TIME: Duration = Duration::from_secs(25);

/// The parts that questions about metrics, and definitions of them, need.
pub struct App {
    pub verifier: Verifier,
    pub table: MetricTable,
    /// None in a function that defines nothing.
    pub work: Option<WorkTable>,
    pub warehouse: EventWarehouse,
    pub retention_days: i64,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
}

/// What is known of an account as a question comes.
pub struct Known {
    /// Everything that was stored by then is known. Epoch milliseconds.
    pub at: i64,
    pub metrics: Metrics,
    pub rollups: Rollups,
    /// When the time for the answer is up.
    pub deadline: Instant,
}

impl App {
    /// Reads `METRICS_TABLE`, `ROLLUPS_TABLE`, `RETENTION_DAYS`, and the keys of [`Verifier::from_lookup`],
    /// [`aws::sdk_config`] and [`EventWarehouse::to_read`].
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

    /// As [`App::to_read`], in a function that has a client for tables.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn beside(tables: Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self {
            verifier: Verifier::from_lookup(lookup)?,
            table: MetricTable::new(tables, lookup.required("METRICS_TABLE")?),
            work: None,
            warehouse: EventWarehouse::to_read(lookup)?,
            retention_days: lookup.parsed("RETENTION_DAYS", 400, "a number of days")?,
            now: analytics_platform::now_millis,
        })
    }

    /// What answering a question about an account takes; about one metric, if it says which.
    ///
    /// # Errors
    /// If a store does not answer.
    pub async fn known(&self, account_id: &str, id: Option<&str>, query: &Query, now: i64) -> Result<Known, ApiError> {
        let deadline = Instant::now() + ANSWER_TIME;
        let compared = query.compare.iter().map(|(_, buckets)| buckets.range);
        let ranges: Vec<Range> = compared.chain([query.buckets.range]).collect();
        let metrics = async {
            let built_in = Metrics::new(Vec::new());
            let paths = || query.group_by.iter().map(String::as_str).chain(query.filter.paths());
            match id.is_some_and(|id| built_in.suffice(id, paths())) {
                true => Ok(built_in),
                false => self.metrics(account_id).await.map(|(metrics, _)| metrics),
            }
        };
        let (metrics, rollups) = tokio::join!(metrics, self.warehouse.rollups(account_id, &ranges, now));
        Ok(Known { at: now, metrics: metrics?, rollups: rollups.map_err(errors::warehouse)?, deadline })
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
