//! What the API has said about every event sent: the books a test compares with what can be read back.

use std::collections::BTreeMap;
use std::io::Write;

use crate::client::Delivery;

/// What is known about one event, from least to most telling: a later word only ever replaces a weaker one, so
/// that sending an event again never counts it twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// No request with it has been answered yet.
    #[default]
    Open,
    /// Every answer refused the request as a whole.
    Refused,
    /// Some try got no clear answer, so it may have been taken or not.
    Unclear,
    Rejected,
    Accepted,
}

/// The fate of each distinct event, by its number in the order of sending.
#[derive(Debug, Default)]
pub struct Ledger {
    fates: Vec<Fate>,
}

/// Distinct events by name.
pub type Counts = BTreeMap<&'static str, u64>;

impl Ledger {
    /// Enters how the delivery of a batch ended; `numbers` are its events, in the order of the body.
    pub fn enter(&mut self, numbers: impl Iterator<Item = u64>, delivery: &Delivery) {
        let whole = match &delivery.outcome {
            Ok(_) => Fate::Accepted,
            Err(_) if delivery.maybe_taken => Fate::Unclear,
            Err(_) => Fate::Refused,
        };
        let mut fates: Vec<_> = numbers.map(|number| (number, whole)).collect();
        if let Ok(verdict) = &delivery.outcome {
            for rejection in &verdict.rejections {
                if let Some((_, fate)) = fates.get_mut(rejection.index) {
                    *fate = Fate::Rejected;
                }
            }
        }
        for (number, fate) in fates {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            if index >= self.fates.len() {
                self.fates.resize(index + 1, Fate::Open);
            }
            self.fates[index] = self.fates[index].max(fate);
        }
    }

    /// The numbers of the distinct events with this fate.
    pub fn with_fate(&self, fate: Fate) -> impl Iterator<Item = u64> {
        (0..).zip(&self.fates).filter(move |(_, entry)| **entry == fate).map(|(number, _)| number)
    }

    /// How many distinct events have this fate, by name.
    pub fn counts(&self, fate: Fate, name_of: impl Fn(u64) -> &'static str) -> Counts {
        let mut counts = Counts::new();
        for number in self.with_fate(fate) {
            *counts.entry(name_of(number)).or_default() += 1;
        }
        counts
    }
}

/// One line of a ledger file: an accepted event.
pub fn write_line(out: &mut impl Write, name: &str, at_ms: i64, id: &str) -> std::io::Result<()> {
    writeln!(out, r#"{{"eventName":"{name}","timestamp":{at_ms},"eventId":"{id}"}}"#)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answer::{Failure, Rejection, Verdict};

    fn answered(rejected: &[usize]) -> Delivery {
        let rejection = |index: &usize| Rejection {
            index: *index,
            code: String::new(),
            pointer: String::new(),
            detail: String::new(),
        };
        let verdict = Verdict { rejections: rejected.iter().map(rejection).collect() };
        Delivery { outcome: Ok(verdict), failed_tries: Vec::new(), maybe_taken: false, latency: Duration::ZERO }
    }

    fn failed(maybe_taken: bool) -> Delivery {
        let failure = Failure::unanswered("connection", String::new());
        Delivery { outcome: Err(failure), failed_tries: Vec::new(), maybe_taken, latency: Duration::ZERO }
    }

    #[test]
    fn events_sent_again_count_once_and_doubt_gives_way_to_knowledge() {
        let mut ledger = Ledger::default();
        ledger.enter(0..4, &failed(true));
        ledger.enter([3, 2].into_iter(), &answered(&[1]));
        ledger.enter([3, 2].into_iter(), &failed(true));
        ledger.enter(3..6, &answered(&[]));
        ledger.enter(6..8, &failed(false));
        let of = |fate| ledger.with_fate(fate).collect::<Vec<_>>();
        assert_eq!(of(Fate::Accepted), [3, 4, 5]);
        assert_eq!(of(Fate::Rejected), [2]);
        assert_eq!(of(Fate::Unclear), [0, 1]);
        assert_eq!(of(Fate::Refused), [6, 7]);
        let counts = ledger.counts(Fate::Accepted, |number| if number == 4 { "b" } else { "a" });
        assert_eq!(counts, Counts::from([("a", 2), ("b", 1)]));
    }
}
