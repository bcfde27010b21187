//! Wiring of `ws-disconnect`.

use analytics_live::App;
use analytics_runtime::{Error, socket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    socket("ws-disconnect", App::from_lookup, ws_disconnect::handle).await
}
