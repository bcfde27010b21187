//! Wiring of `ws-disconnect`.

use analytics_runtime::{Error, socket};
use live::ws_disconnect::{Context, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    socket("ws-disconnect", Context::from_lookup, handle).await
}
