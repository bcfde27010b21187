//! One stream of events with one filter, for everybody who follows it so.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Frame, Shown, Subscription, Totals};
use crate::time::{self, EpochMillis};

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

/// Events on their way into a frame.
pub struct Feed {
    subscription: Subscription,
    /// Events in one frame. Of more, the latest are shown and all are counted.
    most: usize,
    waiting: VecDeque<Box<RawValue>>,
    /// All that have come, shown or not.
    come: u64,
    by_name: BTreeMap<String, u64>,
}

impl Feed {
    #[must_use]
    pub fn new(subscription: &Subscription, most: usize) -> Self {
        let (waiting, by_name) = (VecDeque::new(), BTreeMap::new());
        Self { subscription: subscription.clone(), most, waiting, come: 0, by_name }
    }

    /// Takes an event, if it is wanted.
    pub fn take(&mut self, event: &Shown<'_>) {
        if !event.is_wanted(&self.subscription) {
            return;
        }
        self.come += 1;
        *self.by_name.entry(event.name().to_owned()).or_default() += 1;
        let Ok(event) = RawValue::from_string(event.to_json(&self.subscription.fields)) else { return };
        if self.waiting.len() == self.most {
            self.waiting.pop_front();
        }
        self.waiting.push_back(event);
    }

    /// How many events have come.
    #[must_use]
    pub const fn come(&self) -> u64 {
        self.come
    }

    /// Where the feed stands once all that has come is counted, without a frame.
    #[must_use]
    pub fn count(&self, head: &Head) -> Head {
        let (events, unshown) = (head.events + self.come, head.unshown + self.come);
        let mut head = Head { events, unshown, ..head.clone() };
        let mut bytes: usize = head.by_name.keys().map(|name| size(name)).sum();
        for (name, count) in &self.by_name {
            if let Some(counted) = head.by_name.get_mut(name) {
                *counted += count;
            } else if head.by_name.len() < NAMES && bytes + size(name) <= NAME_BYTES {
                bytes += size(name);
                head.by_name.insert(name.clone(), *count);
            }
        }
        head
    }

    /// The frame with all that has come, and where the feed stands then.
    #[must_use]
    pub fn frame(&self, stream: &str, head: &Head, now: EpochMillis) -> (String, Head) {
        let counted = self.count(head);
        let head = Head { seq: (head.seq + 1).max(now * 1_000), at: now, unshown: 0, ..counted.clone() };
        let mut room = BYTES;
        let fits = |event: &&RawValue| {
            let size = event.get().len() + 1;
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let waiting = || self.waiting.iter().map(AsRef::as_ref);
        // The latest ones that fit.
        let shown = waiting().rev().take_while(fits).count();
        let events: Vec<&RawValue> = waiting().skip(self.waiting.len() - shown).collect();
        let skipped = counted.unshown - shown as u64;
        let frame =
            Frame::Event { stream, seq: head.seq, as_of: time::format(now), events, skipped, totals: head.totals() };
        (frame.to_json(), head)
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
    use crate::event::{SealedBatch, SealedEvent};

    const EVENTS: usize = 50;

    fn feed(count: usize, properties: &str) -> Feed {
        let event = |position: usize| SealedEvent {
            event_name: "message_sent".into(),
            event_id: position.to_string().into(),
            properties: properties.into(),
            ..SealedEvent::default()
        };
        let batch = SealedBatch { events: (0..count).map(event).collect(), ..SealedBatch::default() };
        let mut feed = Feed::new(&Subscription::whole(0), EVENTS);
        batch.events.iter().for_each(|event| feed.take(&Shown::new(&batch, event)));
        feed
    }

    fn frame(feed: &Feed, head: &Head, now: i64) -> (Value, Head) {
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
    fn what_was_counted_without_a_frame_is_told_with_the_next() {
        let head = feed(3, "{}").count(&Head::new(0));
        let (next, head) = frame(&feed(2, "{}"), &head, 100);
        assert_eq!((&next["skipped"], &next["totals"]["events"]), (&3.into(), &5.into()));
        let (last, _) = frame(&feed(1, "{}"), &head, 400);
        assert_eq!((&last["skipped"], &last["totals"]["events"]), (&0.into(), &6.into()));
    }

    #[test]
    fn frames_with_many_long_names_fit_and_a_name_that_is_counted_stays_so() {
        let named = |name: &str, count: usize| {
            let event = |position: usize| SealedEvent {
                position: 0,
                timestamp: 0,
                event_type: "".into(),
                event_name: name.to_owned().into(),
                event_id: position.to_string().into(),
                session_id: "".into(),
                user_id: "".into(),
                properties: "{}".into(),
                own_context: None,
            };
            let batch = SealedBatch { events: (0..count).map(event).collect(), ..SealedBatch::default() };
            let mut feed = Feed::new(&Subscription::whole(0), EVENTS);
            batch.events.iter().for_each(|event| feed.take(&Shown::new(&batch, event)));
            feed
        };
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
