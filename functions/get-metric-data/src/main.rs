//! Wiring of `get-metric-data`.

use analytics_metrics::QuestionApp;
use analytics_platform::{config::environment, telemetry};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = QuestionApp::from_lookup(&environment)?;
    analytics_http::serve(|request| get_metric_data::handle(&app, request)).await
}
