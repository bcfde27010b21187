//! Those who watch one account, and what they are told during one call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use analytics_domain::{
    event::{SealError, SealedBatch, open},
    live::{Connection, Feed, Frame, Head, LiveMessage, Shown, Stream, Subscription, Way},
    time,
};
use analytics_dynamo::TableError;
use analytics_sockets::SocketError;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep_until};

use crate::{
    App,
    audience::{audience, note, put},
    post::{Parcel, post, rest},
};

/// Tries to reach a connection that is just about to open.
const TRIES: u32 = 40;

/// What is to be told, with the queue's id of the message.
pub struct News<'m> {
    pub id: &'m str,
    pub message: LiveMessage<'m>,
}

/// An account, as it is at the time of a call.
pub struct Account<'a> {
    pub app: &'a App,
    pub id: &'a str,
    pub connections: Vec<Connection>,
}

impl<'a> Account<'a> {
    pub async fn load(app: &'a App, id: &'a str) -> Result<Self, TableError> {
        let connections = audience(app, id).await?;
        Ok(Self { app, id, connections })
    }

    /// Tells what the messages tell to everybody whom it concerns.
    pub async fn tell(mut self, messages: &[News<'_>], is_full: bool) -> Result<(), TableError> {
        self.end_those_whose_token_has().await;
        self.meet(messages).await?;
        let (mut newcomers, mut is_stale) = (Vec::new(), false);
        for News { message, .. } in messages {
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
        let mut told_at = self.tell_events(messages, is_full).await?;
        if is_stale || !newcomers.is_empty() {
            if self.tell_numbers(is_stale, &newcomers).await? {
                told_at = Some(Instant::now());
            }
            self.begin_numbers(&newcomers).await?;
        }
        // What comes meanwhile gathers in the queue. A frame after a pause waits for nothing.
        if let Some(at) = told_at.filter(|_| !is_full) {
            sleep_until(at + self.app.interval()).await;
        }
        Ok(())
    }

    /// The ways in which such streams are followed.
    pub fn ways_to(&self, is_wanted: impl Fn(&Stream) -> bool) -> Vec<(Way, Subscription)> {
        let ways = self.ways().into_iter().filter(|(way, _)| is_wanted(&way.stream));
        ways.map(|(way, subscription)| (way, subscription.clone())).collect()
    }

    /// All ways in which streams are followed, by those who are there or may come back.
    fn ways(&self) -> BTreeMap<Way, &Subscription> {
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
        let new = streams.iter().filter_map(|stream| connection.subscriptions.get_key_value(stream));
        let new = new.filter(|(_, subscription)| !subscription.begun);
        let (events, numbers): (Vec<_>, Vec<_>) = new.partition(|(stream, _)| **stream == Stream::Analytics);
        let mut frames = Vec::new();
        for (stream, subscription) in &events {
            frames.push(Frame::Subscribed { stream: &stream.to_string() }.to_json());
            frames.extend(self.standing(stream, subscription, (self.app.now)()).await?);
        }
        for mine in self.connections.iter_mut().filter(|other| other.id == id) {
            let asked = mine.subscriptions.iter_mut().filter(|(stream, _)| streams.contains(stream));
            asked.for_each(|(_, subscription)| subscription.begun = true);
        }
        self.begin(id, &events).await?;
        self.send_to(id, frames).await;
        Ok(numbers.into_iter().map(|(stream, _)| stream.clone()).collect())
    }

    /// Notes that those who waited for numbers have them.
    async fn begin_numbers(&self, newcomers: &[(String, Stream)]) -> Result<(), TableError> {
        let ids: BTreeSet<&String> = newcomers.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(connection) = self.find(id) else { continue };
            let its = newcomers.iter().filter(|(other, _)| other == id).map(|(_, stream)| stream);
            let its: Vec<_> = its.filter_map(|stream| connection.subscriptions.get_key_value(stream)).collect();
            self.begin(id, &its).await?;
        }
        Ok(())
    }

    /// Notes that streams of a client have begun.
    async fn begin(&self, id: &str, streams: &[(&Stream, &Subscription)]) -> Result<(), TableError> {
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
            self.app.feeds.begin(&way.place, &head, now).await?;
        }
        Ok(match subscription.since_seq {
            Some(seq) if head.remembers(seq, now) => self.app.feeds.frames_after(&way.place, seq).await?,
            Some(_) => vec![Frame::Resync { stream: &name }.to_json(), head.snapshot(&name, now)],
            None => vec![head.snapshot(&name, now)],
        })
    }

    /// Returns from when the interval counts, if frames were sent.
    async fn tell_events(&mut self, messages: &[News<'_>], is_full: bool) -> Result<Option<Instant>, TableError> {
        let ways: Vec<(Way, Subscription)> = self.ways_to(|stream| *stream == Stream::Analytics);
        let opened: Vec<(&str, Vec<u8>)> = messages.iter().filter_map(|news| Some((news.id, opened(news)?))).collect();
        let parsed = opened.iter().filter_map(|(id, bytes)| Some((*id, sealed(SealedBatch::from_bytes(bytes))?)));
        let batches: Vec<(&str, SealedBatch<'_>)> = parsed.collect();
        if batches.is_empty() {
            return Ok(None);
        }
        let mut told_at = None;
        let heads = self.heads(ways.iter().map(|(way, _)| way)).await?;
        for ((way, subscription), head) in ways.iter().zip(heads) {
            let mut feed = Feed::new(subscription, self.app.most);
            for (_, batch) in batches.iter().filter(|(id, _)| !head.told.iter().any(|told| told == id)) {
                batch.events.iter().for_each(|event| feed.take(&Shown::new(batch, event)));
            }
            if feed.come() == 0 {
                continue;
            }
            let now = (self.app.now)();
            let told = batches.iter().map(|(id, _)| (*id).to_owned()).collect();
            // There is more than one call can take: until the next frame is due, it is only counted.
            if is_full && now < head.at + self.app.interval {
                let mut counted = feed.count(&head);
                counted.told = told;
                self.app.feeds.set_head(&way.place, &head, &counted, now).await?;
                continue;
            }
            let stream = way.stream.to_string();
            let (text, mut shown) = feed.frame(&stream, &head, now);
            let frame: Arc<str> = text.as_str().into();
            let parcels = self.followers(way).filter_map(|connection| {
                if self.app.memory().laggards.rests(&connection.id, now) {
                    self.app.memory().laggards.miss(&connection.id, &stream, feed.come(), now);
                    return None;
                }
                let mut frames = self.notices(connection, now);
                if let Some(dropped) = self.app.memory().laggards.missed(connection, &way.stream) {
                    frames.push(Frame::Lagged { stream: &stream, dropped }.to_json().into());
                }
                frames.push(Arc::clone(&frame));
                Some(Parcel { connection_id: connection.id.clone(), frames })
            });
            let parcels = parcels.collect();
            let began = Instant::now();
            self.send_of(&stream, parcels, feed.come()).await;
            let rest = rest(began.elapsed(), self.app.interval());
            told_at = told_at.max(Some(began + rest));
            // Both or none: a frame that no head knows of is not missed, since its events come again.
            self.app.feeds.add_frame(&way.place, shown.seq, &text, now).await?;
            (shown.at, shown.told) = (now + i64::try_from(rest.as_millis()).unwrap_or(0), told);
            self.app.feeds.set_head(&way.place, &head, &shown, now).await?;
        }
        Ok(told_at)
    }

    /// Where feeds stand, in their order.
    pub async fn heads(&self, ways: impl Iterator<Item = &Way>) -> Result<Vec<Head>, TableError> {
        let places: Vec<&str> = ways.map(|way| way.place.as_str()).collect();
        let mut heads = self.app.feeds.heads(&places).await?;
        Ok(places.iter().map(|place| heads.remove(*place).unwrap_or_else(|| Head::new((self.app.now)()))).collect())
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

/// The sealed batch in a message, unpacked.
fn opened(news: &News<'_>) -> Option<Vec<u8>> {
    let LiveMessage::Events { sealed: text, .. } = &news.message else { return None };
    sealed(open(text))
}

fn sealed<T>(read: Result<T, SealError>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(error.cause = %error, "no sealed batch")).ok()
}

async fn leave(app: &App, account_id: &str, id: &str, now: i64) {
    if let Err(error) = app.connections.leave(account_id, id, now).await {
        tracing::warn!(connection.id = id, error.cause = %error, "a connection's end could not be noted");
    }
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
