//! Wiring of `track-events`.

use analytics_domain::access::Operation;
use analytics_ingest::App;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::TrackEvents, App::from_lookup, track_events::handle).await
}
