//! `$default`: what a client says. Answers that must come in the order of a stream's frames are given by `stream-events`.

use std::collections::BTreeMap;

use analytics_domain::{
    live::{Action, Connection, Frame, LiveMessage, STREAMS, SUBSCRIPTION_BYTES, Stream, Way},
    time,
};
use analytics_dynamo::{Added, ConnectionTable, FeedTable};
use analytics_http::{Identity, Verifier};
use analytics_messaging::LiveQueue;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_runtime::{SocketAnswer, SocketEvent};
use analytics_sockets::{SocketError, Sockets};

use crate::{Refused, may_follow};

/// What the function needs.
pub struct Context {
    verifier: Verifier,
    connections: ConnectionTable,
    feeds: FeedTable,
    live: LiveQueue,
    sockets: Sockets,
    /// Epoch milliseconds.
    now: fn() -> i64,
}

impl Context {
    /// Reads the keys of [`aws::sdk_config`], [`Verifier::from_lookup`], [`ConnectionTable::from_tables`], [`LiveQueue::from_queues`] and
    /// [`Sockets::from_lookup`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        let tables = analytics_dynamo::client(&sdk);
        Ok(Self {
            verifier: Verifier::from_lookup(lookup)?,
            connections: ConnectionTable::from_tables(&tables, lookup)?,
            feeds: FeedTable::from_tables(&tables, lookup)?,
            live: LiveQueue::from_queues(&analytics_messaging::client(&sdk), lookup)?,
            sockets: Sockets::from_lookup(&sdk, lookup)?,
            now: analytics_platform::now_millis,
        })
    }
}

/// Does what a client wants, or tells it why not.
pub async fn handle(context: &Context, event: SocketEvent) -> SocketAnswer {
    let id = &event.request_context.connection_id;
    let told = match act(context, id, &event.body).await {
        Ok(frames) => answer(context, id, &frames).await,
        Err(refused) => {
            let is_ours = refused.status >= 500;
            // Of a client's mistake the detail quotes what it sent.
            let cause = if is_ours { &*refused.detail } else { "" };
            tracing::info!(connection.id = id, error.code = refused.code, error.cause = cause, "refused");
            let detail = if is_ours { "try again" } else { &refused.detail };
            let told = context.sockets.post(id, &Frame::Error { code: refused.code, detail }.to_json()).await;
            // Without a token that counts there is nothing to stay for.
            if refused.status == 401 { context.sockets.close(id).await } else { told }
        }
    };
    match told {
        Ok(()) => SocketAnswer::new(200),
        Err(SocketError::Gone) => SocketAnswer::new(200),
        Err(error) => {
            tracing::warn!(connection.id = id, error.cause = %error, "an answer could not be sent");
            SocketAnswer::new(503)
        }
    }
}

async fn answer(context: &Context, id: &str, frames: &[String]) -> Result<(), SocketError> {
    for frame in frames {
        context.sockets.post(id, frame).await?;
    }
    Ok(())
}

/// Returns what is to be answered at once.
async fn act(context: &Context, id: &str, body: &str) -> Result<Vec<String>, Refused> {
    let now = (context.now)();
    let action = Action::from_json(body, now).map_err(|error| refused(400, error.code, error.detail))?;
    let mut connection = known(context, id).await?;
    if connection.token_expires_at <= now && !matches!(action, Action::Auth(_)) {
        return Err(refused(401, "token_expired", "the token has ended"));
    }
    if let Some(signer) = connection.signed_by.as_deref().filter(|_| !matches!(action, Action::Auth(_)))
        && !context.verifier.still_holds(signer, now).await
    {
        return Err(refused(401, "token_unknown_key", "the key that signed the token counts no longer"));
    }
    match action {
        Action::Ping => {
            let pong = Frame::Pong { at: time::format(now), streams: standing(context, &connection).await? };
            let notices = connection.notices(now).into_iter().map(|(_, notice)| notice);
            Ok([pong].into_iter().chain(notices).map(|frame| frame.to_json()).collect())
        }
        Action::Auth(token) => {
            let identified = context.verifier.identify(&token, now).await.map_err(Refused::from);
            // The one that is used goes on to count until it ends.
            let stays = connection.token_expires_at > now;
            let Identity { caller, expires_at, signed_by } = identified.map_err(|refused| match refused.status {
                401 if stays => Refused { status: 400, ..refused },
                _ => refused,
            })?;
            if caller.account_id != connection.account_id {
                return Err(refused(403, "other_account", "the token is of another account: open another connection"));
            }
            for stream in connection.subscriptions.keys() {
                may_follow(&caller, stream)?;
            }
            (connection.role, connection.token_expires_at) = (caller.role, expires_at);
            connection.signed_by = Some(signed_by.to_string());
            context.connections.renew(&connection).await.map_err(unavailable)?;
            Ok(vec![Frame::Authenticated { token_expires_at: time::format(expires_at) }.to_json()])
        }
        Action::Unsubscribe(stream) => {
            context.connections.unsubscribe(&connection.account_id, id, &stream).await.map_err(unavailable)?;
            Ok(vec![Frame::Unsubscribed { stream: &stream.to_string() }.to_json()])
        }
        Action::Subscribe(streams) => {
            if let Some(stream) =
                streams.iter().map(|(stream, _)| stream).find(|stream| !connection.role.may(stream.operation()))
            {
                let detail = format!("the role {} may not follow {stream}", connection.role.name());
                return Err(refused(403, "role_forbidden", detail));
            }
            match context.connections.subscribe(&connection, &streams, now).await.map_err(unavailable)? {
                Added::Yes => {
                    let (events, numbers) =
                        streams.into_iter().map(|(stream, _)| stream).partition(|stream| *stream == Stream::Analytics);
                    for streams in [events, numbers].into_iter().filter(|streams: &Vec<Stream>| !streams.is_empty()) {
                        let (account_id, connection_id) = ((&*connection.account_id).into(), id.into());
                        let is_noticed = false;
                        let following =
                            LiveMessage::Following { account_id, connection_id, streams, at: now, is_noticed };
                        context.live.announce(&following).await?;
                    }
                    Ok(Vec::new())
                }
                Added::TooMany => {
                    Err(refused(400, "too_many_streams", format!("a connection follows {STREAMS} streams at most")))
                }
                Added::TooLarge => {
                    let most = SUBSCRIPTION_BYTES / 1_024 / 1_024;
                    let detail = format!(
                        "all subscriptions of an account take {most} MB at most: shorten filters and lists, or unsubscribe \
                         from other streams"
                    );
                    Err(refused(429, "subscriptions_too_large", detail))
                }
                Added::Gone => Ok(Vec::new()),
            }
        }
    }
}

/// The `seq` of the latest frame of each stream that a client follows: it may have missed that one, and hear of it only with the
/// next.
async fn standing(context: &Context, connection: &Connection) -> Result<BTreeMap<String, i64>, Refused> {
    let begun = connection.subscriptions.values().filter(|followed| followed.begun);
    let ways: Vec<&Way> = begun.map(|followed| &*followed.way).collect();
    let places: Vec<&str> = ways.iter().map(|way| way.place.as_str()).collect();
    let heads = context.feeds.heads(&places).await.map_err(unavailable)?;
    Ok(ways.iter().filter_map(|way| Some((way.stream.to_string(), heads.get(&way.place)?.seq))).collect())
}

async fn known(context: &Context, id: &str) -> Result<Connection, Refused> {
    let gone = || refused(401, "connection_unknown", "connect again");
    let account_id = context.connections.account_of(id).await.map_err(unavailable)?.ok_or_else(gone)?;
    context.connections.get(&account_id, id).await.map_err(unavailable)?.ok_or_else(gone)
}

fn refused(status: u16, code: &'static str, detail: impl Into<String>) -> Refused {
    Refused { status, code, detail: detail.into() }
}

fn unavailable(error: analytics_dynamo::TableError) -> Refused {
    refused(503, "dependency_unavailable", error.to_string())
}
