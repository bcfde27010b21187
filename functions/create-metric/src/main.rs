//! Wiring of `create-metric`.

use analytics_domain::access::Operation;
use analytics_metrics::Defining;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::CreateMetric, Defining::from_lookup, create_metric::handle).await
}
