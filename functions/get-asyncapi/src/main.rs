//! Wiring of `get-asyncapi`.

use analytics_platform::{config::environment, telemetry};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    analytics_http::serve(|_| async { get_asyncapi::handle() }).await
}
