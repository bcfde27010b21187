//! The loop of an HTTP function: what every answer gets, and the one place where requests and errors are logged.

use std::{future::Future, time::Instant};

use http::{HeaderName, HeaderValue, Response};
use lambda_http::{Body, Error, Request, RequestExt, lambda_runtime::Context, request::RequestContext, service_fn};

use crate::{ApiError, size::fitting};

/// An HTTP answer.
pub type Reply = Response<Body>;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers requests until Lambda ends the process.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub async fn serve<H, F>(handle: H) -> Result<(), Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<Reply, ApiError>> + Send,
{
    lambda_http::run(service_fn(|request: Request| {
        let id = request_id(&request);
        let started = Instant::now();
        let answer = handle(request);
        async move { Ok::<_, Error>(finish(answer.await, &id, started)) }
    }))
    .await
}

/// The gateway's id of the request, else that of the invocation.
fn request_id(request: &Request) -> String {
    let gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    gateway
        .or_else(|| request.lambda_context_ref().map(|context: &Context| context.request_id.clone()))
        .unwrap_or_default()
}

fn finish(answer: Result<Reply, ApiError>, id: &str, started: Instant) -> Reply {
    let reply = answer.unwrap_or_else(|error| {
        let (status, code) = (error.status.as_u16(), error.code);
        if error.status.is_server_error() {
            let cause = error.cause.as_deref().unwrap_or_default();
            tracing::error!(request.id = id, http.status = status, error.code = code, error.cause = cause, "failed");
        } else {
            tracing::info!(request.id = id, http.status = status, error.code = code, "refused");
        }
        error.into_reply(id)
    });
    let mut reply = fitting(reply, id);
    if let Ok(value) = HeaderValue::from_str(id) {
        reply.headers_mut().insert(&REQUEST_ID, value);
    }
    let duration_ms = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX) as f64 / 1_000.0;
    tracing::debug!(request.id = id, http.status = reply.status().as_u16(), duration_ms, "answered");
    reply
}
