//! Which events were counted lately: the same event sent again is counted once.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

use crate::event::SealedEvent;

/// The latest events of an account that were counted, each by the account, its name, time and id, with the message that it came
/// with: what comes again in the same message is no repeat, but the work of a call that was cut off.
#[derive(Debug, Default)]
pub struct Seen {
    messages: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

/// Events that came with one message, as [`Seen`] knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub message: u64,
    pub events: Vec<u64>,
}

impl Seen {
    /// Events remembered. A call of `track-events` brings 2,000 at most, so a client that tries again within its ten latest
    /// requests changes nothing.
    pub const MOST: usize = 20_000;
    /// Milliseconds that they are remembered for.
    pub const MEMORY: i64 = 600_000;

    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether an event came before, with another message.
    #[must_use]
    pub fn is_repeat(&self, message: u64, event: u64) -> bool {
        self.messages.get(&event).is_some_and(|first| *first != message)
    }

    /// Remembers the events of a message. Those that came before stay with the message that they came with first.
    pub fn note(&mut self, noted: &Noted) {
        for event in &noted.events {
            if self.messages.contains_key(event) {
                continue;
            }
            if self.order.len() == Self::MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.messages.remove(&oldest);
            }
            self.messages.insert(*event, noted.message);
            self.order.push_back(*event);
        }
    }
}

impl Noted {
    /// As the table keeps them: numbers of eight bytes, the message's first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        std::iter::once(&self.message).chain(&self.events).flat_map(|number| number.to_le_bytes()).collect()
    }

    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks::<8>() else { return None };
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        Some(Self { message: numbers.next()?, events: numbers.collect() })
    }
}

/// An event's identity in its account.
#[must_use]
pub fn event_identity(event: &SealedEvent<'_>) -> u64 {
    let name_bytes = event.event_name.len().to_le_bytes();
    short([&name_bytes[..], event.event_name.as_bytes(), &event.timestamp.to_le_bytes(), event.event_id.as_bytes()])
}

/// A queue message's identity.
#[must_use]
pub fn message_identity(id: &str) -> u64 {
    short([id.as_bytes()])
}

fn short<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'e>(name: &'e str, timestamp: i64, id: &'e str) -> SealedEvent<'e> {
        SealedEvent {
            position: 0,
            timestamp,
            event_type: "".into(),
            event_name: name.into(),
            event_id: id.into(),
            session_id: "".into(),
            user_id: "".into(),
            properties: "{}".into(),
            own_context: None,
        }
    }

    #[test]
    fn an_event_is_known_by_its_name_time_and_id() {
        let one = event_identity(&event("ab", 1, "c"));
        assert_eq!(
            one,
            event_identity(&SealedEvent { properties: "{\"n\":1}".into(), position: 7, ..event("ab", 1, "c") })
        );
        for other in [event("a", 1, "bc"), event("ab", 2, "c"), event("ab", 1, "d")] {
            assert_ne!(one, event_identity(&other));
        }
    }

    #[test]
    fn what_comes_with_another_message_is_a_repeat() {
        let mut seen = Seen::default();
        seen.note(&Noted { message: 1, events: vec![10, 11] });
        assert!(seen.is_repeat(2, 10) && !seen.is_repeat(1, 10) && !seen.is_repeat(2, 12));
        seen.note(&Noted { message: 2, events: vec![10] });
        assert!(!seen.is_repeat(1, 10) && seen.is_repeat(2, 10), "the first message keeps it");
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut seen = Seen::default();
        seen.note(&Noted { message: 1, events: (0..30_000).collect() });
        assert_eq!((seen.len(), seen.messages.len()), (Seen::MOST, Seen::MOST));
        assert!(!seen.is_repeat(2, 9_999) && seen.is_repeat(2, 10_000));
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let noted = Noted { message: u64::MAX, events: vec![1, 2] };
        assert_eq!(Noted::from_bytes(&noted.to_bytes()), Some(noted));
        assert_eq!((Noted::from_bytes(&[]), Noted::from_bytes(&[0; 9])), (None, None));
    }
}
