//! Functions that a schedule calls.

use std::{fmt::Display, future::Future};

use analytics_platform::config::ConfigError;
use lambda_runtime::{LambdaEvent, run, service_fn};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Environment, Error,
    invocation::{Details, Invocation, Outcome},
    start,
};

/// Handles the calls of a schedule, or of an operator, until Lambda ends the process. The handler gets the event of the call.
///
/// # Errors
/// If a setting is missing or wrong, or the Runtime API cannot be reached.
pub async fn schedule<C, H, F, D, E>(
    function: &'static str,
    context: impl FnOnce(&Environment) -> Result<C, ConfigError>,
    handler: H,
) -> Result<(), Error>
where
    C: Sync + 'static,
    H: Fn(&'static C, Value) -> F + Sync,
    F: Future<Output = Result<D, E>>,
    D: Serialize,
    E: Display,
{
    let context = start(context)?;
    let handle = async |event: LambdaEvent<Value>| {
        let invocation = Invocation::start(function, None, &event.context);
        match invocation.run(handler(context, event.payload)).await {
            Ok(done) => {
                invocation.end("scheduled work done", Outcome::Ok, &Details::default());
                Ok(done)
            }
            Err(error) => {
                let cause = error.to_string();
                let details = Details { cause: Some(&cause), ..Details::default() };
                invocation.end("scheduled work failed", Outcome::Failed, &details);
                Err(Error::from(cause))
            }
        }
    };
    run(service_fn(handle)).await
}
