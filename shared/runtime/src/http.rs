//! HTTP functions: from a request to its answer.

use std::{future::Future, sync::Arc};

use ::http::{HeaderName, HeaderValue};
use analytics_domain::{
    access::{Access, Caller, Operation},
    account::AccountId,
};
use analytics_http::{ApiError, Incoming, Reply, Verifier, fitting};
use analytics_platform::config::ConfigError;
use lambda_http::{Request, RequestExt, request::RequestContext, service_fn};
use lambda_runtime::Context;

use crate::{
    ENVIRONMENT, Environment, Error,
    invocation::{Details, Invocation, Outcome},
    start,
};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that the table of routes allows its caller.
#[derive(Debug)]
pub struct Call {
    pub caller: Arc<Caller>,
    pub request: Request,
    /// When the request came, in epoch milliseconds.
    pub now: i64,
}

impl Call {
    /// The account of the caller.
    #[must_use]
    pub fn account_id(&self) -> &AccountId {
        &self.caller.account_id
    }

    /// The parts of the request.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming::new(&self.request)
    }
}

/// Takes requests of an operation that needs a token to its handler, and the answers back.
#[derive(Debug)]
pub struct Http {
    operation: Operation,
    verifier: Verifier,
    /// Epoch milliseconds.
    now: fn() -> i64,
}

impl Http {
    #[must_use]
    pub const fn new(operation: Operation, verifier: Verifier, now: fn() -> i64) -> Self {
        Self { operation, verifier, now }
    }

    /// Answers a request by the handler, if the table of routes lets its sender call the operation.
    pub async fn answer<F>(&self, request: Request, handler: impl FnOnce(Call) -> F) -> Reply
    where
        F: Future<Output = Result<Reply, ApiError>>,
    {
        let (invocation, id) = begin(self.operation, &request);
        let answer = async {
            let now = (self.now)();
            let caller = self.verifier.authorize(&request, self.operation, now).await?;
            invocation.is_of(&caller.account_id);
            handler(Call { caller, request, now }).await
        };
        let answer = invocation.run(answer).await;
        end(invocation, answer, &id)
    }
}

fn begin(operation: Operation, request: &Request) -> (Invocation, String) {
    let context = request.lambda_context_ref().cloned().unwrap_or_default();
    let id = request_id(request, &context);
    (Invocation::start(operation.route().function, Some(&id), &context), id)
}

/// Answers the requests of an operation that needs a token until Lambda ends the process. The context and the [`Verifier`] are made
/// of the environment.
///
/// # Errors
/// If a setting is missing or wrong, the operation is open to everyone, or the Runtime API cannot be reached.
pub async fn http<C, H, F>(
    operation: Operation,
    context: impl FnOnce(&Environment) -> Result<C, ConfigError>,
    handler: H,
) -> Result<(), Error>
where
    C: Sync + 'static,
    H: Fn(&'static C, Call) -> F + Sync,
    F: Future<Output = Result<Reply, ApiError>> + Send,
{
    if operation.route().roles == Access::Everyone {
        return Err(format!("{operation:?} is open to everyone: serve it by public_http").into());
    }
    let context = start(context)?;
    let entry = Http::new(operation, Verifier::from_lookup(&ENVIRONMENT)?, analytics_platform::now_millis);
    let answer = async |request| Ok::<_, Error>(entry.answer(request, |call| handler(context, call)).await);
    lambda_http::run(service_fn(answer)).await
}

/// Answers the requests of an operation that is open to everyone until Lambda ends the process.
///
/// # Errors
/// If a setting is missing or wrong, the operation needs a token, or the Runtime API cannot be reached.
pub async fn public_http<C, H, F>(
    operation: Operation,
    context: impl FnOnce(&Environment) -> Result<C, ConfigError>,
    handler: H,
) -> Result<(), Error>
where
    C: Sync + 'static,
    H: Fn(&'static C, Request) -> F + Sync,
    F: Future<Output = Result<Reply, ApiError>> + Send,
{
    if operation.route().roles != Access::Everyone {
        return Err(format!("{operation:?} needs a token: serve it by http").into());
    }
    let context = start(context)?;
    let answer = async |request: Request| {
        let (invocation, id) = begin(operation, &request);
        let answer = invocation.run(handler(context, request)).await;
        Ok::<_, Error>(end(invocation, answer, &id))
    };
    lambda_http::run(service_fn(answer)).await
}

/// The gateway's id of the request, else that of the invocation.
fn request_id(request: &Request, context: &Context) -> String {
    let gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    gateway.unwrap_or_else(|| context.request_id.clone())
}

/// The answer as it is sent.
fn end(invocation: Invocation, answer: Result<Reply, ApiError>, id: &str) -> Reply {
    let mut details = Details::default();
    let cause;
    let mut reply = match answer.and_then(fitting) {
        Ok(reply) => reply,
        Err(mut error) => {
            cause = error.cause.take();
            (details.code, details.cause) = (Some(error.code), cause.as_deref());
            fitting(error.into_reply(id)).unwrap_or_else(|error| error.into_reply(id))
        }
    };
    if let Ok(value) = HeaderValue::from_str(id) {
        reply.headers_mut().insert(&REQUEST_ID, value);
    }
    let status = reply.status();
    details.status = Some(status.as_u16());
    let (message, outcome) = match status {
        status if status.is_server_error() => ("request failed", Outcome::Failed),
        status if status.is_client_error() => ("request refused", Outcome::Ok),
        _ => ("request answered", Outcome::Ok),
    };
    invocation.end(message, outcome, &details);
    reply
}

#[cfg(test)]
mod tests {
    use analytics_domain::access::Role;
    use analytics_platform::trace::Trace;
    use analytics_testkit::{NOW, body, request, verifier};
    use lambda_http::Body;
    use serde_json::json;

    use super::*;

    const OPERATION: Operation = Operation::SearchEvents;

    async fn answer<F>(role: Role, handler: impl FnOnce(Call) -> F) -> Reply
    where
        F: Future<Output = Result<Reply, ApiError>>,
    {
        Http::new(OPERATION, verifier(), || NOW).answer(request("search-events", role), handler).await
    }

    async fn unreachable(_: Call) -> Result<Reply, ApiError> {
        panic!("the handler was called")
    }

    #[tokio::test]
    async fn without_a_token_or_with_the_wrong_role_no_handler_is_called() {
        let http = Http::new(OPERATION, verifier(), || NOW);
        let mut anonymous = request("search-events", Role::Viewer);
        anonymous.headers_mut().remove("authorization");
        let refused = http.answer(anonymous, unreachable).await;
        assert_eq!((refused.status().as_u16(), &body(&refused)["code"]), (401, &json!("token_missing")));
        let refused = answer(Role::Ingest, unreachable).await;
        assert_eq!((refused.status().as_u16(), &body(&refused)["code"]), (403, &json!("role_forbidden")));
    }

    #[tokio::test]
    async fn a_handler_knows_its_caller_its_time_and_its_trace() {
        let reply = answer(Role::Viewer, async |call: Call| {
            assert_eq!((call.account_id().as_str(), call.caller.role, call.now), ("unit", Role::Viewer, NOW));
            assert!(Trace::current().is_some());
            Ok(Reply::new(Body::Empty))
        })
        .await;
        assert_eq!(reply.status().as_u16(), 200);
        let id = reply.headers().get("x-request-id").and_then(|id| id.to_str().ok()).expect("an answer has an id");
        assert!(!id.is_empty());
    }

    #[tokio::test]
    async fn what_is_too_large_or_fails_is_a_problem_with_the_requests_id_and_nothing_from_inside() {
        let large = async |_: Call| Ok(Reply::new(Body::Text("x".repeat(7_000_000))));
        let reply = answer(Role::Viewer, large).await;
        assert_eq!((reply.status().as_u16(), &body(&reply)["code"]), (422, &json!("answer_too_large")));
        let failing = async |_: Call| Err(ApiError::internal("10.0.0.7 is down"));
        let reply = answer(Role::Viewer, failing).await;
        let problem = body(&reply);
        assert_eq!((reply.status().as_u16(), &problem["code"]), (500, &json!("internal")));
        assert_eq!(problem["requestId"].as_str(), reply.headers()["x-request-id"].to_str().ok());
        assert!(!problem.to_string().contains("10.0.0.7"));
    }
}
