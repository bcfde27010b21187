//! Events as they are accepted, to those who follow them.

use std::{collections::HashSet, sync::Arc};

use analytics_domain::{
    event::{SealError, SealedBatch, open},
    live::{
        Feed, Frame, Head, LiveMessage, Noted, Seen, Shown, Stream, Subscription, Way, event_identity, message_identity,
    },
};
use analytics_dynamo::TableError;
use tokio::time::Instant;

use crate::{
    account::{Account, News},
    post::{Parcel, rest},
};

/// Milliseconds by which the clocks of processes may differ, and a note be late.
const OVERLAP: i64 = 5_000;

impl Account<'_> {
    /// Where a stream of events stands, or what was missed of it.
    pub async fn standing(
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
    pub async fn tell_events(&mut self, messages: &[News<'_>], is_full: bool) -> Result<Option<Instant>, TableError> {
        let ways: Vec<(Way, Subscription)> = self.ways_to(|stream| *stream == Stream::Analytics);
        let opened: Vec<(&str, Vec<u8>)> = messages.iter().filter_map(|news| Some((news.id, opened(news)?))).collect();
        let parsed = opened.iter().filter_map(|(id, bytes)| Some((*id, sealed(SealedBatch::from_bytes(bytes))?)));
        let batches: Vec<(&str, SealedBatch<'_>)> = parsed.collect();
        if batches.is_empty() {
            return Ok(None);
        }
        if ways.is_empty() {
            return Ok(None);
        }
        let (fresh, counted) = self.without_repeats(&batches).await?;
        let mut told_at = None;
        let heads = self.heads(ways.iter().map(|(way, _)| way)).await?;
        for ((way, subscription), head) in ways.iter().zip(heads) {
            let mut feed = Feed::new(subscription, self.app.most);
            for ((id, batch), fresh) in batches.iter().zip(&fresh) {
                if head.told.iter().any(|told| told == id) {
                    continue;
                }
                let events = batch.events.iter().zip(fresh).filter(|(_, is_fresh)| **is_fresh);
                events.for_each(|(event, _)| feed.take(&Shown::new(batch, event)));
            }
            if feed.come() == 0 {
                continue;
            }
            let now = (self.app.now)();
            let told = batches.iter().map(|(id, _)| (*id).to_owned()).collect();
            // There is more than one call can take, or has time for: until the next frame is due, it is only counted.
            if (is_full && now < head.at + self.app.interval) || self.budget.is_over() {
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
        if let Err(error) = self.app.seen.note(self.id, (self.app.now)(), &counted).await {
            tracing::warn!(account.id = self.id, error.cause = %error, "other processes may count repeats of these events");
        }
        Ok(told_at)
    }

    /// Which events of each message have not been counted before, and what to note of them.
    async fn without_repeats(
        &self,
        batches: &[(&str, SealedBatch<'_>)],
    ) -> Result<(Vec<Vec<bool>>, Vec<Noted>), TableError> {
        let now = (self.app.now)();
        let read_to = self.app.memory().seen.get(self.id).map(|known| known.read_to);
        let after = read_to.map_or(now - Seen::MEMORY, |read_to| read_to - OVERLAP);
        let noted = self.app.seen.after(self.id, after).await?;
        let mut memory = self.app.memory();
        let known = memory.seen.entry(self.id.to_owned()).or_default();
        noted.iter().for_each(|one| known.seen.note(one));
        known.read_to = now;
        let (mut fresh, mut counted) = (Vec::new(), Vec::new());
        for (id, batch) in batches {
            let (message, mut events, mut here) = (message_identity(id), Vec::new(), HashSet::new());
            let is_fresh = batch.events.iter().map(|event| {
                let event = event_identity(event);
                let is_fresh = !known.seen.is_repeat(message, event) && here.insert(event);
                events.extend(is_fresh.then_some(event));
                is_fresh
            });
            fresh.push(is_fresh.collect());
            let one = Noted { message, events };
            known.seen.note(&one);
            counted.push(one);
        }
        Ok((fresh, counted))
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
