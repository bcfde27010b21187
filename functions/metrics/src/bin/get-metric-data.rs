//! Wiring of `get-metric-data`.

use analytics_answers::Answers;
use analytics_domain::access::Operation;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::GetMetricData, Answers::from_lookup, metrics::get_metric_data::handle).await
}
