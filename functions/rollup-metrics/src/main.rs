//! Wiring of `rollup-metrics`.

use analytics_platform::{config::environment, telemetry};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rollup_metrics::{App, Call, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    run(service_fn(|event: LambdaEvent<Value>| {
        let (app, call) = (&app, Call::of(&event.payload));
        async move { handle(app, &call).await.map_err(|error| Error::from(error.to_string())) }
    }))
    .await
}
