//! Wiring of `ws-message`.

use analytics_runtime::{Error, socket};
use live::ws_message::{Context, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    socket("ws-message", Context::from_lookup, handle).await
}
