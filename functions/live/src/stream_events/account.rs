//! Those who watch one account, and what they are told during one call.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use analytics_domain::{
    account::AccountId,
    live::{Connection, Followed, Frame, Head, LiveMessage, Stream, Way},
    time,
};
use analytics_dynamo::{TableError, Watched};
use analytics_sockets::SocketError;
use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep, timeout};

use crate::stream_events::{
    App, Budget,
    audience::{audience, note, put},
    followers::Followers,
    post::{Parcel, post},
};

/// For a connection that is just about to open.
const OPENING: Duration = Duration::from_millis(500);
/// For the sockets that are to be ended.
const ENDING: Duration = Duration::from_secs(2);
/// Milliseconds after which a connection has been noted for longer than [`Watched::NOTICED`]: `ws-connect` has ten seconds to
/// note it.
const SETTLED: i64 = 12_000;

/// What is to be told, with the queue's id of the message.
pub struct News<'m> {
    pub id: &'m str,
    pub message: LiveMessage<'m>,
}

/// Numbers that are to be asked.
pub struct Wanted {
    /// All that are followed: something was stored.
    pub is_stale: bool,
    /// The ids of feeds that there was no time for, or that took too long.
    pub again: BTreeSet<String>,
    /// Connections that wait for a stream to begin.
    pub newcomers: Vec<(String, Stream)>,
}

/// An account, as it is at the time of a call.
pub struct Account<'a> {
    pub app: &'a App,
    pub id: &'a AccountId,
    pub connections: Vec<Connection>,
    /// What is left of the call's time.
    pub budget: Budget,
    /// Whether all know that the account is watched.
    is_noticed: bool,
}

impl<'a> Account<'a> {
    pub async fn load(app: &'a App, id: &'a AccountId, budget: Budget) -> Result<Self, TableError> {
        Ok(Self::of(app, id, audience(app, id).await?, budget))
    }

    /// An account with these connections.
    pub const fn of(app: &'a App, id: &'a AccountId, connections: Vec<Connection>, budget: Budget) -> Self {
        Self { app, id, connections, budget, is_noticed: false }
    }

    /// Tells what the messages tell to everybody whom it concerns. Returns until when the call should last, so that what comes
    /// meanwhile gathers in the queue.
    pub async fn tell(mut self, messages: &[News<'_>], is_full: bool) -> Result<Option<Instant>, TableError> {
        self.end_those_who_may_not_stay().await;
        self.meet(messages).await?;
        let (mut newcomers, mut is_stale, mut again) = (Vec::new(), false, BTreeSet::new());
        for News { message, .. } in messages {
            match message {
                LiveMessage::Opened { connection_id, .. } => self.greet(connection_id).await?,
                LiveMessage::Following { connection_id, streams, is_noticed, .. } => {
                    if !is_noticed {
                        self.until_noticed().await;
                    }
                    let numbers = self.follow(connection_id, streams).await?;
                    newcomers.extend(numbers.into_iter().map(|stream| (connection_id.to_string(), stream)));
                }
                LiveMessage::Stored { .. } => is_stale = true,
                LiveMessage::Again { feeds, .. } => again.extend(feeds.iter().cloned()),
                LiveMessage::Events { .. } => {}
            }
        }
        let mut told_at = self.tell_events(messages, is_full).await?;
        if is_stale || !newcomers.is_empty() || !again.is_empty() {
            let wanted = Wanted { is_stale, again, newcomers };
            if self.tell_numbers(&wanted).await? {
                told_at = Some(Instant::now());
            }
        }
        // A frame after a pause waits for nothing.
        Ok(told_at.filter(|_| !is_full).map(|at| at + self.app.interval()))
    }

    /// The feeds of such streams.
    pub fn feeds_of(&self, is_wanted: impl Fn(&Stream) -> bool) -> Vec<Followers> {
        Followers::group(&self.connections, is_wanted)
    }

    /// Whether a feed goes on: somebody follows it, or may come back.
    pub fn goes_on(&self, way: &Way) -> bool {
        let mut followed = self.connections.iter().filter_map(|connection| connection.subscriptions.get(&way.stream));
        followed.any(|followed| followed.begun && *followed.way == *way)
    }

    /// Reads those who have come, or follow something else, since all were read.
    async fn meet(&mut self, messages: &[News<'_>]) -> Result<(), TableError> {
        let ids: BTreeSet<&str> = messages.iter().filter_map(|news| news.message.connection_id()).collect();
        let read = ids.into_iter().map(|id| self.app.connections.get(self.id, id));
        let met = try_join_all(read).await?;
        met.into_iter().flatten().for_each(|connection| put(&mut self.connections, connection));
        Ok(())
    }

    /// Tells a client that it is known, and where its streams stand.
    async fn greet(&mut self, id: &str) -> Result<(), TableError> {
        let Some(connection) = self.find(id) else { return Ok(()) };
        until_open(self.app, id).await;
        let ready = Frame::Ready {
            connection_id: id,
            account_id: self.id,
            role: connection.role.name(),
            token_expires_at: time::format(connection.token_expires_at),
            streams: connection.subscriptions.keys().map(Stream::to_string).collect(),
        };
        self.send_to(id, vec![ready.to_json()]).await;
        if !connection.subscriptions.is_empty() {
            self.until_noticed().await;
        }
        let (events, numbers): (Vec<_>, Vec<_>) =
            connection.subscriptions.into_keys().partition(|stream| *stream == Stream::Analytics);
        self.follow(id, &events).await?;
        if !numbers.is_empty() {
            self.pass_on(id, numbers).await;
        }
        Ok(())
    }

    /// Lets the time pass for which others may not know that the account is watched: a stream that begins then misses nothing.
    /// If it has been watched for longer, all know already.
    async fn until_noticed(&mut self) {
        let now = (self.app.now)();
        if !self.is_noticed && !self.connections.iter().any(|connection| now - connection.connected_at > SETTLED) {
            sleep(Watched::NOTICED).await;
        }
        self.is_noticed = true;
    }

    /// Has numbers asked by a call that is there for it.
    pub async fn pass_on(&mut self, id: &str, streams: Vec<Stream>) {
        let (account_id, connection_id, at) = (self.id.into(), id.into(), (self.app.now)());
        let message = LiveMessage::Following { account_id, connection_id, streams, at, is_noticed: true };
        if let Err(error) = self.app.live.announce(&message).await {
            tracing::warn!(connection.id = id, error.cause = %error, "streams do not begin");
            let error = Frame::Error { code: "unavailable", detail: "numbers cannot be followed now: subscribe again" };
            self.send_to(id, vec![error.to_json()]).await;
        }
    }

    /// Has a client follow streams, and tells it where one of events stands. Returns those of numbers, for which it waits.
    async fn follow(&mut self, id: &str, streams: &[Stream]) -> Result<Vec<Stream>, TableError> {
        let Some(connection) = self.find(id) else { return Ok(Vec::new()) };
        let new = streams.iter().filter_map(|stream| connection.subscriptions.get(stream));
        let new = new.filter(|followed| !followed.begun);
        let (events, numbers): (Vec<&Followed>, Vec<&Followed>) =
            new.partition(|followed| followed.way.stream == Stream::Analytics);
        let mut frames = Vec::new();
        for followed in &events {
            frames.push(Frame::Subscribed { stream: &followed.way.stream.to_string() }.to_json());
            frames.extend(self.standing(followed, (self.app.now)()).await?);
        }
        for mine in self.connections.iter_mut().filter(|other| other.id == id) {
            let asked = mine.subscriptions.iter_mut().filter(|(stream, _)| streams.contains(stream));
            asked.for_each(|(_, followed)| followed.begun = true);
        }
        self.begin(id, &events).await?;
        self.send_to(id, frames).await;
        Ok(numbers.into_iter().map(|followed| followed.way.stream.clone()).collect())
    }

    /// Notes that those who waited for numbers have them.
    pub async fn begin_numbers(&self, newcomers: &[(String, Stream)]) -> Result<(), TableError> {
        let ids: BTreeSet<&String> = newcomers.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(connection) = self.find(id) else { continue };
            let its = newcomers.iter().filter(|(other, _)| other == id).map(|(_, stream)| stream);
            let its: Vec<_> = its.filter_map(|stream| connection.subscriptions.get(stream)).collect();
            self.begin(id, &its).await?;
        }
        Ok(())
    }

    /// Notes that streams of a client have begun.
    async fn begin(&self, id: &str, streams: &[&Followed]) -> Result<(), TableError> {
        let Some(connection) = self.find(id).filter(|_| !streams.is_empty()) else { return Ok(()) };
        let changes = self.app.connections.begin(self.id, id, streams).await?;
        note(self.app, &connection, changes);
        Ok(())
    }

    fn find(&self, id: &str) -> Option<Connection> {
        let is_there = |connection: &&Connection| connection.id == id && connection.left_at.is_none();
        self.connections.iter().find(is_there).cloned()
    }

    async fn send_to(&mut self, id: &str, frames: Vec<String>) {
        let frames = frames.into_iter().map(Arc::from).collect();
        self.send(vec![Parcel { connection_id: id.to_owned(), frames }]).await;
    }

    /// Where feeds stand, in their order.
    pub async fn heads(&self, ways: impl Iterator<Item = &Way>) -> Result<Vec<Head>, TableError> {
        let places: Vec<&str> = ways.map(|way| way.place.as_str()).collect();
        let mut heads = self.app.feeds.heads(&places).await?;
        Ok(places.iter().map(|place| heads.remove(*place).unwrap_or_else(|| Head::new((self.app.now)()))).collect())
    }

    /// What is to be said to a client before its next frame.
    pub fn notices(&self, connection: &Connection, now: i64) -> Vec<Arc<str>> {
        let mut notices = connection.notices(now);
        notices.retain(|(at, _)| self.app.memory().noticed.insert((connection.id.clone(), *at)));
        notices.iter().map(|(_, notice)| notice.to_json().into()).collect()
    }

    /// Ends the connections whose token has ended, or was signed by a key that counts no longer. Whether they hear of it or not,
    /// they hear no more.
    pub async fn end_those_who_may_not_stay(&mut self) {
        let now = (self.app.now)();
        let signers: BTreeSet<&String> = self.connections.iter().filter_map(|one| one.signed_by.as_ref()).collect();
        let mut removed = BTreeSet::new();
        for signer in signers {
            if !self.app.verifier.still_holds(signer, now).await {
                removed.insert(signer.clone());
            }
        }
        let mut over = Vec::new();
        for connection in self.connections.iter_mut().filter(|connection| connection.left_at.is_none()) {
            let (code, detail) = if connection.token_expires_at <= now {
                ("token_expired", "the token has ended: connect with another")
            } else if connection.signed_by.as_ref().is_some_and(|signer| removed.contains(signer)) {
                ("token_unknown_key", "the key that signed the token counts no longer: connect with another token")
            } else {
                continue;
            };
            connection.left_at = Some(now);
            over.push((connection.id.clone(), Frame::Error { code, detail }.to_json()));
        }
        let (app, account_id) = (self.app, self.id);
        let ending = over.iter().map(|(id, error)| async move {
            // The table first: another call must not take it for one that is there.
            leave(app, account_id, id, now).await;
            let _ = app.sockets.post(id, error).await;
            if let Err(error) = app.sockets.close(id).await {
                tracing::warn!(connection.id = id, error.cause = %error, "a connection could not be ended");
            }
        });
        if timeout(ENDING, join_all(ending)).await.is_err() {
            tracing::warn!(
                account.id = self.id.as_str(),
                connections = over.len(),
                "connections were not ended in time"
            );
        }
    }

    /// Sends the frames of a stream, in which there are so many events, and takes note of who misses them.
    pub async fn send_of(&mut self, stream: &str, parcels: Vec<Parcel>, events: u64) {
        let ids: Vec<String> = parcels.iter().map(|parcel| parcel.connection_id.clone()).collect();
        let unreached = self.send(parcels).await;
        tracing::info!(
            account.id = self.id.as_str(),
            stream,
            events,
            frames = ids.len() - unreached.len(),
            dropped = unreached.len(),
            "frames sent"
        );
        let now = (self.app.now)();
        let mut memory = self.app.memory();
        for id in ids {
            if unreached.contains(&id) {
                memory.laggards.miss(&id, stream, events, now);
            } else {
                memory.laggards.reached(&id);
                memory.laggards.made_up(&id, stream);
            }
        }
    }

    /// Sends frames, and takes note of clients that have gone. Returns those that are there and were not reached.
    async fn send(&mut self, parcels: Vec<Parcel>) -> BTreeSet<String> {
        let mut unreached = BTreeSet::new();
        for (id, error) in post(&self.app.sockets, parcels, self.budget.posting()).await {
            let now = (self.app.now)();
            match error {
                SocketError::Gone => {
                    leave(self.app, self.id, &id, now).await;
                    let gone = self.connections.iter_mut().filter(|connection| connection.id == id);
                    gone.for_each(|connection| connection.left_at = Some(now));
                }
                SocketError::Busy(cause) => {
                    tracing::info!(connection.id = id, error.cause = cause, "a frame was dropped");
                    self.app.memory().laggards.failed(&id, now);
                    unreached.insert(id);
                }
            }
        }
        unreached
    }
}

async fn leave(app: &App, account_id: &AccountId, id: &str, now: i64) {
    if let Err(error) = app.connections.leave(account_id, id, now).await {
        tracing::warn!(connection.id = id, error.cause = %error, "a connection's end could not be noted");
    }
}

/// Waits until a connection that has been let in is open, as far as that can be told.
async fn until_open(app: &App, id: &str) {
    let open = async {
        while !app.sockets.is_open(id).await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(OPENING, open).await;
}
