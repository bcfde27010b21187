//! Wiring of `track-event`.

use analytics_domain::access::Operation;
use analytics_ingest::App;
use analytics_runtime::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::TrackEvent, App::from_lookup, track_event::handle).await
}
