//! How many buckets are computed in one go.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use analytics_domain::metric::Grain;

/// Buckets of a portion, at most.
const MOST: usize = 500;

/// Milliseconds that a portion should take. Several fit into an account's share of a call, and one that takes much longer than
/// those before still ends in time.
const AIM: i64 = 3_000;

/// A portion has so many times the buckets of the one before, at most.
const GROWTH: usize = 4;

/// What was cut off is tried again with so many times fewer buckets.
const SHRINKING: usize = 4;

/// Sizes that are remembered; then the memory starts anew.
const REMEMBERED: usize = 10_000;

/// Buckets of an account that are computed alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alike {
    pub account_id: String,
    pub grain: Grain,
    /// Of all series, or of those that are being built since then.
    pub built_since: Option<i64>,
}

/// The sizes of the next portions. What a bucket costs depends on the events and keys in it, on the account's metrics and on the
/// load of ClickHouse, so the time that portions take decides. They are remembered from one call to the next: what was too much
/// is not tried again each time.
#[derive(Debug, Default)]
pub struct Portions {
    sizes: Mutex<BTreeMap<Alike, usize>>,
}

impl Portions {
    fn sizes(&self) -> MutexGuard<'_, BTreeMap<Alike, usize>> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() > REMEMBERED {
            sizes.clear();
        }
        sizes
    }

    /// Buckets of the next portion. Where nothing is remembered, those of a day at most, and fewer where computing has failed.
    pub(crate) fn next(&self, of: &Alike, failures: u32) -> usize {
        let of_a_day = || usize::try_from(Grain::Day.length() / of.grain.length()).unwrap_or(1).clamp(1, 32);
        self.sizes().get(of).copied().unwrap_or_else(|| (of_a_day() >> failures.min(8)).max(1))
    }

    /// So many buckets are begun. Unless [`Portions::took`] follows, they were cut off.
    pub(crate) fn begin(&self, of: &Alike, buckets: usize) {
        self.sizes().insert(of.clone(), (buckets / SHRINKING).max(1));
    }

    /// So many buckets have taken so many milliseconds.
    pub(crate) fn took(&self, of: &Alike, buckets: usize, millis: i64) {
        let aimed = i64::try_from(buckets).unwrap_or(i64::MAX).saturating_mul(AIM) / millis.max(1);
        let most = buckets.saturating_mul(GROWTH).min(MOST);
        self.sizes().insert(of.clone(), usize::try_from(aimed).unwrap_or(MOST).min(most).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grain: Grain) -> Alike {
        Alike { account_id: "a".to_owned(), grain, built_since: None }
    }

    /// Portions until all buckets are computed, where each bucket takes so many milliseconds.
    fn portions(grain: Grain, mut left: usize, millis: i64) -> Vec<usize> {
        let (portions, of) = (Portions::default(), of(grain));
        let mut all = Vec::new();
        while left > 0 {
            let buckets = portions.next(&of, 0).min(left);
            portions.begin(&of, buckets);
            portions.took(&of, buckets, i64::try_from(buckets).expect("is small") * millis);
            all.push(buckets);
            left -= buckets;
        }
        all
    }

    #[test]
    fn cheap_buckets_are_soon_computed_by_hundreds_and_dear_ones_a_few_at_once() {
        assert_eq!(portions(Grain::Minute, 2_000, 1), [32, 128, 500, 500, 500, 340]);
        // As an hour of a month with ten million events: no portion takes the 25 seconds in which its statements may begin.
        let dear = portions(Grain::Hour, 722, 200);
        assert_eq!(dear[..3], [24, 15, 15]);
        assert_eq!(portions(Grain::Day, 4, 4_000), [1, 1, 1, 1]);
        assert_eq!(portions(Grain::Day, 30, 100), [1, 4, 16, 9]);
    }

    #[test]
    fn what_was_cut_off_is_tried_with_fewer_buckets_until_it_fits_and_stays_so() {
        let (portions, hours) = (Portions::default(), of(Grain::Hour));
        // An hour takes 8 seconds; a call is cut off after 25.
        let mut tried = Vec::new();
        for _ in 0..6 {
            let buckets = portions.next(&hours, 0);
            portions.begin(&hours, buckets);
            if buckets <= 3 {
                portions.took(&hours, buckets, i64::try_from(buckets).expect("is small") * 8_000);
            }
            tried.push(buckets);
        }
        assert_eq!(tried, [24, 6, 1, 1, 1, 1]);
        assert_eq!(portions.next(&of(Grain::Minute), 0), 32, "other buckets have their own");
    }

    #[test]
    fn after_failures_of_which_nothing_is_remembered_the_first_portion_is_smaller() {
        let portions = Portions::default();
        assert_eq!(portions.next(&of(Grain::Minute), 3), 4);
        assert_eq!(portions.next(&of(Grain::Hour), 70), 1);
    }

    #[test]
    fn load_makes_portions_smaller_at_once() {
        let (portions, minutes) = (Portions::default(), of(Grain::Minute));
        portions.took(&minutes, 500, 30_000);
        assert_eq!(portions.next(&minutes, 0), 50);
        portions.took(&minutes, 50, 0);
        assert_eq!(portions.next(&minutes, 0), 200);
    }
}
