//! Wiring of `query-metrics`.

use analytics_answers::Answers;
use analytics_domain::access::Operation;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::QueryMetrics, Answers::from_lookup, metrics::query_metrics::handle).await
}
