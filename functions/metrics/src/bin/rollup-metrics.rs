//! Wiring of `rollup-metrics`.

use analytics_runtime::{Error, schedule};
use metrics::rollup_metrics::{App, Call, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    schedule("rollup-metrics", App::from_lookup, |app, event| async move { handle(app, &Call::of(&event)).await }).await
}
