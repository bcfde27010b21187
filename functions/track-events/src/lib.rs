//! `POST /api/events/batch`: up to 2,000 events in. Good ones go through whatever the others are.

use analytics_domain::{
    access::Operation,
    event::{BodyError, Drafts, parse_batch, parse_lines},
};
use analytics_http::{ApiError, FieldError, Incoming, MediaType, Reply, accepted};
use analytics_ingest::{Answers, App, SealedQueue, Taken};
use lambda_http::Request;
use serde::Serialize;

/// The verdict on a batch: every event not named in `errors` was accepted.
#[derive(Serialize)]
struct Verdict {
    accepted: usize,
    rejected: usize,
    errors: Vec<FieldError>,
}

/// Takes a batch of events.
///
/// # Errors
/// If the request may not, cannot be read or holds no good event; or the queue is down.
pub async fn handle<Q: SealedQueue, A: Answers>(app: &App<Q, A>, request: Request) -> Result<Reply, ApiError> {
    let (parse, list): (for<'b> fn(&'b [u8]) -> Result<Drafts<'b>, BodyError>, _) =
        match Incoming::new(&request).media_type()? {
            MediaType::Json => (parse_batch, "/events"),
            MediaType::Lines => (parse_lines, ""),
        };
    let answer = |taken: Taken| {
        let rejected = taken.rejections.len();
        let errors = FieldError::of_events(Some(list), taken.rejections);
        if taken.accepted > 0 {
            accepted(&Verdict { accepted: taken.accepted, rejected, errors })
        } else {
            Err(ApiError::invalid("none of the events was accepted: see errors", errors))
        }
    };
    analytics_ingest::handle(app, &request, Operation::TrackEvents, parse, answer).await
}
