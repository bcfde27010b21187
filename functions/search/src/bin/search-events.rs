//! Wiring of `search-events`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, http};
use analytics_warehouse::EventWarehouse;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::SearchEvents, EventWarehouse::to_read, search::search_events::handle).await
}
