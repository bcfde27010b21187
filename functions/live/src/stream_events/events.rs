//! Events as they are accepted, to those who follow them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use analytics_domain::{
    event::{SealError, SealedBatch, open},
    live::{Feed, Followed, Frame, Head, LiveMessage, Noted, Seen, Shown, Stream, event_identity, message_identity},
};
use analytics_dynamo::TableError;
use futures_util::future::try_join_all;
use tokio::{task::yield_now, time::Instant};

use crate::stream_events::{
    account::{Account, News},
    budget::Share,
    followers::Followers,
    post::{Parcel, rest},
};

/// Milliseconds by which the clocks of processes may differ, and a note be late.
const OVERLAP: i64 = 5_000;
/// How long events are tested before others go on.
const SLICE: Duration = Duration::from_millis(2);
/// Heads that are written at the same time.
const AT_ONCE: usize = 32;

impl Account<'_> {
    /// Where a stream of events stands, or what was missed of it.
    pub async fn standing(&self, followed: &Followed, now: i64) -> Result<Vec<String>, TableError> {
        let (way, subscription) = (&followed.way, &followed.subscription);
        let name = way.stream.to_string();
        // One that nobody has followed lately has not been counted.
        let head = if self.goes_on(way) { self.app.feeds.head(&way.place).await? } else { None };
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
        let followed = self.feeds_of(|stream| *stream == Stream::Analytics);
        let opened: Vec<(&str, Vec<u8>)> = messages.iter().filter_map(|news| Some((news.id, opened(news)?))).collect();
        let parsed = opened.iter().filter_map(|(id, bytes)| Some((*id, sealed(SealedBatch::from_bytes(bytes))?)));
        let batches: Vec<(&str, SealedBatch<'_>)> = parsed.collect();
        if batches.is_empty() || followed.is_empty() {
            return Ok(None);
        }
        let (fresh, counted) = self.without_repeats(&batches).await?;
        let heads = self.heads(followed.iter().map(|followers| &*followers.way)).await?;
        let mut standing: Vec<(Followers, Head)> = followed.into_iter().zip(heads).collect();
        // If there is no time for all, the feeds go first that have waited the longest.
        standing.sort_by_key(|(_, head)| head.at);
        let mut feeds: Vec<Feed<'_>> =
            standing.iter().map(|(followers, _)| Feed::new(&followers.subscription, self.app.most)).collect();
        let mut share = self.budget.judging();
        for ((id, batch), fresh) in batches.iter().zip(&fresh).rev() {
            let untold =
                feeds.iter_mut().zip(&standing).filter(|(_, (_, head))| !head.told.iter().any(|told| told == id));
            let mut untold: Vec<&mut Feed<'_>> = untold.map(|(feed, _)| feed).collect();
            let events = batch.events.iter().zip(fresh).rev().filter(|(_, is_fresh)| **is_fresh);
            judge(events.map(move |(event, _)| Shown::new(batch, event)), &mut untold, &mut share).await;
        }
        let told: Vec<String> = batches.iter().map(|(id, _)| (*id).to_owned()).collect();
        let (mut told_at, mut unshown) = (None, Vec::new());
        for ((followers, head), feed) in standing.iter().zip(&feeds).filter(|(_, feed)| !feed.is_empty()) {
            let (way, now) = (&followers.way, (self.app.now)());
            // There is more than one call can take, or has time for: until the next frame is due, it is only counted.
            if (is_full && now < head.at + self.app.interval) || self.budget.is_over() {
                let mut counted = feed.count(head);
                counted.told.clone_from(&told);
                unshown.push((way, head, counted));
                continue;
            }
            let stream = way.stream.to_string();
            let (text, mut shown) = feed.frame(&stream, head, now);
            let frame: Arc<str> = text.as_str().into();
            let parcels = followers.present(&self.connections).filter_map(|connection| {
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
            (shown.at, shown.told) = (now + i64::try_from(rest.as_millis()).unwrap_or(0), told.clone());
            self.app.feeds.set_head(&way.place, head, &shown, now).await?;
        }
        for some in unshown.chunks(AT_ONCE) {
            let now = (self.app.now)();
            let writes =
                some.iter().map(|(way, head, counted)| self.app.feeds.set_head(&way.place, head, counted, now));
            try_join_all(writes).await?;
        }
        if let Err(error) = self.app.seen.note(self.id, (self.app.now)(), &counted).await {
            tracing::warn!(account.id = self.id.as_str(), error.cause = %error, "other processes may count repeats of these events");
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

/// Gives events to feeds, the latest first. Each event is parsed once for all feeds, and other accounts go on in between. Once
/// the account's share of the call is over, the rest of its events is only counted.
async fn judge<'b>(events: impl Iterator<Item = Shown<'b>>, feeds: &mut [&mut Feed<'b>], share: &mut Share) {
    let mut began = std::time::Instant::now();
    for event in events {
        for feed in &mut *feeds {
            if share.is_over() {
                feed.skip(&event);
            } else {
                share.spend(|| feed.take(&event));
            }
        }
        if began.elapsed() >= SLICE {
            yield_now().await;
            began = std::time::Instant::now();
        }
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

#[cfg(test)]
mod tests {
    use analytics_domain::{event::SealedEvent, live::Subscription, metric::parse_filter};
    use serde_json::Value;
    use tokio::time::timeout;

    use super::*;

    const EVENTS: usize = 5_000;

    fn batch(properties: &str) -> SealedBatch<'_> {
        let event = |number: usize| SealedEvent {
            event_name: "message_sent".into(),
            event_id: number.to_string().into(),
            properties: properties.into(),
            ..SealedEvent::default()
        };
        SealedBatch { events: (0..EVENTS).map(event).collect(), ..SealedBatch::default() }
    }

    fn latest_first<'b>(batch: &'b SealedBatch<'b>) -> impl Iterator<Item = Shown<'b>> {
        batch.events.iter().rev().map(move |event| Shown::new(batch, event))
    }

    /// A filter that takes long for a long text, and that the text meets.
    fn expensive() -> (Subscription, String) {
        let tests: Vec<String> = (0..150).map(|number| format!("a contains \"x{number}\"")).collect();
        let filter = parse_filter(&format!("{} or a contains \"жЖ\"", tests.join(" or "))).expect("is a filter");
        (Subscription { filter, ..Subscription::whole(0) }, format!("{{\"a\":\"{}\"}}", "Ж".repeat(2_000)))
    }

    #[tokio::test]
    async fn an_expensive_filter_can_be_interrupted() {
        let (subscription, properties) = expensive();
        let batch = batch(&properties);
        let mut feed = Feed::new(&subscription, 50);
        let mut share = Share::of(Duration::from_secs(600));
        let most = Duration::from_millis(5);
        let judged = timeout(most, judge(latest_first(&batch), &mut [&mut feed], &mut share)).await;
        assert!(judged.is_err());
    }

    #[tokio::test]
    async fn events_beyond_the_share_of_an_account_are_only_counted() {
        let ((subscription, properties), all) = (expensive(), Subscription::whole(0));
        let batch = batch(&properties);
        let (mut filtered, mut whole) = (Feed::new(&subscription, 50), Feed::new(&all, 50));
        let mut share = Share::of(Duration::from_millis(3));
        judge(latest_first(&batch), &mut [&mut filtered, &mut whole], &mut share).await;
        assert!(share.is_over());
        let [(filtered, tested), (_, counted)] = [filtered, whole].map(|feed| {
            let (frame, head) = feed.frame("analytics", &Head::new(0), 0);
            (serde_json::from_str::<Value>(&frame).expect("is JSON"), head.events)
        });
        assert_eq!(counted, EVENTS as u64, "without a filter");
        assert!((1..counted).contains(&tested), "{tested} were tested");
        let latest = filtered["events"].as_array().and_then(|events| events.last());
        assert_eq!(latest.map(|event| &event["eventId"]), Some(&Value::from((EVENTS - 1).to_string())));
        let shown = filtered["events"].as_array().map_or(0, Vec::len);
        assert_eq!(filtered["skipped"].as_u64(), Some((EVENTS - shown) as u64));
    }
}
