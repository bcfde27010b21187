//! Who watches what.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Frame;
use crate::{
    access::{Operation, Role},
    account::AccountId,
    metric::{Filter, QueryDraft},
    time::{self, EpochMillis},
};

/// Streams that one connection may follow.
pub const STREAMS: usize = 20;

/// Connections that an account may have open at the same time.
pub const CONNECTIONS: i64 = 1_000;

/// Bytes of all subscriptions of an account together, as they are kept.
pub const SUBSCRIPTION_BYTES: i64 = 4 * 1024 * 1024;

/// Feeds that one message names.
pub const FEEDS: usize = 2_000;

/// What a client can follow.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String", try_from = "String")]
pub enum Stream {
    /// The account's events as they are accepted.
    Analytics,
    /// A metric's current values.
    Metric(String),
    /// Current values of formulas, under a name that the client gives.
    Query(String),
}

impl Stream {
    /// Who may follow it: whoever may ask for the same.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Analytics => Operation::SearchEvents,
            Self::Metric(_) => Operation::GetMetricData,
            Self::Query(_) => Operation::QueryMetrics,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Analytics => out.write_str("analytics"),
            Self::Metric(id) => write!(out, "metrics/{id}"),
            Self::Query(name) => write!(out, "query/{name}"),
        }
    }
}

impl FromStr for Stream {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None if text == "analytics" => Ok(Self::Analytics),
            Some(("metrics", id)) if (1..=128).contains(&id.chars().count()) => Ok(Self::Metric(id.to_owned())),
            Some(("query", name)) if (1..=64).contains(&name.chars().count()) => Ok(Self::Query(name.to_owned())),
            _ => Err(
                "there is no such stream: analytics, metrics/ and the id of a metric, or query/ and a name of yours",
            ),
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
    /// Of numbers: the question, as `GET /api/metrics/{id}/data` takes it.
    #[serde(default)]
    pub query: QueryDraft,
    /// What is asked, as `POST /api/query` takes it, of a stream of that kind.
    #[serde(default)]
    pub queries: Vec<Value>,
    /// The last that the client has seen, if it was there before.
    pub since_seq: Option<i64>,
    /// When it was asked for.
    pub at: EpochMillis,
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
            queries: Vec::new(),
            since_seq: None,
            at,
        }
    }
}

/// Whose frames are the same for all who follow a stream in the same way: a feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub stream: Stream,
    /// Its place in the table.
    pub place: String,
}

impl Way {
    #[must_use]
    pub fn of(account_id: &AccountId, stream: &Stream, subscription: &Subscription) -> Self {
        let Subscription { filter, event_names, fields, query, queries, .. } = subscription;
        let text = serde_json::to_string(&(stream, filter, event_names, fields, query, queries)).unwrap_or_default();
        Self { stream: stream.clone(), place: format!("feed#{account_id}#{}", short_hash(&text)) }
    }

    /// What tells it from others of its account.
    #[must_use]
    pub fn id(&self) -> &str {
        self.place.rsplit('#').next().unwrap_or_default()
    }
}

/// A stream that a connection follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    pub subscription: Arc<Subscription>,
    /// Its feed. This is computed once, when the subscription is read: it takes the whole subscription.
    pub way: Arc<Way>,
    /// Whether its first frames were sent.
    pub begun: bool,
}

impl Followed {
    /// A stream that has not begun.
    #[must_use]
    pub fn new(account_id: &AccountId, stream: &Stream, subscription: Subscription) -> Self {
        let way = Arc::new(Way::of(account_id, stream, &subscription));
        Self { subscription: Arc::new(subscription), way, begun: false }
    }
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A client that is connected.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub account_id: AccountId,
    pub id: String,
    pub role: Role,
    pub connected_at: EpochMillis,
    pub token_expires_at: EpochMillis,
    /// The key that its token was signed with, as the verifier names it. None if it was noted before keys were.
    pub signed_by: Option<String>,
    /// When it ended, if it has.
    pub left_at: Option<EpochMillis>,
    pub subscriptions: BTreeMap<Stream, Followed>,
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

/// What the function that streams is told.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum LiveMessage<'a> {
    /// Events were accepted: a sealed batch as its message has it.
    Events { account_id: Cow<'a, str>, sealed: Cow<'a, str> },
    /// Events that were accepted can be found now.
    Stored { account_id: Cow<'a, str>, at: EpochMillis },
    /// Somebody has come.
    Opened { account_id: Cow<'a, str>, connection_id: Cow<'a, str>, at: EpochMillis },
    /// Somebody follows streams: either that of events, or numbers.
    Following {
        account_id: Cow<'a, str>,
        connection_id: Cow<'a, str>,
        streams: Vec<Stream>,
        at: EpochMillis,
        /// Whether everybody who accepts or stores events knows by now that the account is watched.
        #[serde(default)]
        is_noticed: bool,
    },
    /// Numbers that there was no time for, or that took too long, are to be asked again.
    Again { account_id: Cow<'a, str>, feeds: Vec<String>, at: EpochMillis },
}

impl LiveMessage<'_> {
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::Events { account_id, .. }
            | Self::Stored { account_id, .. }
            | Self::Opened { account_id, .. }
            | Self::Following { account_id, .. }
            | Self::Again { account_id, .. } => account_id,
        }
    }

    /// Whom it is about, if about one.
    #[must_use]
    pub fn connection_id(&self) -> Option<&str> {
        match self {
            Self::Opened { connection_id, .. } | Self::Following { connection_id, .. } => Some(connection_id),
            Self::Events { .. } | Self::Stored { .. } | Self::Again { .. } => None,
        }
    }

    /// Messages of one group come one after another. An account has two, since events do not wait for numbers to be asked.
    #[must_use]
    pub fn group(&self) -> String {
        // A queue takes no names in other scripts.
        let account = short_hash(self.account_id());
        let is_of_numbers = match self {
            Self::Events { .. } | Self::Opened { .. } => false,
            Self::Stored { .. } | Self::Again { .. } => true,
            Self::Following { streams, .. } => !streams.contains(&Stream::Analytics),
        };
        if is_of_numbers { account + "-numbers" } else { account }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{SealedBatch, SealedEvent, seal};

    #[test]
    fn a_client_is_told_before_its_token_or_its_connection_ends() {
        let connection = Connection {
            account_id: AccountId::stored("shop"),
            id: String::new(),
            role: Role::Viewer,
            connected_at: 0,
            token_expires_at: 10_000_000,
            signed_by: None,
            left_at: None,
            subscriptions: BTreeMap::new(),
        };
        let told = |now| connection.notices(now).iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert!(told(6_000_000).is_empty());
        assert_eq!(told(7_000_000), [Connection::LIFETIME]);
        assert_eq!(told(9_950_000), [10_000_000, Connection::LIFETIME]);
    }

    #[test]
    fn subscriptions_that_ask_for_the_same_have_one_feed() {
        let followed = |subscription| Followed::new(&AccountId::stored("a"), &Stream::Analytics, subscription);
        let first = followed(Subscription::whole(1));
        let later = followed(Subscription { since_seq: Some(7), ..Subscription::whole(2) });
        assert_eq!((&first.way, first.begun), (&later.way, false));
        let other = followed(Subscription { event_names: vec!["x".to_owned()], ..Subscription::whole(1) });
        assert_ne!(first.way, other.way);
        assert_ne!(first.way, Followed::new(&AccountId::stored("b"), &Stream::Analytics, Subscription::whole(1)).way);
    }

    #[test]
    fn streams_are_read_as_they_are_written() {
        for text in ["analytics", "metrics/delivery_rate", "metrics/018f-点击", "query/funnel"] {
            assert_eq!(text.parse::<Stream>().expect(text).to_string(), text);
        }
        for text in ["", "metrics", "metrics/", "Analytics", "analytics/x", "query/", "events/1"] {
            assert!(text.parse::<Stream>().is_err(), "{text}");
        }
    }

    #[test]
    fn messages_to_the_queue_fit_it() {
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
        const LARGEST: usize = 1024 * 1024;
        // As JSON, a quote takes two bytes and a control character six.
        let account_id = "\"".repeat(128);
        let streams: Vec<Stream> =
            (0..STREAMS).map(|at| Stream::Metric(format!("{at:02}{}", "\u{1}".repeat(126)))).collect();
        let messages = [
            LiveMessage::Following {
                account_id: (&*account_id).into(),
                connection_id: "c".repeat(128).into(),
                streams,
                at: i64::MAX,
                is_noticed: false,
            },
            LiveMessage::Again { account_id: (&*account_id).into(), feeds: vec!["f".repeat(32); FEEDS], at: i64::MAX },
        ];
        for message in messages {
            let length = serde_json::to_string(&message).expect("is JSON").len();
            assert!(length < LARGEST, "{length} bytes");
        }
        // Random letters do not compress: a request of them makes the largest messages that there are.
        let mut state = 1_u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'#' + u8::try_from(state >> 58).expect("six bits"))
        };
        let blobs: Vec<String> = (0..60).map(|_| (0..30 * 1024).map(|_| letter()).collect()).collect();
        let events = blobs.iter().map(|blob| SealedEvent {
            position: 0,
            timestamp: 0,
            event_type: "".into(),
            event_name: "".into(),
            event_id: "".into(),
            session_id: "".into(),
            user_id: "".into(),
            properties: blob.into(),
            own_context: None,
        });
        let batch = SealedBatch {
            user_agent: "界".repeat(256).into(),
            account_id: (&*account_id).into(),
            events: events.collect(),
            ..SealedBatch::default()
        };
        for sealed in seal(batch).expect("seals") {
            let message = LiveMessage::Events { account_id: (&*account_id).into(), sealed: sealed.into() };
            let length = serde_json::to_string(&message).expect("is JSON").len();
            assert!(length < LARGEST, "{length} bytes");
        }
    }

    #[test]
    fn numbers_of_an_account_are_a_group_of_their_own() {
        let following = |stream: &str| LiveMessage::Following {
            account_id: "店铺 1".into(),
            connection_id: "c".into(),
            streams: vec![stream.parse().expect(stream)],
            at: 0,
            is_noticed: false,
        };
        let events = LiveMessage::Events { account_id: "店铺 1".into(), sealed: "".into() };
        let stored = LiveMessage::Stored { account_id: "店铺 1".into(), at: 0 };
        assert_eq!(events.group(), following("analytics").group());
        assert_eq!(stored.group(), following("query/x").group());
        assert_ne!(stored.group(), events.group());
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        assert!(stored.group().bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
