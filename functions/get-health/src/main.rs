//! Wiring of `get-health`.

use analytics_platform::{config::environment, telemetry};
use get_health::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    analytics_http::serve(|_| get_health::handle(&app)).await
}
