//! Wiring of `get-dashboard`.

use analytics_platform::{config::environment, telemetry};
use get_dashboard::{App, handle};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    analytics_http::serve(|request| std::future::ready(handle(&app, &request))).await
}
