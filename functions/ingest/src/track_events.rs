//! `POST /api/events/batch`: up to 2,000 events in. Good ones go through whatever the others are.

use analytics_domain::{
    access::Operation,
    event::{Advice, BodyError, Drafts, limits, parse_batch, parse_lines},
};
use analytics_http::{ApiError, FieldError, LISTED_ERRORS, MediaType, Reply, accepted, openapi::OpenApi};
use analytics_runtime::Call;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    accept::{self, Answers, App, SealedQueue, Taken},
    schema::Batch,
};

/// The result of a batch. An event whose index is neither in `errors` nor in `rejectedIndexes` was accepted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    accepted: usize,
    rejected: usize,
    #[schemars(length(max = LISTED_ERRORS))]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    omitted: Option<Omitted>,
    /// What built-in metrics miss in accepted events, at most once an hour for each event name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EventWarning")]
struct Warning {
    code: &'static str,
    event_name: &'static str,
    property: &'static str,
    detail: String,
}

impl From<Advice> for Warning {
    fn from(Advice { code, event_name, property, detail }: Advice) -> Self {
        Self { code, event_name, property, detail }
    }
}

// Sent only if there are more errors than LISTED_ERRORS.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Omitted {
    /// How many errors there are beyond those in `errors`.
    errors_omitted: usize,
    /// With `errorsOmitted`: the index of every rejected event.
    rejected_indexes: Vec<usize>,
}

impl Verdict {
    fn new(taken: Taken) -> Self {
        let rejected_indexes: Vec<usize> = taken.rejections.iter().map(|(index, _)| *index).collect();
        let rejected = rejected_indexes.len();
        let mut errors = FieldError::of_events(Some(taken.list), taken.rejections);
        let errors_omitted = errors.len().saturating_sub(LISTED_ERRORS);
        errors.truncate(LISTED_ERRORS);
        let omitted = (errors_omitted > 0).then_some(Omitted { errors_omitted, rejected_indexes });
        let warnings = taken.advice.into_iter().map(Warning::from).collect();
        Self { accepted: taken.accepted, rejected, errors, omitted, warnings }
    }
}

type Parse = fn(&[u8]) -> Result<Drafts<'_>, BodyError>;

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let description = format!(
        "At most {} events and {} bytes after decompression. Send gzip as `application/gzip` (JSON inside), or as \
         `application/x-ndjson` with `Content-Encoding: gzip`. Each event is judged by itself.",
        limits::BATCH_EVENTS,
        limits::BODY_BYTES
    );
    accept::describe(&mut document.operation(Operation::TrackEvents, "Send a batch of events", &description))
        .body::<Batch>()
        .or_body("application/x-ndjson", "An event a line")
        .answer::<Verdict>(
            202,
            "The accepted events are stored safely. `errors` lists the reasons of the rejected events",
        )
        .sends(202, "Idempotency-Replayed", "true, if this is the answer of an earlier request with the same key");
}

/// Takes a batch of events.
///
/// # Errors
/// If the request cannot be read or holds no good event; or the queue is down.
pub async fn handle<Q: SealedQueue, A: Answers>(app: &App<Q, A>, call: Call) -> Result<Reply, ApiError> {
    let parse: Parse = match call.incoming().media_type()? {
        MediaType::Json => parse_batch,
        MediaType::Lines => parse_lines,
    };
    let answer = |taken: Taken| {
        if taken.accepted > 0 {
            accepted(&Verdict::new(taken))
        } else {
            let errors = FieldError::of_events(Some(taken.list), taken.rejections);
            Err(ApiError::invalid("none of the events was accepted: see errors", errors))
        }
    };
    accept::handle(app, &call, Operation::TrackEvents, parse, answer).await
}

#[cfg(test)]
mod tests;
