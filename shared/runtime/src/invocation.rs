//! An invocation: its span, its trace, and the line at its end.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use analytics_platform::{now_millis, telemetry::INVOCATION, trace::Trace};
use lambda_runtime::Context;
use tracing::{Instrument, Span, field::Empty};

/// An invocation from its start to its end.
#[derive(Debug)]
pub(crate) struct Invocation {
    span: Span,
    trace: Trace,
    started: Instant,
    is_cold: bool,
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The work is done, or it was refused for a reason of the caller's.
    Ok,
    /// We failed, in all of the work or in a part of it.
    Failed,
}

/// Further fields of the line at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details<'a> {
    pub status: Option<u16>,
    pub code: Option<&'a str>,
    pub cause: Option<&'a str>,
    /// Messages of a queue: how many were received, and how many are returned to it.
    pub messages: Option<usize>,
    pub again: Option<usize>,
    /// The traces that the messages came from.
    pub from: Option<&'a str>,
}

impl Invocation {
    /// `id` is the id of a request as its sender knows it; without one, the invocation's counts.
    pub(crate) fn start(function: &'static str, id: Option<&str>, context: &Context) -> Self {
        static HAS_STARTED: AtomicBool = AtomicBool::new(false);
        let trace = context.xray_trace_id.as_deref().and_then(Trace::parse);
        let trace = trace.unwrap_or_else(|| Trace::new(now_millis()));
        let span = tracing::info_span!(
            target: INVOCATION, "invocation",
            function,
            request.id = id.unwrap_or(&context.request_id),
            trace.id = trace.id(),
            account.id = Empty,
        );
        let is_cold = !HAS_STARTED.swap(true, Ordering::Relaxed);
        Self { span, trace, started: Instant::now(), is_cold }
    }

    /// Names the account in all lines that follow.
    pub(crate) fn is_of(&self, account_id: &str) {
        self.span.record("account.id", account_id);
    }

    /// Does the work of the invocation, or a part of it.
    pub(crate) fn run<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        // In a box: futures of handlers are large and deep.
        self.trace.clone().of(Box::pin(work)).instrument(self.span.clone())
    }

    /// Writes the line at the end.
    pub(crate) fn end(self, message: &str, outcome: Outcome, details: &Details<'_>) {
        let duration_ms = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX) as f64 / 1_000.0;
        let Details { status, code, cause, messages, again, from } = *details;
        let (failures, cold_starts) = (u8::from(outcome == Outcome::Failed), u8::from(self.is_cold));
        // The level of a line is a part of the macro's call.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: INVOCATION,
                    duration_ms,
                    failures,
                    cold_starts,
                    http.status = status,
                    error.code = code,
                    error.cause = cause,
                    messages,
                    again,
                    trace.from = from,
                    "{message}"
                )
            };
        }
        self.span.in_scope(|| match outcome {
            Outcome::Ok => line!(info),
            Outcome::Failed => line!(error),
        });
    }
}
