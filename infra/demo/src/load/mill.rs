//! Makes request bodies at the price of copying them: events of the demo's world, serialised once, with a fresh id
//! and time written in.

use uuid::Uuid;

use crate::campaigns::{Campaigns, Window};
use crate::client::Layout;
use crate::event::{BETWEEN_ID_AND_TIME, event_id, rfc3339};
use crate::rng::mix;
use crate::topic;

/// How many different events there are beside id and time.
const PATTERNS: usize = 4_096;
/// Bytes of an event, on average.
pub const AVERAGE_BYTES: usize = 450;
/// Two days in July 2026 to take patterns from.
const PATTERN_DAYS: Window = Window { from_ms: 1_782_950_400_000, until_ms: 1_783_123_200_000 };

/// An event cut open where its id and time stand.
struct Pattern {
    name: &'static str,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// Writes the event of any number, again and again the same: what it says depends on the seed and the number only.
pub struct Mill {
    seed: u64,
    patterns: Vec<Pattern>,
}

impl Mill {
    pub fn new(seed: u64) -> Self {
        const ID_AND_TIME: usize = 36 + 24 + BETWEEN_ID_AND_TIME.len();
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for event in Campaigns::new(seed).events(PATTERN_DAYS) {
            let (mut head, mut tail) = (Vec::new(), Vec::new());
            event.write_head(&mut head);
            event.write_tail(&mut tail);
            let queue = if head.len() + tail.len() + ID_AND_TIME < AVERAGE_BYTES { &mut short } else { &mut long };
            queue.push(Pattern { name: event.name, head, tail });
        }
        let (mut short, mut long) = (short.into_iter(), long.into_iter());
        let mut patterns: Vec<Pattern> = Vec::with_capacity(PATTERNS);
        let mut bytes = 0;
        while patterns.len() < PATTERNS {
            // Long after short and short after long keep the average where it should be.
            let queue = if bytes > patterns.len() * AVERAGE_BYTES { &mut short } else { &mut long };
            let Some(pattern) = queue.next() else { break };
            bytes += pattern.head.len() + pattern.tail.len() + ID_AND_TIME;
            patterns.push(pattern);
        }
        Self { seed, patterns }
    }

    fn pattern(&self, number: u64) -> &Pattern {
        let index = number % self.patterns.len() as u64;
        &self.patterns[usize::try_from(index).unwrap_or(0)]
    }

    pub fn name(&self, number: u64) -> &'static str {
        self.pattern(number).name
    }

    pub fn id(&self, number: u64, at_ms: i64) -> Uuid {
        let high = mix(self.seed ^ mix(number ^ topic::LOAD_EVENT << 56));
        event_id(at_ms, high, mix(high))
    }

    /// Appends a request body. `stamps` tells when an event happened.
    pub fn write_body(&self, numbers: impl Iterator<Item = u64>, stamps: &Stamps, layout: Layout, out: &mut Vec<u8>) {
        let mut clock = Clock::default();
        let mut id = [0; 36];
        out.extend_from_slice(layout.opening());
        for (position, number) in numbers.enumerate() {
            if position > 0 {
                out.push(layout.separator());
            }
            let at_ms = stamps.of(number);
            let pattern = self.pattern(number);
            self.id(number, at_ms).hyphenated().encode_lower(&mut id);
            out.extend_from_slice(&pattern.head);
            out.extend_from_slice(&id);
            out.extend_from_slice(BETWEEN_ID_AND_TIME);
            out.extend_from_slice(clock.show(at_ms));
            out.extend_from_slice(&pattern.tail);
        }
        out.extend_from_slice(layout.closing());
    }
}

/// When each event happened: the batches' times, with the events of a batch spread over the second before.
#[derive(Debug)]
pub struct Stamps {
    batch: u64,
    batches: Vec<i64>,
}

impl Stamps {
    pub fn new(batch: usize) -> Self {
        Self { batch: batch.max(1) as u64, batches: Vec::new() }
    }

    /// Notes the time of the next batch.
    pub fn push(&mut self, at_ms: i64) {
        self.batches.push(at_ms);
    }

    pub fn of(&self, number: u64) -> i64 {
        let batch = usize::try_from(number / self.batch).unwrap_or(usize::MAX);
        let spread = i64::try_from(number % self.batch % 1_000).unwrap_or(0);
        self.batches.get(batch).map_or(0, |at_ms| at_ms - spread)
    }
}

/// Shows times; most share their second with the one before.
struct Clock {
    second: i64,
    text: [u8; 24],
}

impl Default for Clock {
    fn default() -> Self {
        Self { second: i64::MIN, text: [0; 24] }
    }
}

impl Clock {
    fn show(&mut self, at_ms: i64) -> &[u8; 24] {
        let (second, millisecond) = (at_ms.div_euclid(1_000), at_ms.rem_euclid(1_000));
        if second != self.second {
            self.second = second;
            self.text.copy_from_slice(rfc3339(second * 1_000).as_bytes());
        }
        for (place, unit) in [(20, 100), (21, 10), (22, 1)] {
            self.text[place] = b'0' + u8::try_from(millisecond / unit % 10).unwrap_or(0);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn body(mill: &Mill, numbers: impl Iterator<Item = u64>, stamps: &Stamps, layout: Layout) -> Vec<u8> {
        let mut out = Vec::new();
        mill.write_body(numbers, stamps, layout, &mut out);
        out
    }

    #[test]
    fn bodies_hold_distinct_events_of_450_bytes_that_are_the_same_when_cut_again() {
        let mill = Mill::new(1);
        let mut stamps = Stamps::new(500);
        for batch in 0..20 {
            stamps.push(1_790_000_000_000 + batch * 50);
        }
        let all = body(&mill, 0..10_000, &stamps, Layout::Ndjson);
        let lines: Vec<&str> = std::str::from_utf8(&all).expect("UTF-8").lines().collect();
        assert_eq!(lines.len(), 10_000);
        assert!((430..470).contains(&(all.len() / lines.len())), "{} bytes an event", all.len() / lines.len());
        let mut ids = HashSet::new();
        for (number, line) in (0..).zip(&lines) {
            let event: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
            let at_ms = stamps.of(number);
            assert_eq!(event["timestamp"], rfc3339(at_ms));
            assert_eq!(event["eventName"], mill.name(number));
            assert_eq!(event["eventId"], mill.id(number, at_ms).to_string());
            assert!(ids.insert(mill.id(number, at_ms)));
        }
        let recut = body(&mill, (700..1_200).rev(), &stamps, Layout::Json);
        let expected: Vec<_> = lines[700..1_200].iter().rev().copied().collect();
        assert_eq!(String::from_utf8_lossy(&recut), format!("{{\"events\":[{}]}}", expected.join(",")));
    }
}
