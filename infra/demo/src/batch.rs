//! Cuts a stream of events into request bodies that keep the API's limits.

use crate::client::Layout;
use crate::event::Event;

/// The API's limits: events a batch, and bytes a body.
pub const MAX_EVENTS: usize = 2_000;
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// What makes an event the same event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub name: &'static str,
    pub at_ms: i64,
    pub id: String,
}

/// One request body, and whose events are in it, in order.
pub struct Batch {
    pub body: Vec<u8>,
    pub events: Vec<Identity>,
}

/// Iterator over the batches of an iterator of events.
pub struct Batches<I: Iterator<Item = Event>> {
    events: I,
    size: usize,
    /// The event that no longer fitted into the batch before.
    held_back: Option<(Identity, Vec<u8>)>,
}

impl<I: Iterator<Item = Event>> Batches<I> {
    /// Batches of at most `size` events.
    pub fn new(events: I, size: usize) -> Self {
        Self { events, size: size.clamp(1, MAX_EVENTS), held_back: None }
    }

    fn next_event(&mut self) -> Option<(Identity, Vec<u8>)> {
        self.held_back.take().or_else(|| {
            let event = self.events.next()?;
            let mut bytes = Vec::with_capacity(640);
            event.write_json(&mut bytes);
            Some((Identity { name: event.name, at_ms: event.at_ms, id: event.id }, bytes))
        })
    }
}

impl<I: Iterator<Item = Event>> Iterator for Batches<I> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let layout = Layout::Json;
        let mut batch = Batch { body: layout.opening().to_vec(), events: Vec::with_capacity(self.size) };
        while batch.events.len() < self.size {
            let Some((identity, bytes)) = self.next_event() else {
                break;
            };
            let full = batch.body.len() + 1 + bytes.len() + layout.closing().len() > MAX_BODY;
            if full && !batch.events.is_empty() {
                self.held_back = Some((identity, bytes));
                break;
            }
            if !batch.events.is_empty() {
                batch.body.push(layout.separator());
            }
            batch.body.extend_from_slice(&bytes);
            batch.events.push(identity);
        }
        batch.body.extend_from_slice(layout.closing());
        (!batch.events.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn events(count: i64, text: &str) -> Vec<Event> {
        let mut rng = Rng::keyed(&[1]);
        (0..count).map(|at| Event::new("message_sent", at, &mut rng).with("text", text)).collect()
    }

    #[test]
    fn batches_keep_both_limits_and_lose_nothing() {
        let large = "广告".repeat(5_000);
        for (size, text, expected) in [(500, "x", vec![500, 500, 3]), (9_999, large.as_str(), vec![139; 7])] {
            let given = events(1_003, text);
            let batches: Vec<_> = Batches::new(given.iter().cloned(), size).collect();
            let sizes: Vec<_> = batches.iter().map(|batch| batch.events.len()).collect();
            assert_eq!(sizes[0], expected[0]);
            let mut seen = Vec::new();
            for batch in batches {
                assert!(batch.body.len() <= MAX_BODY && batch.events.len() <= MAX_EVENTS);
                let json: serde_json::Value = serde_json::from_slice(&batch.body).expect("valid JSON");
                assert_eq!(json["events"].as_array().map(Vec::len), Some(batch.events.len()));
                assert_eq!(json["events"][0]["eventId"], batch.events[0].id.as_str());
                seen.extend(batch.events.into_iter().map(|identity| identity.id));
            }
            assert!(seen.iter().eq(given.iter().map(|event| &event.id)));
        }
        assert!(Batches::new(std::iter::empty(), 5).next().is_none());
    }
}
