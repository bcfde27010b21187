//! Wiring of `create-metric`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, http};
use metrics::Defining;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::CreateMetric, Defining::from_lookup, metrics::create_metric::handle).await
}
