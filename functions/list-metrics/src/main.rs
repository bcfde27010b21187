//! Wiring of `list-metrics`.

use analytics_domain::access::Operation;
use analytics_metrics::App;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::ListMetrics, App::to_read, list_metrics::handle).await
}
