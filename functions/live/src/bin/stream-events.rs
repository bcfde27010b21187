//! Wiring of `stream-events`.

use analytics_runtime::{Error, queue_and_schedule};
use live::stream_events::{App, end_invalid, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    queue_and_schedule("stream-events", App::from_lookup, handle, end_invalid).await
}
