//! `POST /api/events`: one event in.

use analytics_domain::{access::Operation, event::parse_single, time};
use analytics_http::{ApiError, FieldError, Reply, accepted};
use analytics_ingest::{Answers, App, SealedQueue, Taken};
use lambda_http::Request;
use serde::Serialize;

/// The answer to an accepted event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    event_id: String,
    timestamp: String,
}

/// Takes one event.
///
/// # Errors
/// If the request may not, cannot be read or holds a bad event; or the queue is down.
pub async fn handle<Q: SealedQueue, A: Answers>(app: &App<Q, A>, request: Request) -> Result<Reply, ApiError> {
    analytics_ingest::handle(app, &request, Operation::TrackEvent, parse_single, answer).await
}

fn answer(taken: Taken) -> Result<Reply, ApiError> {
    match taken.first {
        Some((event_id, timestamp)) => accepted(&Accepted { event_id, timestamp: time::format(timestamp) }),
        None => {
            let errors = FieldError::of_events(None, taken.rejections);
            Err(ApiError::invalid("the event was not accepted: see errors", errors))
        }
    }
}
