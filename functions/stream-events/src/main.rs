//! Wiring of `stream-events`.

use analytics_messaging::{Message, PartialFailure, SqsBatch};
use analytics_platform::{config::environment, telemetry};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::Deserialize;
use stream_events::{App, end_invalid, handle};

/// What the function is called with: messages of the queue, or the schedule's word.
#[derive(Deserialize)]
struct Call {
    #[serde(rename = "Records")]
    records: Option<Vec<Message>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start(&environment);
    let app = App::from_lookup(&environment)?;
    run(service_fn(|event: LambdaEvent<Call>| async {
        let Some(records) = event.payload.records else {
            end_invalid(&app).await;
            return Ok::<_, Error>(PartialFailure::default());
        };
        Ok(handle(&app, SqsBatch { records }).await)
    }))
    .await
}
