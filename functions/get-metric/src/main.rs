//! Wiring of `get-metric`.

use analytics_domain::access::Operation;
use analytics_metrics::App;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::GetMetric, App::to_read, get_metric::handle).await
}
