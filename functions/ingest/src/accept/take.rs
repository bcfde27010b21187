//! Judging and sealing a body's events, and handing them to the queue.

use analytics_domain::event::{Advice, Arrival, BodyError, Drafts, Outcome, Rejection, SealError, accept, seal};

use crate::accept::{Advised, SealedQueue, Unavailable};

/// Why a request's events were not taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("a batch could not be sealed: {0}")]
    Seal(#[from] SealError),
}

/// What became of a request's events.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    pub accepted: usize,
    /// What is wrong with each event that was not accepted, by its index.
    pub rejections: Vec<(usize, Vec<Rejection>)>,
    /// JSON pointer to the list of events in the body.
    pub list: &'static str,
    /// What built-in metrics miss in the accepted events.
    pub advice: Vec<Advice>,
    /// Id and time (epoch milliseconds) of the first accepted event, for the answer to a single one.
    pub first: Option<(String, i64)>,
}

/// Judges, enriches and seals the events of a body: everything but the sending.
///
/// # Errors
/// If the body as a whole is unusable.
pub fn seal_body<'a>(
    body: &'a [u8],
    parse: impl FnOnce(&'a [u8]) -> Result<Drafts<'a>, BodyError>,
    arrival: &'a Arrival,
) -> Result<(Vec<String>, Taken), IngestError> {
    advise_and_seal(None, body, parse, arrival)
}

fn advise_and_seal<'a>(
    advised: Option<&Advised>,
    body: &'a [u8],
    parse: impl FnOnce(&'a [u8]) -> Result<Drafts<'a>, BodyError>,
    arrival: &'a Arrival,
) -> Result<(Vec<String>, Taken), IngestError> {
    let drafts = parse(body)?;
    let drafts = if arrival.is_text { drafts.of_text(body) } else { drafts };
    let Outcome { batch, rejections } = accept(&drafts, arrival);
    let first = batch.events.first().map(|event| (event.event_id.to_string(), event.timestamp));
    let advise = |advised: &Advised| advised.advise(&arrival.account_id, &batch.events, arrival.received_at);
    let advice = advised.map(advise).unwrap_or_default();
    let taken = Taken { accepted: batch.events.len(), rejections, list: drafts.list, advice, first };
    Ok((seal(batch)?, taken))
}

/// Takes the events of a body into the queue, and returns once it holds them all.
///
/// # Errors
/// If the body is unusable, or the queue did not confirm all of it; then sending the same request again is right.
pub(crate) async fn take<'a, Q: SealedQueue>(
    queue: &Q,
    advised: &Advised,
    body: &'a [u8],
    parse: impl FnOnce(&'a [u8]) -> Result<Drafts<'a>, BodyError> + Send,
    arrival: &'a Arrival,
) -> Result<Taken, IngestError> {
    let (messages, taken) = advise_and_seal(Some(advised), body, parse, arrival)?;
    for message in messages {
        queue.send(&arrival.account_id, message).await?;
    }
    Ok(taken)
}
