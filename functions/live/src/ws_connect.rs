//! `$connect`: a client comes with a token, in the query parameter `token` or as a subprotocol, and perhaps with streams.

use analytics_domain::live::{CONNECTIONS, Connection, Followed, LiveMessage, STREAMS, Stream, Subscription};
use analytics_dynamo::ConnectionTable;
use analytics_http::Verifier;
use analytics_messaging::LiveQueue;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_runtime::{SocketAnswer, SocketEvent};

use crate::{Refused, may_follow};

/// What the function needs.
pub struct Context {
    verifier: Verifier,
    connections: ConnectionTable,
    live: LiveQueue,
    /// Epoch milliseconds.
    now: fn() -> i64,
}

impl Context {
    /// Reads the keys of [`aws::sdk_config`], [`Verifier::from_lookup`], [`ConnectionTable::from_tables`] and [`LiveQueue::from_queues`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        Ok(Self {
            verifier: Verifier::from_lookup(lookup)?,
            connections: ConnectionTable::from_tables(&analytics_dynamo::client(&sdk), lookup)?,
            live: LiveQueue::from_queues(&analytics_messaging::client(&sdk), lookup)?,
            now: analytics_platform::now_millis,
        })
    }
}

/// The subprotocol that we speak. Beside it a browser, which cannot send headers, can offer `bearer.` and a token.
const PROTOCOL: &str = "analytics";
const TOKEN_PREFIX: &str = "bearer.";

/// Lets a client in, or says why not.
pub async fn handle(context: &Context, event: SocketEvent) -> SocketAnswer {
    match connect(context, &event).await {
        Ok(()) => {
            let mut answer = SocketAnswer::new(200);
            if offered(&event).any(|protocol| protocol == PROTOCOL) {
                answer.headers.insert("Sec-WebSocket-Protocol", PROTOCOL.to_owned());
            }
            answer
        }
        Err(refused) => {
            // Of a client's mistake the detail quotes what it sent.
            let cause = if refused.status >= 500 { &*refused.detail } else { "" };
            tracing::info!(
                connection.id = event.request_context.connection_id,
                http.status = refused.status,
                error.code = refused.code,
                error.cause = cause,
                "refused"
            );
            SocketAnswer::new(refused.status)
        }
    }
}

async fn connect(context: &Context, event: &SocketEvent) -> Result<(), Refused> {
    let now = (context.now)();
    let token = event.query("token").first().map(String::as_str);
    let token = token.or_else(|| offered(event).find_map(|protocol| protocol.strip_prefix(TOKEN_PREFIX)));
    let missing = || refused(401, "token_missing", "connect with ?token=<JWT>, or with the subprotocol bearer.<JWT>");
    let identity = context.verifier.identify(token.ok_or_else(missing)?, now).await?;
    let caller = identity.caller;
    // Whoever may follow nothing has no use for a connection.
    may_follow(&caller, &Stream::Analytics)?;
    let streams = event.query("stream");
    if streams.len() > STREAMS {
        return Err(refused(400, "too_many_streams", &format!("a connection follows {STREAMS} streams at most")));
    }
    let mut connection = Connection {
        account_id: caller.account_id.clone(),
        id: event.request_context.connection_id.clone(),
        role: caller.role,
        connected_at: now,
        token_expires_at: identity.expires_at,
        signed_by: Some(identity.signed_by.to_string()),
        left_at: None,
        subscriptions: std::collections::BTreeMap::new(),
    };
    for stream in streams {
        let stream: Stream = stream.parse().map_err(|detail| refused(400, "unknown_stream", detail))?;
        may_follow(&caller, &stream)?;
        let followed = Followed::new(&connection.account_id, &stream, Subscription::whole(now));
        connection.subscriptions.insert(stream, followed);
    }
    let noted = context.connections.add(&connection).await;
    if !noted.map_err(|error| refused(503, "dependency_unavailable", &error.to_string()))? {
        let detail = format!("an account has at most {CONNECTIONS} connections at the same time: close some of them");
        return Err(refused(429, "too_many_connections", &detail));
    }
    let (account_id, connection_id) = ((&*connection.account_id).into(), (&*connection.id).into());
    Ok(context.live.announce(&LiveMessage::Opened { account_id, connection_id, at: now }).await?)
}

fn refused(status: u16, code: &'static str, detail: &str) -> Refused {
    Refused { status, code, detail: detail.to_owned() }
}

fn offered(event: &SocketEvent) -> impl Iterator<Item = &str> {
    event.header("sec-websocket-protocol").into_iter().flat_map(|list| list.split(',')).map(str::trim)
}
