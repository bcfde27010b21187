//! The metrics that accounts define.

use analytics_domain::metric::Metric;

use crate::definitions::{DefinitionTable, StoredDefinition};

/// The metrics that accounts define.
pub type MetricTable = DefinitionTable<Metric>;

impl StoredDefinition for Metric {
    const TABLE: &'static str = "METRICS_TABLE";
    const KEY: &'static str = "metricId";
    const CONTENT: &'static str = "metric";

    fn id(&self) -> &str {
        &self.id
    }

    fn from_json(text: &str) -> serde_json::Result<Self> {
        Self::from_json(text)
    }
}
