//! The way into every function. A function's binary names its operation, its context and its handler:
//!
//! ```ignore
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Error> {
//!     runtime::http(Operation::CreateMetric, App::from_lookup, create_metric::handle).await
//! }
//! ```
//!
//! Whatever the trigger, an invocation has a span, whose fields are in each of its log lines, a trace, which goes along with the
//! messages that it sends, and one line at its end, which is also its telemetry. Of an HTTP request, the token and the role are
//! checked before the handler is called, and an answer that Lambda cannot carry is refused.

mod http;
mod invocation;
mod queue;
mod schedule;
mod socket;

use analytics_platform::{
    config::{ConfigError, environment},
    telemetry,
};

pub use self::{
    http::{Call, Http, http, public_http},
    queue::{queue, queue_and_schedule},
    schedule::schedule,
    socket::{SocketAnswer, SocketContext, SocketEvent, socket},
};
pub use lambda_runtime::Error;

/// Where functions read their settings.
pub type Environment = fn(&str) -> Option<String>;

const ENVIRONMENT: Environment = environment;

/// Starts the log, and makes the context that lives as long as the process.
fn start<C>(context: impl FnOnce(&Environment) -> Result<C, ConfigError>) -> Result<&'static C, Error> {
    telemetry::start(&ENVIRONMENT);
    match context(&ENVIRONMENT) {
        Ok(context) => Ok(Box::leak(Box::new(context))),
        Err(error) => {
            tracing::error!(error.cause = %error, "the function cannot start");
            Err(error.into())
        }
    }
}
