//! Wiring of `create-metric`.

use analytics_domain::access::Operation;
use analytics_metrics::App;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::CreateMetric, App::from_lookup, create_metric::handle).await
}
