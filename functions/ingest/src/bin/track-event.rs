//! Wiring of `track-event`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, http};
use ingest::accept::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    http(Operation::TrackEvent, App::from_lookup, ingest::track_event::handle).await
}
