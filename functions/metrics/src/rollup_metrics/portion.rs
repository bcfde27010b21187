//! How many buckets of an account are computed at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use analytics_domain::{account::AccountId, metric::Grain};

/// Buckets of a portion, at most.
const MOST: usize = 500;

/// Milliseconds that a portion should take. An account's share of a call holds several portions, and a portion that takes up to
/// eight times as long as expected still ends before it is cut off.
const AIM: i64 = 3_000;

/// A portion has at most this many times the buckets of the portion before it.
const GROWTH: usize = 4;

/// A portion that was cut off is retried with the number of its buckets divided by this.
const SHRINKING: usize = 4;

/// Sizes that a process remembers. When there are more, it forgets all.
const REMEMBERED: usize = 10_000;

/// Buckets that cost about the same each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortionKey {
    pub account_id: AccountId,
    pub grain: Grain,
    /// None if all series are computed; else the time at which the build of the series began that are computed, in epoch milliseconds.
    pub built_since: Option<i64>,
}

/// The sizes of the next portions. The cost of a bucket depends on its events and keys, on the account's metrics and on the load of
/// ClickHouse, so the time that a portion took decides the size of the next one. A process remembers the sizes from one call to the
/// next, so that it does not repeat a portion that was too large.
#[derive(Debug, Default)]
pub struct Portions {
    sizes: Mutex<BTreeMap<PortionKey, usize>>,
}

impl Portions {
    fn sizes(&self) -> MutexGuard<'_, BTreeMap<PortionKey, usize>> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() > REMEMBERED {
            sizes.clear();
        }
        sizes
    }

    /// Buckets of the next portion. Without a remembered size: the buckets of four days, 96 at most, halved for each failure. A
    /// statement has a cost of its own, however few its buckets are: smaller first portions made the rollups of four hundred
    /// events take half as long again.
    pub(crate) fn next(&self, key: &PortionKey, failures: u32) -> usize {
        let of_days = || usize::try_from(4 * Grain::Day.length() / key.grain.length()).unwrap_or(1).clamp(1, 96);
        self.sizes().get(key).copied().unwrap_or_else(|| (of_days() >> failures.min(8)).max(1))
    }

    /// Notes that a portion begins. Unless [`Portions::took`] follows, it was cut off, and the next one is smaller.
    pub(crate) fn begin(&self, key: &PortionKey, buckets: usize) {
        self.sizes().insert(key.clone(), (buckets / SHRINKING).max(1));
    }

    /// Notes how many milliseconds a portion took.
    pub(crate) fn took(&self, key: &PortionKey, buckets: usize, millis: i64) {
        let aimed = i64::try_from(buckets).unwrap_or(i64::MAX).saturating_mul(AIM) / millis.max(1);
        let most = buckets.saturating_mul(GROWTH).min(MOST);
        self.sizes().insert(key.clone(), usize::try_from(aimed).unwrap_or(MOST).min(most).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(grain: Grain) -> PortionKey {
        PortionKey { account_id: AccountId::stored("a"), grain, built_since: None }
    }

    /// Portions until all buckets are computed, where each bucket takes so many milliseconds.
    fn portions(grain: Grain, mut left: usize, millis: i64) -> Vec<usize> {
        let (portions, key) = (Portions::default(), key(grain));
        let mut all = Vec::new();
        while left > 0 {
            let buckets = portions.next(&key, 0).min(left);
            portions.begin(&key, buckets);
            portions.took(&key, buckets, i64::try_from(buckets).expect("is small") * millis);
            all.push(buckets);
            left -= buckets;
        }
        all
    }

    #[test]
    fn cheap_buckets_are_soon_computed_by_hundreds_and_dear_ones_a_few_at_once() {
        assert_eq!(portions(Grain::Minute, 2_000, 1), [96, 384, 500, 500, 500, 20]);
        // As an hour of a month with ten million events: no portion takes the 25 seconds in which its statements may begin.
        let dear = portions(Grain::Hour, 722, 200);
        assert_eq!(dear[..3], [96, 15, 15]);
        assert_eq!(portions(Grain::Day, 6, 4_000), [4, 1, 1]);
        assert_eq!(portions(Grain::Day, 30, 100), [4, 16, 10]);
    }

    #[test]
    fn what_was_cut_off_is_tried_with_fewer_buckets_until_it_fits_and_stays_so() {
        let (portions, hours) = (Portions::default(), key(Grain::Hour));
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
        assert_eq!(tried, [96, 24, 6, 1, 1, 1]);
        assert_eq!(portions.next(&key(Grain::Minute), 0), 96, "other buckets have their own");
    }

    #[test]
    fn after_failures_of_which_nothing_is_remembered_the_first_portion_is_smaller() {
        let portions = Portions::default();
        assert_eq!(portions.next(&key(Grain::Minute), 3), 12);
        assert_eq!(portions.next(&key(Grain::Hour), 70), 1);
    }

    #[test]
    fn load_makes_portions_smaller_at_once() {
        let (portions, minutes) = (Portions::default(), key(Grain::Minute));
        portions.took(&minutes, 500, 30_000);
        assert_eq!(portions.next(&minutes, 0), 50);
        portions.took(&minutes, 50, 0);
        assert_eq!(portions.next(&minutes, 0), 200);
    }
}
