//! Wiring of `ws-connect`.

use analytics_live::{App, SocketEvent};
use analytics_platform::{config::environment, telemetry};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    run(service_fn(|event: LambdaEvent<SocketEvent>| async {
        Ok::<_, Error>(ws_connect::handle(&app, event.payload).await)
    }))
    .await
}
