//! Wiring of `update-metric`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, http};
use metrics::Defining;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::UpdateMetric, Defining::from_lookup, metrics::update_metric::handle).await
}
