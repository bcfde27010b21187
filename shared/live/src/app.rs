//! What the functions are made of.

use analytics_domain::{
    access::Caller,
    live::{LiveMessage, Stream},
};
use analytics_dynamo::{ConnectionTable, FeedTable};
use analytics_http::{ApiError, Verifier};
use analytics_messaging::Queue;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_sockets::Sockets;

/// The parts that coming, speaking and going take.
pub struct App {
    pub verifier: Verifier,
    pub connections: ConnectionTable,
    pub feeds: FeedTable,
    /// To the function that streams.
    pub live: Queue,
    pub sockets: Sockets,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
}

/// Why somebody may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As HTTP has it.
    pub status: u16,
    pub code: &'static str,
    pub detail: String,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self { status: error.status.as_u16(), code: error.code, detail: error.detail }
    }
}

impl App {
    /// Reads `CONNECTIONS_TABLE`, `LIVE_QUEUE_URL`, and the keys of [`Verifier::from_lookup`], [`aws::sdk_config`] and
    /// [`Sockets::from_lookup`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let (sdk, table) = (aws::sdk_config(lookup)?, lookup.required("CONNECTIONS_TABLE")?);
        let tables = analytics_dynamo::client(&sdk);
        Ok(Self {
            verifier: Verifier::from_lookup(lookup)?,
            connections: ConnectionTable::new(tables.clone(), table.clone()),
            feeds: FeedTable::new(tables, table),
            live: Queue::new(analytics_messaging::client(&sdk), lookup.required("LIVE_QUEUE_URL")?),
            sockets: Sockets::from_lookup(&sdk, lookup)?,
            now: analytics_platform::now_millis,
        })
    }

    /// Tells the function that streams.
    ///
    /// # Errors
    /// If the queue does not take it.
    pub async fn announce(&self, message: &LiveMessage<'_>) -> Result<(), Refused> {
        let text = serde_json::to_string(message).map_err(ApiError::internal)?;
        let sent = self.live.send_in_group(text, &message.group()).await;
        sent.map_err(|error| ApiError::unavailable("the live queue", error.to_string()).into())
    }
}

/// Whether this role may follow a stream.
///
/// # Errors
/// If not, 403.
pub fn may_follow(caller: &Caller, stream: &Stream) -> Result<(), Refused> {
    if caller.role.may(stream.operation()) {
        return Ok(());
    }
    let detail = format!("the role {} may not follow {stream}", caller.role.name());
    Err(Refused { status: 403, code: "role_forbidden", detail })
}
