//! Which events go into which request: new ones in order, and a share of them again.

use std::collections::VecDeque;
use std::ops::Range;

/// A batch sent again "later" comes this many new batches after its first time.
const LATER: u64 = 20;

/// Why a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    New,
    /// The same batch again at once, maybe while the first is still under way.
    SameBatch,
    /// Half of one batch and half of the next, in reverse order: same events, other bodies.
    Recut,
    /// The same batch again, twenty batches later or at the end.
    Later,
}

/// One request: a run of event numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub reason: Reason,
    pub events: Range<u64>,
}

impl Slice {
    /// The event numbers in the order of the body.
    pub fn numbers(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self.reason {
            Reason::Recut => Box::new(self.events.clone().rev()),
            _ => Box::new(self.events.clone()),
        }
    }

    pub fn size(&self) -> usize {
        usize::try_from(self.events.end - self.events.start).unwrap_or(0)
    }
}

/// Yields slices in the order of sending. Only what was handed out before is ever handed out again.
#[derive(Debug)]
pub struct Plan {
    batch: u64,
    total: Option<u64>,
    share: f64,
    next_event: u64,
    resends: u64,
    ready: VecDeque<Slice>,
    later: VecDeque<(u64, Slice)>,
}

impl Plan {
    /// Batches of `batch` events up to `total` events, if there is a total; `share` of the batches are sent again.
    pub fn new(batch: usize, total: Option<u64>, share: f64) -> Self {
        let batch = batch.max(1) as u64;
        Self { batch, total, share, next_event: 0, resends: 0, ready: VecDeque::new(), later: VecDeque::new() }
    }

    /// The first event of the next new batch, or nothing when all have been handed out.
    pub fn next_new(&self) -> Option<u64> {
        self.total.is_none_or(|total| self.next_event < total).then_some(self.next_event)
    }

    /// The next request; with `closed`, only what is still to be sent again.
    pub fn next(&mut self, closed: bool) -> Option<Slice> {
        let batches = self.next_event / self.batch;
        if let Some(slice) = self.ready.pop_front() {
            return Some(slice);
        }
        let done = closed || self.next_new().is_none();
        if done || self.later.front().is_some_and(|(due, _)| *due <= batches) {
            return self
                .later
                .pop_front()
                .map(|(_, slice)| slice)
                .or_else(|| if done { None } else { self.new_batch() });
        }
        self.new_batch()
    }

    fn new_batch(&mut self) -> Option<Slice> {
        let start = self.next_new()?;
        let end = (start + self.batch).min(self.total.unwrap_or(u64::MAX));
        self.next_event = end;
        self.plan_resends(start..end);
        Some(Slice { reason: Reason::New, events: start..end })
    }

    fn plan_resends(&mut self, events: Range<u64>) {
        let number = events.start / self.batch;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 batches")]
        let wanted = (number + 1) as f64 * self.share + 1e-9;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 batches")]
        while self.resends as f64 + 1.0 <= wanted {
            let half = self.batch / 2;
            match self.resends % 3 {
                0 => self.ready.push_back(Slice { reason: Reason::SameBatch, events: events.clone() }),
                1 if number > 0 && half > 0 => {
                    let start = events.start - half;
                    let events = start..(start + self.batch).min(events.end);
                    self.ready.push_back(Slice { reason: Reason::Recut, events });
                }
                _ => {
                    let slice = Slice { reason: Reason::Later, events: events.clone() };
                    self.later.push_back((number + LATER, slice));
                }
            }
            self.resends += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(mut plan: Plan) -> Vec<Slice> {
        std::iter::from_fn(|| plan.next(false)).collect()
    }

    #[test]
    fn a_fifth_is_sent_again_in_three_ways_and_never_before_its_first_time() {
        let slices = slices(Plan::new(500, Some(100_000), 0.2));
        let mut handed_out = 0;
        let mut resent = 0;
        for slice in &slices {
            if slice.reason == Reason::New {
                assert_eq!(slice.events.start, handed_out);
                handed_out = slice.events.end;
            } else {
                assert!(slice.events.end <= handed_out);
                resent += slice.size();
            }
        }
        assert_eq!((handed_out, resent), (100_000, 20_000));
        for reason in [Reason::SameBatch, Reason::Recut, Reason::Later] {
            let count = slices.iter().filter(|slice| slice.reason == reason).count();
            assert!((13..=14).contains(&count), "{reason:?}: {count}");
        }
    }

    #[test]
    fn recut_batch_spans_two_batches_backwards() {
        let recut = slices(Plan::new(4, Some(40), 0.5)).into_iter().find(|slice| slice.reason == Reason::Recut);
        let numbers: Vec<_> = recut.expect("a re-cut batch").numbers().collect();
        assert_eq!(numbers, [13, 12, 11, 10]);
    }

    #[test]
    fn odd_totals_shares_above_one_and_batches_of_one_lose_nothing() {
        for (batch, total, share) in [(7, 100, 2.5), (1, 10, 1.0), (500, 3, 0.0), (10, 10, 0.1)] {
            let slices = slices(Plan::new(batch, Some(total), share));
            let new: usize = slices.iter().filter(|slice| slice.reason == Reason::New).map(Slice::size).sum();
            assert_eq!(new as u64, total);
            assert!(slices.iter().all(|slice| slice.size() > 0 && slice.size() <= batch));
        }
    }

    #[test]
    fn closing_stops_new_batches_but_not_what_is_owed() {
        let mut plan = Plan::new(10, None, 1.0);
        let open: Vec<_> = std::iter::from_fn(|| plan.next(false)).take(9).collect();
        let rest: Vec<_> = std::iter::from_fn(|| plan.next(true)).collect();
        let count = |new| open.iter().chain(&rest).filter(|slice| (slice.reason == Reason::New) == new).count();
        assert!(rest.iter().all(|slice| slice.reason != Reason::New));
        assert_eq!(count(true), count(false));
    }
}
