//! One stream of events with one filter, for everybody who follows it so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Frame, Shown, Subscription, Totals};
use crate::{
    event::{SealedBatch, SealedEvent},
    metric::{Filter, Filtered},
    time::{self, EpochMillis},
};

/// Bytes of the events in one frame: the gateway takes 32 KB.
const BYTES: usize = 24 * 1024;
/// Names that are counted one by one.
const NAMES: usize = 200;
/// Bytes of them in a frame, with their counts. Beside the events, and all else there is in a frame, there is room for as many.
const NAME_BYTES: usize = 6 * 1024;
/// For so many milliseconds a client may be away and go on where it was.
pub const MEMORY: i64 = 120_000;

/// Where a feed stands after a frame.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// When the feed began.
    pub since: EpochMillis,
    /// The last frame's number. It rises with every frame, whichever process sends it.
    pub seq: i64,
    /// When the last frame was sent.
    pub at: EpochMillis,
    /// The messages that were counted last: they may come again, if the call that did so was cut off.
    #[serde(default)]
    pub told: Vec<String>,
    /// All that were counted.
    pub events: u64,
    pub(super) by_name: BTreeMap<String, u64>,
    /// Events since the last frame that are counted and will not be shown.
    #[serde(default)]
    pub(super) unshown: u64,
    /// Of numbers: whether those who follow were told that no frame can hold the answer.
    #[serde(default)]
    pub is_too_large: bool,
    /// Of numbers: how often in a row the answer has taken too long.
    #[serde(default)]
    pub late: u32,
}

impl Head {
    /// Of a feed that begins.
    #[must_use]
    pub const fn new(now: EpochMillis) -> Self {
        Self {
            since: now,
            seq: now * 1_000,
            at: 0,
            told: Vec::new(),
            events: 0,
            by_name: BTreeMap::new(),
            unshown: 0,
            is_too_large: false,
            late: 0,
        }
    }

    /// When an answer has taken too long again.
    #[must_use]
    pub fn later(&self) -> Self {
        Self { late: self.late.saturating_add(1), ..self.clone() }
    }

    /// When an answer has not taken too long, or nobody waits for it any more.
    #[must_use]
    pub fn in_time(&self) -> Self {
        Self { late: 0, ..self.clone() }
    }

    /// Whether all frames after this one are remembered.
    #[must_use]
    pub const fn remembers(&self, seq: i64, now: EpochMillis) -> bool {
        seq == self.seq || (seq < self.seq && seq >= self.since * 1_000 && seq >= (now - MEMORY) * 1_000)
    }

    /// Where the stream stands, for somebody who comes.
    #[must_use]
    pub fn snapshot(&self, stream: &str, now: EpochMillis) -> String {
        Frame::Snapshot { stream, seq: self.seq, as_of: time::format(now), totals: self.totals() }.to_json()
    }

    fn totals(&self) -> Totals<'_> {
        let mut room = NAME_BYTES;
        let fits = |(name, _): &(&String, &u64)| {
            let size = size(name);
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let by_name = self.by_name.iter().take_while(fits).map(|(name, count)| (name.as_str(), *count)).collect();
        Totals { since: time::format(self.since), events: self.events, by_name }
    }
}

/// Whether an event meets a filter.
type Judge = Box<dyn Fn(&dyn Filtered) -> bool + Send + Sync>;

/// Events on their way into a frame. They come the latest first.
pub struct Feed<'b> {
    subscription: &'b Subscription,
    meets: Judge,
    /// Events in one frame. Of more, the latest are shown and all are counted.
    most: usize,
    waiting: Vec<(&'b SealedBatch<'b>, &'b SealedEvent<'b>)>,
    /// All that have come, shown or not.
    come: u64,
    by_name: BTreeMap<&'b str, u64>,
    /// Events that were not tested against the filter.
    untested: u64,
}

impl<'b> Feed<'b> {
    #[must_use]
    pub fn new(subscription: &'b Subscription, most: usize) -> Self {
        let meets = Box::new(subscription.filter.judge());
        let (waiting, by_name) = (Vec::new(), BTreeMap::new());
        Self { subscription, meets, most, waiting, come: 0, by_name, untested: 0 }
    }

    /// Takes an event, if it is wanted.
    pub fn take(&mut self, event: &Shown<'b>) {
        if !self.is_named(event) || !(self.meets)(event) {
            return;
        }
        self.add(event);
        if self.waiting.len() < self.most {
            self.waiting.push((event.batch, event.event));
        }
    }

    /// Skips an event that there is no time to show. Without a filter, the event is counted. With a filter, nobody knows whether
    /// the event meets it: the event is in `skipped`, but not in the totals.
    pub fn skip(&mut self, event: &Shown<'b>) {
        if !self.is_named(event) {
            return;
        }
        if self.subscription.filter == Filter::EVERYTHING {
            self.add(event);
        } else {
            self.untested += 1;
        }
    }

    fn is_named(&self, event: &Shown<'b>) -> bool {
        let names = &self.subscription.event_names;
        names.is_empty() || names.iter().any(|name| name == event.name())
    }

    fn add(&mut self, event: &Shown<'b>) {
        self.come += 1;
        *self.by_name.entry(event.name()).or_default() += 1;
    }

    /// How many events have come, as far as that is known.
    #[must_use]
    pub const fn come(&self) -> u64 {
        self.come
    }

    /// Whether nothing has come.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.come == 0 && self.untested == 0
    }

    /// Where the feed stands once all that has come is counted, without a frame.
    #[must_use]
    pub fn count(&self, head: &Head) -> Head {
        let (events, unshown) = (head.events + self.come, head.unshown + self.come + self.untested);
        let mut head = Head { events, unshown, ..head.clone() };
        let mut bytes: usize = head.by_name.keys().map(|name| size(name)).sum();
        for (name, count) in &self.by_name {
            if let Some(counted) = head.by_name.get_mut(*name) {
                *counted += count;
            } else if head.by_name.len() < NAMES && bytes + size(name) <= NAME_BYTES {
                bytes += size(name);
                head.by_name.insert((*name).to_owned(), *count);
            }
        }
        head
    }

    /// The frame with all that has come, and where the feed stands then.
    #[must_use]
    pub fn frame(&self, stream: &str, head: &Head, now: EpochMillis) -> (String, Head) {
        let counted = self.count(head);
        let head = Head { seq: (head.seq + 1).max(now * 1_000), at: now, unshown: 0, ..counted.clone() };
        let latest = self.latest();
        let events: Vec<&RawValue> = latest.iter().map(AsRef::as_ref).collect();
        let skipped = counted.unshown - events.len() as u64;
        let frame =
            Frame::Event { stream, seq: head.seq, as_of: time::format(now), events, skipped, totals: head.totals() };
        (frame.to_json(), head)
    }

    /// The latest events that fit into a frame, in their order.
    fn latest(&self) -> Vec<Box<RawValue>> {
        let (mut latest, mut room) = (Vec::new(), BYTES);
        for (batch, event) in &self.waiting {
            let json = Shown::new(batch, event).to_json(&self.subscription.fields);
            let size = json.len() + 1;
            if size > room {
                break;
            }
            let Ok(json) = RawValue::from_string(json) else { continue };
            room -= size;
            latest.push(json);
        }
        latest.reverse();
        latest
    }
}

/// Bytes of a name with its count, as JSON: quotes, a colon, twelve digits and a comma are beside it.
fn size(name: &str) -> usize {
    let escaped = name.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let controls = name.bytes().filter(|byte| *byte < b' ').count();
    name.len() + escaped + 5 * controls + 16
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::metric::parse_filter;

    const EVENTS: usize = 50;

    /// So many events of a name.
    fn batch(name: &str, count: usize, properties: &str) -> &'static SealedBatch<'static> {
        let event = |position: usize| SealedEvent {
            event_name: name.to_owned().into(),
            event_id: position.to_string().into(),
            properties: properties.to_owned().into(),
            ..SealedEvent::default()
        };
        Box::leak(Box::new(SealedBatch { events: (0..count).map(event).collect(), ..SealedBatch::default() }))
    }

    fn feed_of(name: &str, count: usize, properties: &str) -> Feed<'static> {
        let batch = batch(name, count, properties);
        let mut feed = Feed::new(Box::leak(Box::new(Subscription::whole(0))), EVENTS);
        batch.events.iter().rev().for_each(|event| feed.take(&Shown::new(batch, event)));
        feed
    }

    fn feed(count: usize, properties: &str) -> Feed<'static> {
        feed_of("message_sent", count, properties)
    }

    fn frame(feed: &Feed<'_>, head: &Head, now: i64) -> (Value, Head) {
        let (text, head) = feed.frame("analytics", head, now);
        (serde_json::from_str(&text).expect("is JSON"), head)
    }

    #[test]
    fn of_many_events_the_latest_are_shown_and_all_are_counted() {
        let (first, head) = frame(&feed(120, "{}"), &Head::new(0), 0);
        assert_eq!(first["events"].as_array().map(Vec::len), Some(50));
        assert_eq!((&first["events"][49]["eventId"], &first["skipped"]), (&"119".into(), &70.into()));
        let large = feed(3, &format!("{{\"text\":\"{}\"}}", "x".repeat(10_000)));
        let (second, head) = frame(&large, &head, 300);
        assert_eq!((second["events"].as_array().map(Vec::len), &second["skipped"]), (Some(2), &1.into()));
        assert_eq!(second["totals"]["byName"]["message_sent"], 123);
        assert!(second["seq"].as_i64() > first["seq"].as_i64());
        assert_eq!((head.seq, head.at), (300_000, 300));
    }

    #[test]
    fn what_is_skipped_is_counted_as_far_as_it_is_known_to_be_wanted() {
        let batch = batch("message_sent", 3, "{\"a\":1}");
        let subscriptions = ["a = 1", "a = 2"].map(|filter| Subscription {
            filter: parse_filter(filter).expect("is a filter"),
            event_names: vec!["message_sent".to_owned()],
            ..Subscription::whole(0)
        });
        let [all, one, none] = [&Subscription::whole(0), &subscriptions[0], &subscriptions[1]].map(|subscription| {
            let mut feed = Feed::new(subscription, EVENTS);
            feed.take(&Shown::new(batch, &batch.events[2]));
            batch.events[..2].iter().for_each(|event| feed.skip(&Shown::new(batch, event)));
            let (frame, head) = frame(&feed, &Head::new(0), 0);
            assert!(!feed.is_empty());
            (frame["events"].as_array().map(Vec::len), frame["skipped"].as_u64(), head.events)
        });
        assert_eq!(all, (Some(1), Some(2), 3));
        assert_eq!(one, (Some(1), Some(2), 1));
        assert_eq!(none, (Some(0), Some(2), 0));
    }

    #[test]
    fn what_was_counted_without_a_frame_is_told_with_the_next() {
        let head = feed(3, "{}").count(&Head::new(0));
        let (next, head) = frame(&feed(2, "{}"), &head, 100);
        assert_eq!((&next["skipped"], &next["totals"]["events"]), (&3.into(), &5.into()));
        let (last, _) = frame(&feed(1, "{}"), &head, 400);
        assert_eq!((&last["skipped"], &last["totals"]["events"]), (&0.into(), &6.into()));
    }

    #[test]
    fn frames_with_many_long_names_fit_and_a_name_that_is_counted_stays_so() {
        let named = |name: &str, count: usize| feed_of(name, count, "{}");
        let mut head = named("zz_last", 3).count(&Head::new(0));
        for number in 0..300 {
            head = named(&format!("{number:03}{}", "\"😀".repeat(62)), 1).count(&head);
        }
        let large = feed(40, &format!("{{\"text\":\"{}\"}}", "x".repeat(900)));
        let (text, _) = large.frame("analytics", &head, 0);
        assert!(text.len() <= 32 * 1024, "{} bytes", text.len());
        let frame: Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!((&frame["totals"]["byName"]["zz_last"], &frame["totals"]["events"]), (&3.into(), &343.into()));
    }

    #[test]
    fn frames_of_one_moment_are_told_apart() {
        let (_, first) = frame(&feed(1, "{}"), &Head::new(5), 5);
        let (_, second) = frame(&feed(1, "{}"), &first, 5);
        assert!(second.seq > first.seq && first.seq > Head::new(5).seq);
    }

    #[test]
    fn what_was_told_is_remembered_for_two_minutes() {
        let head = Head { seq: 500_000_000, ..Head::new(300_000) };
        assert!(head.remembers(500_000_000, 900_000), "nothing was missed");
        assert!(head.remembers(400_000_000, 510_000));
        assert!(!head.remembers(400_000_000, 530_000), "more than two minutes ago");
        assert!(!head.remembers(299_000_000, 400_000), "before it began");
        assert!(!head.remembers(500_000_001, 510_000), "of another feed");
    }
}
