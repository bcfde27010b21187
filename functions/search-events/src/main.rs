//! Wiring of `search-events`.

use analytics_platform::{config::environment, telemetry};
use lambda_http::Error;
use search_events::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    analytics_http::serve(|request| search_events::handle(&app, request)).await
}
