//! Wiring of `ws-connect`.

use analytics_runtime::{Error, socket};
use live::ws_connect::{Context, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    socket("ws-connect", Context::from_lookup, handle).await
}
