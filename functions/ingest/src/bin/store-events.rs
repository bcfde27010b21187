//! Wiring of `store-events`.

use analytics_runtime::{Error, queue};
use ingest::store_events::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    queue("store-events", App::from_lookup, handle).await
}
