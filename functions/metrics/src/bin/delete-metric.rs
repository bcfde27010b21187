//! Wiring of `delete-metric`.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::DeleteMetric, MetricTable::from_lookup, metrics::delete_metric::handle).await
}
