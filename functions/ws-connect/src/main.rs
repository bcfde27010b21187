//! Wiring of `ws-connect`.

use analytics_live::App;
use analytics_runtime::{Error, socket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    socket("ws-connect", App::from_lookup, ws_connect::handle).await
}
