//! Who watches what.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Frame;
use crate::{
    access::{Operation, Role},
    metric::{Filter, QueryDraft},
    time::{self, EpochMillis},
};

/// Streams that one connection may follow.
pub const STREAMS: usize = 20;

/// What a client can follow.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String", try_from = "String")]
pub enum Stream {
    /// The account's events as they are accepted.
    Analytics,
    /// A metric's current values.
    Metric(String),
}

impl Stream {
    /// Who may follow it: whoever may ask for the same.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Analytics => Operation::SearchEvents,
            Self::Metric(_) => Operation::GetMetricData,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Analytics => out.write_str("analytics"),
            Self::Metric(id) => write!(out, "metrics/{id}"),
        }
    }
}

impl FromStr for Stream {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None if text == "analytics" => Ok(Self::Analytics),
            Some(("metrics", id)) if (1..=128).contains(&id.chars().count()) => Ok(Self::Metric(id.to_owned())),
            _ => Err("there is no such stream: analytics, or metrics/ and the id of a metric"),
        }
    }
}

impl From<Stream> for String {
    fn from(stream: Stream) -> Self {
        stream.to_string()
    }
}

impl TryFrom<String> for Stream {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// One stream that a connection follows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// What events must meet.
    pub filter: Filter,
    /// Names of the events wanted; all if empty.
    pub event_names: Vec<String>,
    /// Fields of an event that are sent; all if empty.
    pub fields: Vec<String>,
    /// Of a metric: the question, as `GET /api/metrics/{id}/data` takes it.
    #[serde(default)]
    pub query: QueryDraft,
    /// The last that the client has seen, if it was there before.
    pub since_seq: Option<i64>,
    /// When it was asked for.
    pub at: EpochMillis,
    /// Whether its first frames were sent.
    pub begun: bool,
}

impl Subscription {
    /// To all of a stream.
    #[must_use]
    pub fn whole(at: EpochMillis) -> Self {
        Self {
            filter: Filter::EVERYTHING,
            event_names: Vec::new(),
            fields: Vec::new(),
            query: QueryDraft::default(),
            since_seq: None,
            at,
            begun: false,
        }
    }
}

/// A client that is connected.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub account_id: String,
    pub id: String,
    pub role: Role,
    pub connected_at: EpochMillis,
    pub token_expires_at: EpochMillis,
    /// When it ended, if it has.
    pub left_at: Option<EpochMillis>,
    pub subscriptions: BTreeMap<Stream, Subscription>,
}

impl Connection {
    /// Milliseconds that the gateway lets a connection live:
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>
    pub const LIFETIME: i64 = 2 * 3_600_000;
    /// Milliseconds before its token's end at which a client is told.
    const WARNING: i64 = 60_000;
    /// Milliseconds before the gateway ends it at which a client is told.
    const FAREWELL: i64 = 5 * 60_000;

    /// What a client should know by now of how long this lasts, with the time that it is about.
    #[must_use]
    pub fn notices(&self, now: EpochMillis) -> Vec<(EpochMillis, Frame<'static>)> {
        let mut notices = Vec::new();
        if self.token_expires_at - now < Self::WARNING {
            let frame = Frame::TokenExpiring { token_expires_at: time::format(self.token_expires_at) };
            notices.push((self.token_expires_at, frame));
        }
        let end = self.connected_at + Self::LIFETIME;
        if end - now < Self::FAREWELL {
            let reason = "a connection lasts two hours: open another one, then close this one";
            notices.push((end, Frame::GoingAway { reason }));
        }
        notices
    }
}

/// What the function that streams is told. All messages of an account come one after another.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum LiveMessage<'a> {
    /// Events were accepted: a sealed batch as its message has it.
    Events { sealed: Cow<'a, str> },
    /// Events that were accepted can be found now.
    Stored { at: EpochMillis },
    /// Somebody has come.
    #[serde(rename_all = "camelCase")]
    Opened { connection_id: Cow<'a, str>, at: EpochMillis },
    /// Somebody follows a stream.
    #[serde(rename_all = "camelCase")]
    Following { connection_id: Cow<'a, str>, stream: Stream, at: EpochMillis },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_before_its_token_or_its_connection_ends() {
        let connection = Connection {
            account_id: String::new(),
            id: String::new(),
            role: Role::Viewer,
            connected_at: 0,
            token_expires_at: 10_000_000,
            left_at: None,
            subscriptions: BTreeMap::new(),
        };
        let told = |now| connection.notices(now).iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert!(told(6_000_000).is_empty());
        assert_eq!(told(7_000_000), [Connection::LIFETIME]);
        assert_eq!(told(9_950_000), [10_000_000, Connection::LIFETIME]);
    }

    #[test]
    fn streams_are_read_as_they_are_written() {
        for text in ["analytics", "metrics/delivery_rate", "metrics/018f-点击"] {
            assert_eq!(text.parse::<Stream>().expect(text).to_string(), text);
        }
        for text in ["", "metrics", "metrics/", "Analytics", "analytics/x", "events/1"] {
            assert!(text.parse::<Stream>().is_err(), "{text}");
        }
    }
}
