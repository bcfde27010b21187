//! Wiring of `list-metrics`.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::ListMetrics, MetricTable::from_lookup, metrics::list_metrics::handle).await
}
