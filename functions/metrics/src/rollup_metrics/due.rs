//! Which stale buckets are to be computed now, and when the others are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use analytics_domain::metric::{Grain, Kept};
use analytics_warehouse::metric::{Bucket, Noted};

/// Where events come late all the time, a bucket is waited for so many times as long.
const MOST_DELAYS: i64 = 6;

/// When buckets are computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Time from a bucket's end, and without anything new in it, until it is computed: most of its events have come by then.
    pub delay: i64,
    /// Time from a minute's computing until it is computed again.
    pub rest: i64,
}

impl Pace {
    pub(crate) fn new(delay: Duration, rest: Duration) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(0);
        Self { delay: millis(delay), rest: millis(rest) }
    }

    const fn rest_of(self, grain: Grain) -> i64 {
        match grain {
            Grain::Tick | Grain::Minute | Grain::Quarter => self.rest,
            Grain::Hour => 3 * self.rest,
            Grain::Day => 30 * self.rest,
        }
    }

    /// When a bucket can be computed: it has ended, nothing new has come for a moment, and it was not computed just before.
    ///
    /// Events take the longer to be stored the more there is to do; what is computed too early is of no use until it is
    /// computed again. Where late events come all the time, a bucket takes in many of them at once.
    fn ready_at(self, grain: Grain, bucket: &Bucket) -> i64 {
        let ended = bucket.start + grain.length();
        let quiet = (bucket.changed_at + self.delay).min(ended + MOST_DELAYS * self.delay);
        // A mark may be dated a moment ahead: computed before it, the bucket would count as stale again.
        let marked = bucket.changed_at + 1;
        (ended + self.delay).max(quiet).max(marked).max(bucket.computed_at + self.rest_of(grain))
    }
}

/// An account's stale buckets at one moment. Times are ClickHouse's.
pub(crate) struct Agenda {
    /// Those to compute now, shortest first: recent answers gain most. Each list is made of the same: see [`Kept::made_of`].
    pub due: Vec<(Grain, Vec<i64>)>,
    /// When the next of the others can be computed; none if there is nothing to wait for.
    pub next: Option<i64>,
    /// No stale bucket was marked before.
    pub since: i64,
    /// Whether there may be more stale buckets.
    pub is_cut: bool,
}

/// Changes of so many milliseconds may become visible after later ones.
const IN_FLIGHT: i64 = 60_000;

impl Agenda {
    pub(crate) fn new(stale: &[Noted], now: i64, pace: Pace) -> Self {
        let kept = Kept::at(now);
        let minutes: BTreeSet<i64> = starts(stale, Grain::Minute).collect();
        // A tick of a minute that is computed is of no use.
        let is_used = |grain: Grain, start: i64| {
            grain != Grain::Tick || (start >= kept.since(grain, 0) && minutes.contains(&Grain::Minute.floor(start)))
        };
        let mut lacking: BTreeSet<(Grain, i64)> = BTreeSet::new();
        let mut due: BTreeMap<(Grain, bool), Vec<i64>> = BTreeMap::new();
        let (mut next, mut since): (Option<i64>, i64) = (None, now - IN_FLIGHT);
        let mut sorted: Vec<&Noted> = stale.iter().collect();
        sorted.sort_by_key(|noted| noted.grain);
        for Noted { grain, buckets, .. } in sorted {
            let grain = *grain;
            for bucket in buckets.iter().filter(|bucket| is_used(grain, bucket.start)) {
                since = since.min(bucket.changed_at);
                let ready_at = pace.ready_at(grain, bucket);
                let is_whole = kept.made_of(grain, bucket.start).is_none() || !lacking.contains(&(grain, bucket.start));
                if ready_at > now {
                    next = Some(next.map_or(ready_at, |next| next.min(ready_at)));
                } else if is_whole {
                    // The recent ones are made of something else than the old ones.
                    let is_old = bucket.start < kept.since(Grain::Minute, 0);
                    due.entry((grain, is_old)).or_default().push(bucket.start);
                }
            }
            for longer in grain.longer() {
                lacking.extend(buckets.iter().map(|bucket| (longer, longer.floor(bucket.start))));
            }
        }
        Self {
            due: due.into_iter().map(|((grain, _), starts)| (grain, starts)).collect(),
            next,
            since,
            is_cut: stale.iter().any(Noted::is_cut),
        }
    }

    /// The ticks that are due, which are worth computing only where many events come.
    pub(crate) fn ticks(&self) -> Option<&[i64]> {
        self.due.first().filter(|(grain, _)| *grain == Grain::Tick).map(|(_, starts)| starts.as_slice())
    }

    pub(crate) fn without_ticks(&mut self) {
        self.due.retain(|(grain, _)| *grain != Grain::Tick);
    }
}

fn starts(stale: &[Noted], wanted: Grain) -> impl Iterator<Item = i64> {
    let of_grain = stale.iter().filter(move |noted| noted.grain == wanted);
    of_grain.flat_map(|noted| noted.buckets.iter().map(|bucket| bucket.start))
}

#[cfg(test)]
mod tests {
    use analytics_domain::account::AccountId;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const PACE: Pace = Pace { delay: 1_500, rest: 10_000 };
    const NOON: i64 = 1_795_521_600_000;
    const MINUTE: i64 = 60_000;

    fn noted(grain: Grain, buckets: &[(i64, i64, i64)]) -> Noted {
        let bucket = |(start, changed_at, computed_at): &(i64, i64, i64)| Bucket {
            start: *start,
            changed_at: *changed_at,
            computed_at: *computed_at,
        };
        Noted { account_id: AccountId::stored("a"), grain, buckets: buckets.iter().map(bucket).collect() }
    }

    #[test]
    fn a_bucket_is_computed_once_its_events_have_come() {
        let is_ready = |ended: i64, changed: i64| {
            let bucket = Bucket { start: 0, changed_at: 10_000 + changed, computed_at: 0 };
            PACE.ready_at(Grain::Tick, &bucket) <= 10_000 + ended
        };
        assert!(is_ready(1_500, -3_000) && is_ready(3_000, 1_500), "it was quiet for long enough");
        assert!(!is_ready(1_499, -3_000), "it has hardly ended");
        assert!(!is_ready(4_000, 3_000), "some came just before");
        assert!(is_ready(9_001, 9_000), "some come all the time");
        assert!(!is_ready(9_001, 9_500), "the mark is dated ahead");
    }

    #[test]
    fn the_running_minute_hour_and_day_wait_for_their_ends() {
        let changed = NOON + 10_000;
        let stale: Vec<Noted> = Grain::changed_by(NOON, NOON)
            .iter()
            .map(|grain| noted(*grain, &[(grain.floor(NOON), changed, 0)]))
            .collect();
        let agenda = Agenda::new(&stale, NOON + 13_000, PACE);
        assert_eq!((agenda.due.as_slice(), agenda.next), ([(Grain::Tick, vec![NOON])].as_slice(), Some(NOON + 61_500)));
        let agenda = Agenda::new(&stale, NOON + 61_500, PACE);
        assert_eq!(agenda.due.last(), Some(&(Grain::Minute, vec![NOON])));
        // What an account that sends no more is looked at for: the ends of its quarter, its hour and its day.
        let mut stale: Vec<Noted> = stale.into_iter().filter(|noted| noted.grain > Grain::Minute).collect();
        for (minutes, grain) in [(15, Grain::Quarter), (60, Grain::Hour), (720, Grain::Day)] {
            let end = NOON + minutes * MINUTE + PACE.delay;
            assert_eq!(Agenda::new(&stale, end - 1, PACE).next, Some(end));
            let agenda = Agenda::new(&stale, end, PACE);
            assert_eq!(agenda.due, [(grain, vec![grain.floor(NOON)])], "the longer ones lack the shorter");
            assert_eq!(agenda.since, changed);
            stale.retain(|noted| noted.grain != grain);
        }
        let agenda = Agenda::new(&stale, NOON, PACE);
        assert_eq!((agenda.due.len(), agenda.next), (0, None));
    }

    #[test]
    fn ticks_of_a_minute_that_is_computed_are_nothing_to_wait_for() {
        let stale = [noted(Grain::Tick, &[(NOON, NOON + 5_000, 0)])];
        let agenda = Agenda::new(&stale, NOON + 30_000, PACE);
        assert_eq!((agenda.due.len(), agenda.next), (0, None));
    }

    #[test]
    fn old_and_recent_buckets_are_computed_apart() {
        let old = Grain::Hour.floor(NOON - 30 * 1_440 * MINUTE);
        let recent = NOON - 120 * MINUTE;
        let stale = [noted(Grain::Hour, &[(old, NOON - 60_000, 0), (recent, NOON - 60_000, 0)])];
        let agenda = Agenda::new(&stale, NOON, PACE);
        assert_eq!(agenda.due, [(Grain::Hour, vec![recent]), (Grain::Hour, vec![old])]);
    }

    /// Buckets as the ledger has them.
    #[derive(Debug, Default)]
    struct Ledger(BTreeMap<(Grain, i64), Bucket>);

    impl Ledger {
        fn mark(&mut self, grain: Grain, start: i64, changed_at: i64) {
            let bucket = self.0.entry((grain, start)).or_insert(Bucket { start, changed_at: 0, computed_at: 0 });
            bucket.changed_at = bucket.changed_at.max(changed_at);
        }

        fn stale(&self) -> Vec<Noted> {
            let mut stale: BTreeMap<Grain, Vec<Bucket>> = BTreeMap::new();
            for ((grain, _), bucket) in self.0.iter().filter(|(_, bucket)| bucket.is_stale()) {
                stale.entry(*grain).or_default().push(*bucket);
            }
            let account_id = AccountId::stored("a");
            stale.into_iter().map(|(grain, buckets)| Noted { account_id: account_id.clone(), grain, buckets }).collect()
        }

        fn compute(&mut self, grain: Grain, start: i64, now: i64) {
            let bucket = self.0.get_mut(&(grain, start)).expect("only what is noted is computed");
            assert!(bucket.is_stale(), "{grain:?} {start} is computed, and has not changed");
            assert!(start + grain.length() <= now, "{grain:?} {start} is computed before it ends");
            bucket.computed_at = now;
            for longer in grain.longer() {
                self.mark(longer, longer.floor(start), now);
            }
        }

        fn is_stale(&self, grain: Grain, within: (Grain, i64)) -> bool {
            let (longer, from) = within;
            let shorter = self.0.range((grain, from)..(grain, from + longer.length()));
            shorter.into_iter().any(|(_, bucket)| bucket.is_stale())
        }
    }

    proptest! {
        #[test]
        fn longer_buckets_wait_for_their_parts_and_no_bucket_stays_stale(
            events in vec((0..6 * 1_440 * MINUTE, 0..3 * 60 * MINUTE), 1..30),
        ) {
            // The age of each event, and how late it arrives.
            let mut ledger = Ledger::default();
            for (age, late) in events {
                let (time, come) = (NOON - age, (NOON - age + late).min(NOON));
                for grain in Grain::changed_by(time, come) {
                    ledger.mark(*grain, grain.floor(time), come);
                }
            }
            let (mut now, mut looks) = (NOON, 0);
            loop {
                looks += 1;
                prop_assert!(looks < 500, "there is no end: {ledger:?}");
                let agenda = Agenda::new(&ledger.stale(), now, PACE);
                let kept = Kept::at(now);
                for (grain, starts) in &agenda.due {
                    for start in starts {
                        if let Some(shorter) = kept.made_of(*grain, *start) {
                            prop_assert!(!ledger.is_stale(shorter, (*grain, *start)), "{grain:?} {start} lacks a part");
                        }
                        ledger.compute(*grain, *start, now);
                    }
                }
                match agenda.next {
                    _ if !agenda.due.is_empty() => now += 1,
                    Some(next) => {
                        prop_assert!(next > now, "what is ready is due");
                        now = next;
                    }
                    None => break,
                }
            }
            // Ticks within a computed minute are not needed, and stay stale.
            let left = ledger.stale().into_iter().find(|noted| noted.grain != Grain::Tick);
            prop_assert!(left.is_none(), "{left:?} is never computed");
        }
    }
}
