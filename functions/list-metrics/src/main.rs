//! Wiring of `list-metrics`.

use analytics_metrics::App;
use analytics_platform::{config::environment, telemetry};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::to_read(&environment)?;
    analytics_http::serve(|request| list_metrics::handle(&app, request)).await
}
