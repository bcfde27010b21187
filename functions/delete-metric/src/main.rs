//! Wiring of `delete-metric`.

use analytics_domain::access::Operation;
use analytics_metrics::App;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::DeleteMetric, App::to_read, delete_metric::handle).await
}
