//! `POST /api/events/batch`: up to 2,000 events in. Good ones go through whatever the others are.

use analytics_domain::{
    access::Operation,
    event::{BodyError, Drafts, parse_batch, parse_lines},
};
use analytics_http::{ApiError, FieldError, LISTED_ERRORS, MediaType, Reply, accepted};
use analytics_runtime::Call;
use serde::Serialize;

use crate::accept::{self, Answers, App, SealedQueue, Taken};

/// The verdict on a batch: every event that is named neither in `errors` nor in `rejected_indexes` was accepted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    accepted: usize,
    rejected: usize,
    errors: Vec<FieldError>,
    #[serde(flatten)]
    omitted: Option<Omitted>,
}

/// What there is in the place of errors beyond [`LISTED_ERRORS`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Omitted {
    errors_omitted: usize,
    /// Of all rejected events.
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
        Self { accepted: taken.accepted, rejected, errors, omitted }
    }
}

type Parse = fn(&[u8]) -> Result<Drafts<'_>, BodyError>;

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
