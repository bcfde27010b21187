//! Sealed batches of the first version, which may lie in queues for fourteen days after the last of them was sealed: their
//! events have no context of their own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{RejectedEvent, SealedBatch, SealedEvent};

/// The version byte of these messages.
pub(super) const VERSION: u8 = 1;

#[derive(Deserialize, Serialize)]
pub(super) struct Batch<'a> {
    #[serde(borrow)]
    batch_id: Cow<'a, str>,
    #[serde(borrow)]
    account_id: Cow<'a, str>,
    received_at: i64,
    clock_skew_ms: Option<i64>,
    #[serde(borrow)]
    ip: Cow<'a, str>,
    #[serde(borrow)]
    user_agent: Cow<'a, str>,
    #[serde(borrow)]
    locale: Cow<'a, str>,
    #[serde(borrow)]
    events: Vec<Event<'a>>,
    #[serde(borrow)]
    rejected: Vec<RejectedEvent<'a>>,
}

#[derive(Deserialize, Serialize)]
struct Event<'a> {
    position: u32,
    timestamp: i64,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    properties: &'a str,
}

impl<'a> From<Batch<'a>> for SealedBatch<'a> {
    fn from(batch: Batch<'a>) -> Self {
        Self {
            batch_id: batch.batch_id,
            account_id: batch.account_id,
            received_at: batch.received_at,
            clock_skew_ms: batch.clock_skew_ms,
            ip: batch.ip,
            user_agent: batch.user_agent,
            locale: batch.locale,
            events: batch.events.into_iter().map(SealedEvent::from).collect(),
            rejected: batch.rejected,
        }
    }
}

impl<'a> From<Event<'a>> for SealedEvent<'a> {
    fn from(event: Event<'a>) -> Self {
        Self {
            position: event.position,
            timestamp: event.timestamp,
            event_type: event.event_type,
            event_name: event.event_name,
            event_id: event.event_id,
            session_id: event.session_id,
            user_id: event.user_id,
            properties: Cow::Borrowed(event.properties),
            own_context: None,
        }
    }
}
