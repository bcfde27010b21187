//! Wiring of `store-events`.

use analytics_messaging::SqsBatch;
use analytics_platform::{config::environment, telemetry};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use store_events::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    run(service_fn(|event: LambdaEvent<SqsBatch>| async { Ok::<_, Error>(handle(&app, event.payload).await) })).await
}
