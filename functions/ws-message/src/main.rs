//! Wiring of `ws-message`.

use analytics_live::App;
use analytics_runtime::{Error, socket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    socket("ws-message", App::from_lookup, ws_message::handle).await
}
