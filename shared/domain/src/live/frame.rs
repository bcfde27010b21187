//! What we say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// One message to a client.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase", tag = "type")]
pub enum Frame<'a> {
    /// The connection is known; its streams follow.
    Ready {
        connection_id: &'a str,
        account_id: &'a str,
        role: &'static str,
        token_expires_at: String,
        streams: Vec<String>,
    },
    Subscribed {
        stream: &'a str,
    },
    Unsubscribed {
        stream: &'a str,
    },
    /// The state of a stream, from which its other frames go on.
    Snapshot {
        stream: &'a str,
        seq: i64,
        as_of: String,
        totals: Totals<'a>,
    },
    /// The numbers of a metric or a query, as the API gives them.
    #[serde(rename = "snapshot")]
    Chart {
        stream: &'a str,
        seq: i64,
        as_of: String,
        data: &'a Value,
    },
    /// The values that have changed: as they are now, never by how much.
    Delta {
        stream: &'a str,
        seq: i64,
        as_of: String,
        #[serde(flatten)]
        changed: Changed,
    },
    /// Events that were accepted since the last one, the oldest first. `skipped`: how many more there were than are shown.
    Event {
        stream: &'a str,
        seq: i64,
        as_of: String,
        events: Vec<&'a RawValue>,
        skipped: u64,
        totals: Totals<'a>,
    },
    /// What was missed cannot be told any more: a snapshot follows.
    Resync {
        stream: &'a str,
    },
    /// So many events were not shown, because the connection did not keep up.
    Lagged {
        stream: &'a str,
        dropped: u64,
    },
    /// The token ends soon: send another by `auth`.
    TokenExpiring {
        token_expires_at: String,
    },
    /// The connection is about to end, and a new one would go on.
    GoingAway {
        reason: &'static str,
    },
    Authenticated {
        token_expires_at: String,
    },
    Pong {
        at: String,
        /// The `seq` of each stream's latest frame.
        streams: BTreeMap<String, i64>,
    },
    Error {
        code: &'a str,
        detail: &'a str,
    },
    /// Something is wrong with a stream.
    #[serde(rename = "error")]
    StreamError {
        stream: &'a str,
        code: &'a str,
        detail: &'a str,
    },
}

/// Series of which something has changed, each with the points that have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Changed {
    /// Of a metric.
    One(Differences),
    /// Of a query, in its order.
    Several { results: Vec<Differences> },
}

/// The series of one answer that have changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Differences {
    pub series: Vec<Value>,
}

/// What has come since a subscription began.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals<'a> {
    pub since: String,
    pub events: u64,
    pub by_name: BTreeMap<&'a str, u64>,
}

impl Frame<'_> {
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps of them can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}
