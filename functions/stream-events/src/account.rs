//! Those who watch one account, and what they are told during one call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use analytics_domain::{
    event::{SealedBatch, open},
    live::{Connection, Feed, Frame, Head, LiveMessage, Shown, Stream, Subscription},
    time,
};
use analytics_dynamo::TableError;
use analytics_sockets::SocketError;
use sha2::{Digest, Sha256};

use crate::{
    App,
    post::{Parcel, post},
};

/// Tries to reach a connection that is just about to open.
const TRIES: u32 = 40;

/// What is the same for all who follow a stream in the same way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub stream: Stream,
    /// Its place in the table.
    pub place: String,
}

impl Way {
    fn of(account_id: &str, stream: &Stream, subscription: &Subscription) -> Self {
        let Subscription { filter, event_names, fields, query, queries, .. } = subscription;
        let text = serde_json::to_string(&(stream, filter, event_names, fields, query, queries)).unwrap_or_default();
        let hash: String = Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { stream: stream.clone(), place: format!("feed#{account_id}#{hash}") }
    }
}

/// An account, as it is at the time of a call.
pub struct Account<'a> {
    pub app: &'a App,
    pub id: &'a str,
    pub connections: Vec<Connection>,
}

impl<'a> Account<'a> {
    pub async fn load(app: &'a App, id: &'a str) -> Result<Self, TableError> {
        let connections = app.connections.list(id, (app.now)()).await?;
        Ok(Self { app, id, connections })
    }

    /// Tells what the messages tell to everybody whom it concerns.
    pub async fn tell(mut self, messages: &[LiveMessage<'_>], is_full: bool) -> Result<(), TableError> {
        self.end_those_whose_token_has().await;
        let (mut newcomers, mut is_stale) = (Vec::new(), false);
        for message in messages {
            match message {
                LiveMessage::Opened { connection_id, .. } => self.greet(connection_id).await?,
                LiveMessage::Following { connection_id, streams, .. } => {
                    let numbers = self.follow(connection_id, streams).await?;
                    newcomers.extend(numbers.into_iter().map(|stream| (connection_id.to_string(), stream)));
                }
                LiveMessage::Stored { .. } => is_stale = true,
                LiveMessage::Events { .. } => {}
            }
        }
        self.tell_events(messages, is_full).await?;
        // The events have been told and counted: that numbers cannot be is no reason to tell them again.
        if (is_stale || !newcomers.is_empty())
            && let Err(error) = self.tell_numbers(is_stale, &newcomers).await
        {
            tracing::warn!(account.id = self.id, error.cause = %error, "what is new in numbers is told later");
        }
        Ok(())
    }

    /// All ways in which streams are followed, by those who are there or may come back.
    pub fn ways(&self) -> BTreeMap<Way, &Subscription> {
        let followed = self.connections.iter().flat_map(|connection| &connection.subscriptions);
        let begun = followed.filter(|(_, subscription)| subscription.begun);
        begun.map(|(stream, subscription)| (Way::of(self.id, stream, subscription), subscription)).collect()
    }

    /// Those who are there and follow a stream in this way.
    pub fn followers(&self, way: &Way) -> impl Iterator<Item = &Connection> {
        let follows = move |connection: &&Connection| {
            let subscription = connection.subscriptions.get(&way.stream);
            let follows =
                |subscription: &Subscription| subscription.begun && Way::of(self.id, &way.stream, subscription) == *way;
            connection.left_at.is_none() && subscription.is_some_and(follows)
        };
        self.connections.iter().filter(follows)
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
        let (events, numbers): (Vec<_>, Vec<_>) =
            connection.subscriptions.into_keys().partition(|stream| *stream == Stream::Analytics);
        self.follow(id, &events).await?;
        if !numbers.is_empty() {
            self.pass_on(id, numbers).await;
        }
        Ok(())
    }

    /// Has numbers asked by a call that is there for it.
    async fn pass_on(&mut self, id: &str, streams: Vec<Stream>) {
        let (account_id, connection_id) = (self.id.into(), id.into());
        let message = LiveMessage::Following { account_id, connection_id, streams, at: (self.app.now)() };
        let text = serde_json::to_string(&message).unwrap_or_default();
        if let Err(error) = self.app.live.send_in_group(text, &message.group()).await {
            tracing::warn!(connection.id = id, error.cause = %error, "streams do not begin");
            let error = Frame::Error { code: "unavailable", detail: "numbers cannot be followed now: subscribe again" };
            self.send_to(id, vec![error.to_json()]).await;
        }
    }

    /// Has a client follow streams, and tells it where one of events stands. Returns those of numbers, for which it waits.
    async fn follow(&mut self, id: &str, streams: &[Stream]) -> Result<Vec<Stream>, TableError> {
        let Some(connection) = self.find(id) else { return Ok(Vec::new()) };
        let subscription = |stream: &Stream| connection.subscriptions.get(stream).filter(|one| !one.begun);
        let new = streams.iter().filter_map(|stream| Some((stream, subscription(stream)?)));
        let new: Vec<(&Stream, &Subscription)> = new.collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let mut frames = Vec::new();
        for (stream, subscription) in new.iter().filter(|(stream, _)| **stream == Stream::Analytics) {
            frames.push(Frame::Subscribed { stream: &stream.to_string() }.to_json());
            frames.extend(self.standing(stream, subscription, (self.app.now)()).await?);
        }
        self.app.connections.begin(self.id, id, &new).await?;
        for mine in self.connections.iter_mut().filter(|other| other.id == id) {
            let begun = mine.subscriptions.iter_mut().filter(|(stream, _)| new.iter().any(|(one, _)| one == stream));
            begun.for_each(|(_, subscription)| subscription.begun = true);
        }
        let numbers = new.iter().map(|(stream, _)| (*stream).clone()).filter(|stream| *stream != Stream::Analytics);
        let numbers = numbers.collect();
        self.send_to(id, frames).await;
        Ok(numbers)
    }

    fn find(&self, id: &str) -> Option<Connection> {
        let is_there = |connection: &&Connection| connection.id == id && connection.left_at.is_none();
        self.connections.iter().find(is_there).cloned()
    }

    async fn send_to(&mut self, id: &str, frames: Vec<String>) {
        let frames = frames.into_iter().map(Arc::from).collect();
        self.send(vec![Parcel { connection_id: id.to_owned(), frames }]).await;
    }

    /// Where a stream of events stands, or what was missed of it.
    async fn standing(
        &self,
        stream: &Stream,
        subscription: &Subscription,
        now: i64,
    ) -> Result<Vec<String>, TableError> {
        let way = Way::of(self.id, stream, subscription);
        let name = stream.to_string();
        // One that nobody has followed lately has not been counted.
        let head = if self.ways().contains_key(&way) { self.app.feeds.head(&way.place).await? } else { None };
        let (head, is_new) = head.map_or_else(|| (Head::new(now), true), |head| (head, false));
        if is_new {
            self.app.feeds.set_head(&way.place, &head, now).await?;
        }
        Ok(match subscription.since_seq {
            Some(seq) if head.remembers(seq, now) => self.app.feeds.frames_after(&way.place, seq).await?,
            Some(_) => vec![Frame::Resync { stream: &name }.to_json(), head.snapshot(&name, now)],
            None => vec![head.snapshot(&name, now)],
        })
    }

    async fn tell_events(&mut self, messages: &[LiveMessage<'_>], is_full: bool) -> Result<(), TableError> {
        let ways = self.ways();
        let ways = ways.into_iter().filter(|(way, _)| way.stream == Stream::Analytics);
        let mut feeds: Vec<(Way, Feed)> =
            ways.map(|(way, subscription)| (way, Feed::new(subscription, self.app.most))).collect();
        for message in messages {
            let LiveMessage::Events { sealed, .. } = message else { continue };
            if let Err(error) = take(&mut feeds, sealed) {
                tracing::error!(account.id = self.id, error.cause = %error, "no sealed batch");
            }
        }
        feeds.retain(|(_, feed)| feed.come() > 0);
        let heads = self.heads(feeds.iter().map(|(way, _)| way)).await?;
        // More than one call can take is told at once: others wait behind it.
        if !is_full {
            self.wait_since(heads.iter().map(|head| head.at).max().unwrap_or(0)).await;
        }
        for ((way, feed), head) in feeds.iter().zip(heads) {
            let now = (self.app.now)();
            let stream = way.stream.to_string();
            let (text, head) = feed.frame(&stream, &head, now);
            let frame: Arc<str> = text.as_str().into();
            let parcels = self.followers(way).filter_map(|connection| {
                if self.app.memory().laggards.rests(&connection.id, now) {
                    self.app.memory().laggards.miss(&connection.id, &stream, feed.come());
                    return None;
                }
                let mut frames = self.notices(connection, now);
                if let Some(dropped) = self.app.memory().laggards.missed(&connection.id, &stream) {
                    frames.push(Frame::Lagged { stream: &stream, dropped }.to_json().into());
                }
                frames.push(Arc::clone(&frame));
                Some(Parcel { connection_id: connection.id.clone(), frames })
            });
            let parcels = parcels.collect();
            self.send_of(&stream, parcels, feed.come()).await;
            // Both or none: a frame that no head knows of is not missed, since its events come again.
            self.app.feeds.add_frame(&way.place, head.seq, &text, now).await?;
            self.app.feeds.set_head(&way.place, &head, now).await?;
        }
        Ok(())
    }

    /// Where feeds stand, in their order.
    pub async fn heads(&self, ways: impl Iterator<Item = &Way>) -> Result<Vec<Head>, TableError> {
        let places: Vec<&str> = ways.map(|way| way.place.as_str()).collect();
        let mut heads = self.app.feeds.heads(&places).await?;
        Ok(places.iter().map(|place| heads.remove(*place).unwrap_or_else(|| Head::new((self.app.now)()))).collect())
    }

    /// Waits until an interval has passed since the last frame.
    pub async fn wait_since(&self, last: i64) {
        let wait = last + self.app.interval - (self.app.now)();
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait.min(self.app.interval).unsigned_abs())).await;
        }
    }

    /// What is to be said to a client before its next frame.
    fn notices(&self, connection: &Connection, now: i64) -> Vec<Arc<str>> {
        let mut notices = connection.notices(now);
        notices.retain(|(at, _)| self.app.memory().noticed.insert((connection.id.clone(), *at)));
        notices.iter().map(|(_, notice)| notice.to_json().into()).collect()
    }

    async fn end_those_whose_token_has(&mut self) {
        let now = (self.app.now)();
        let is_over = |connection: &&mut Connection| connection.left_at.is_none() && connection.token_expires_at <= now;
        for connection in self.connections.iter_mut().filter(is_over) {
            let error = Frame::Error { code: "token_expired", detail: "the token has ended: connect with another" };
            // Whether it hears of it or not, it hears no more.
            let _ = self.app.sockets.post(&connection.id, &error.to_json()).await;
            if let Err(error) = self.app.sockets.close(&connection.id).await {
                tracing::warn!(connection.id, error.cause = %error, "a connection could not be ended");
            }
            leave(self.app, self.id, &connection.id, now).await;
            connection.left_at = Some(now);
        }
    }

    /// Sends the frames of a stream, in which there are so many events, and takes note of who misses them.
    pub async fn send_of(&mut self, stream: &str, parcels: Vec<Parcel>, events: u64) {
        let ids: Vec<String> = parcels.iter().map(|parcel| parcel.connection_id.clone()).collect();
        let unreached = self.send(parcels).await;
        let mut memory = self.app.memory();
        for id in ids {
            if unreached.contains(&id) {
                memory.laggards.miss(&id, stream, events);
            } else {
                memory.laggards.reached(&id);
                memory.laggards.made_up(&id, stream);
            }
        }
    }

    /// Sends frames, and takes note of clients that have gone. Returns those that are there and were not reached.
    async fn send(&mut self, parcels: Vec<Parcel>) -> BTreeSet<String> {
        let mut unreached = BTreeSet::new();
        for (id, error) in post(&self.app.sockets, parcels).await {
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

async fn leave(app: &App, account_id: &str, id: &str, now: i64) {
    if let Err(error) = app.connections.leave(account_id, id, now).await {
        tracing::warn!(connection.id = id, error.cause = %error, "a connection's end could not be noted");
    }
}

fn take(feeds: &mut [(Way, Feed)], sealed: &str) -> Result<(), analytics_domain::event::SealError> {
    let bytes = open(sealed)?;
    let batch = SealedBatch::from_bytes(&bytes)?;
    for event in &batch.events {
        let shown = Shown::new(&batch, event);
        feeds.iter_mut().for_each(|(_, feed)| feed.take(&shown));
    }
    Ok(())
}

/// Waits until a connection that has been let in is open, as far as that can be told.
async fn until_open(app: &App, id: &str) {
    for _ in 0..TRIES {
        if app.sockets.is_open(id).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
