//! Wiring of `get-metric`.

use analytics_domain::access::Operation;
use analytics_dynamo::MetricTable;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::GetMetric, MetricTable::from_lookup, metrics::get_metric::handle).await
}
