//! What we say.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// Bytes of a frame: the gateway takes 32 KB.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>
pub const FRAME_BYTES: usize = 31 * 1024;
/// Bytes of a detail, which may quote what a client has sent. As JSON it has six times as many at most.
const DETAIL: usize = 2_000;

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
        let text = |frame: &Frame<'_>| serde_json::to_string(frame).unwrap_or_default();
        match self {
            Self::Error { code, detail } => text(&Frame::Error { code, detail: &short(detail) }),
            Self::StreamError { stream, code, detail } => {
                text(&Frame::StreamError { stream, code, detail: &short(detail) })
            }
            frame => text(frame),
        }
    }
}

/// As much of a text as a frame has room for.
fn short(detail: &str) -> Cow<'_, str> {
    if detail.len() <= DETAIL {
        return detail.into();
    }
    format!("{}…", &detail[..detail.floor_char_boundary(DETAIL)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{STREAMS, Stream};

    #[test]
    fn frames_with_the_longest_names_fit() {
        // Each character takes six bytes as JSON.
        let streams: Vec<String> = (0..STREAMS).map(|at| format!("metrics/{at:02}{}", "\u{1}".repeat(126))).collect();
        assert!(streams.iter().all(|stream| stream.parse::<Stream>().is_ok()));
        let (account_id, detail) = ("\"".repeat(128), "\u{1}".repeat(100_000));
        let frames = [
            Frame::Ready {
                connection_id: &"c".repeat(128),
                account_id: &account_id,
                role: "viewer",
                token_expires_at: String::new(),
                streams: streams.clone(),
            },
            Frame::Pong {
                at: String::new(),
                streams: streams.iter().map(|stream| (stream.clone(), i64::MAX)).collect(),
            },
            Frame::Error { code: "unknown_field", detail: &detail },
            Frame::StreamError { stream: &streams[0], code: "unknown_field", detail: &detail },
            Frame::Subscribed { stream: &streams[0] },
        ];
        for frame in frames {
            let text = frame.to_json();
            assert!(text.len() <= 32 * 1024, "{} bytes: {}", text.len(), &text[..100]);
            let _: Value = serde_json::from_str(&text).expect("is JSON");
        }
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let cut = short(&"й".repeat(5_000)).into_owned();
        assert_eq!((cut.len(), cut.chars().last()), (DETAIL + '…'.len_utf8(), Some('…')));
        assert_eq!(short("as it is"), "as it is");
    }
}
