//! Wiring of `update-metric`.

use analytics_domain::access::Operation;
use analytics_metrics::Defining;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::UpdateMetric, Defining::from_lookup, update_metric::handle).await
}
