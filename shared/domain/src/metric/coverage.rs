//! Which part of a time range is answered from which rollups, and which from the events themselves.

use std::collections::BTreeSet;

use super::buckets::Range;
use crate::time::EpochMillis;

/// The length of a stored bucket. Each starts at a multiple of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// Ten seconds: what has just come of accounts that send much.
    Tick,
    Minute,
    /// Every time zone since 1972 keeps to quarters of an hour.
    Quarter,
    Hour,
    /// Of UTC.
    Day,
}

impl Grain {
    /// Longest first.
    pub const ALL: [Self; 5] = [Self::Day, Self::Hour, Self::Quarter, Self::Minute, Self::Tick];

    /// The lengths of the buckets that an event of this time changes, at that time: those that are computed from events, and
    /// the longer ones that live as long as events do. So what is lacking stays known if the short ones are forgotten before
    /// anybody has computed them. Each is noted for longer than [`Kept`] says, so that clocks may differ.
    #[must_use]
    pub const fn changed_by(timestamp: EpochMillis, now: EpochMillis) -> &'static [Self] {
        if timestamp >= now - TICKS_NOTED {
            &[Self::Tick, Self::Minute, Self::Quarter, Self::Hour, Self::Day]
        } else if timestamp >= Kept::at(now).short_since - Self::Day.length() {
            &[Self::Minute, Self::Quarter, Self::Hour, Self::Day]
        } else {
            &[Self::Quarter, Self::Hour, Self::Day]
        }
    }

    /// The lengths that are computed from this one.
    pub fn longer(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |grain| self != Self::Tick && *grain > self)
    }

    /// Milliseconds.
    #[must_use]
    pub const fn length(self) -> i64 {
        self.seconds() as i64 * 1_000
    }

    /// What the tables call it.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Tick => 10,
            Self::Minute => 60,
            Self::Quarter => 900,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    #[must_use]
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|grain| grain.seconds() == seconds)
    }

    /// Where the bucket of a moment starts.
    #[must_use]
    pub const fn floor(self, moment: EpochMillis) -> EpochMillis {
        moment.div_euclid(self.length()) * self.length()
    }

    const fn ceil(self, moment: EpochMillis) -> EpochMillis {
        self.floor(moment.saturating_add(self.length() - 1))
    }
}

/// Short buckets are kept for the running day and as many before it.
const SHORT_DAYS: i64 = 3;
/// Ticks answer for this many milliseconds.
const TICKS_KEPT: i64 = 1_200_000;
/// Events change the ticks of this many milliseconds.
const TICKS_NOTED: i64 = 3_600_000;

/// Since when buckets are kept, by their length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Minutes, and of splits quarters too. Events of older days change longer buckets directly.
    short_since: EpochMillis,
    ticks_since: EpochMillis,
}

impl Kept {
    #[must_use]
    pub const fn at(now: EpochMillis) -> Self {
        let short_since = Grain::Day.floor(now) - SHORT_DAYS * Grain::Day.length();
        Self { short_since, ticks_since: now - TICKS_KEPT }
    }

    /// Since when buckets of this length are kept of a split by so many dimensions. Split, short buckets would hold about as
    /// many keys as events.
    #[must_use]
    pub const fn since(&self, grain: Grain, dimensions: usize) -> EpochMillis {
        match grain {
            Grain::Day | Grain::Hour => EpochMillis::MIN,
            Grain::Quarter if dimensions == 0 => EpochMillis::MIN,
            Grain::Quarter | Grain::Minute => self.short_since,
            Grain::Tick => self.ticks_since,
        }
    }

    /// Whether a bucket of this length that starts then is made up of shorter ones, and of which: none if it is computed
    /// from the events.
    #[must_use]
    pub fn made_of(&self, grain: Grain, start: EpochMillis) -> Option<Grain> {
        match grain {
            Grain::Tick | Grain::Minute => None,
            Grain::Quarter if start < self.short_since => None,
            Grain::Quarter => Some(Grain::Minute),
            Grain::Hour if start < self.short_since => None,
            Grain::Hour => Some(Grain::Quarter),
            Grain::Day => Some(Grain::Hour),
        }
    }
}

/// What is known of an account's rollups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    stale: BTreeSet<(Grain, EpochMillis)>,
    kept: Kept,
}

impl Freshness {
    /// From the buckets that have changed since they were computed. What is made of such a bucket lacks the same.
    #[must_use]
    pub fn new(changed: impl IntoIterator<Item = (Grain, EpochMillis)>, kept: Kept) -> Self {
        let with_longer = |(grain, start): (Grain, EpochMillis)| {
            grain.longer().map(move |longer| (longer, longer.floor(start))).chain([(grain, start)])
        };
        Self { stale: changed.into_iter().flat_map(with_longer).collect(), kept }
    }

    /// Whether a bucket lacks something.
    #[must_use]
    pub fn is_stale(&self, grain: Grain, start: EpochMillis) -> bool {
        self.stale.contains(&(grain, start))
    }
}

/// A part of a time range, and where its answer comes from: the events where there is no grain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub grain: Option<Grain>,
    pub range: Range,
}

/// Cuts a range into pieces: the longest stored buckets that fit and are complete, then shorter ones, then events. Pieces
/// come in order, fill the range, and none holds a part of a stored bucket.
///
/// `cuts` are the moments within the range that no piece may reach across, ascending; the split is by so many dimensions.
#[must_use]
pub fn cover(range: Range, cuts: &[EpochMillis], freshness: &Freshness, dimensions: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let first = cuts.partition_point(|cut| *cut <= range.from);
    let within = cuts[first..].iter().copied().take_while(|cut| *cut < range.to);
    // Cuts that the longest buckets keep anyway need no thought.
    let odd = within.filter(|cut| Grain::Day.floor(*cut) != *cut);
    let mut from = range.from;
    for to in odd.chain([range.to]) {
        fill(Range { from, to }, &Grain::ALL, freshness, dimensions, &mut pieces);
        from = to;
    }
    // Each piece costs ClickHouse more than some minutes in the place of a quarter do.
    let minutes_since = freshness.kept.since(Grain::Minute, dimensions);
    let mut fewer: Vec<Piece> = Vec::with_capacity(pieces.len());
    for Piece { grain, range } in pieces {
        let is_short = range.length() < Grain::Hour.length() && range.from >= minutes_since;
        let grain = if grain == Some(Grain::Quarter) && is_short { Some(Grain::Minute) } else { grain };
        push(&mut fewer, grain, range);
    }
    fewer
}

fn fill(range: Range, grains: &[Grain], freshness: &Freshness, dimensions: usize, pieces: &mut Vec<Piece>) {
    if range.from >= range.to {
        return;
    }
    let Some((&grain, finer)) = grains.split_first() else { return push(pieces, None, range) };
    let from = grain.ceil(range.from.max(freshness.kept.since(grain, dimensions)));
    let to = grain.floor(range.to);
    if from >= to {
        return fill(range, finer, freshness, dimensions, pieces);
    }
    let rest = |from, to, pieces: &mut Vec<Piece>| fill(Range { from, to }, finer, freshness, dimensions, pieces);
    rest(range.from, from, pieces);
    let mut reached = from;
    for (_, start) in freshness.stale.range((grain, from)..(grain, to)) {
        push(pieces, Some(grain), Range { from: reached, to: *start });
        reached = start + grain.length();
        rest(*start, reached, pieces);
    }
    push(pieces, Some(grain), Range { from: reached, to });
    rest(to, range.to, pieces);
}

fn push(pieces: &mut Vec<Piece>, grain: Option<Grain>, range: Range) {
    if range.from >= range.to {
        return;
    }
    match pieces.last_mut() {
        Some(last) if last.grain == grain && last.range.to == range.from => last.range.to = range.to,
        _ => pieces.push(Piece { grain, range }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: EpochMillis = 1_795_521_600_000;
    const MINUTE: i64 = 60_000;

    fn pieces(from: i64, to: i64, stale: &[(Grain, i64)]) -> Vec<(Option<Grain>, i64, i64)> {
        let stale = stale.iter().map(|(grain, minute)| (*grain, NOON + minute * MINUTE));
        let range = Range { from: NOON + from * MINUTE, to: NOON + to * MINUTE };
        cover(range, &[], &Freshness::new(stale, Kept { short_since: 0, ticks_since: i64::MAX }), 0)
            .into_iter()
            .map(|piece| (piece.grain, (piece.range.from - NOON) / MINUTE, (piece.range.to - NOON) / MINUTE))
            .collect()
    }

    #[test]
    fn takes_the_longest_buckets_that_fit() {
        use Grain::{Hour, Minute};
        assert_eq!(pieces(0, 180, &[]), [(Some(Hour), 0, 180)]);
        assert_eq!(pieces(-20, 77, &[]), [(Some(Minute), -20, 0), (Some(Hour), 0, 60), (Some(Minute), 60, 77)]);
    }

    #[test]
    fn what_lacks_something_is_made_up_of_shorter_ones() {
        use Grain::{Day, Hour, Minute, Quarter};
        assert_eq!(
            pieces(0, 120, &[(Minute, 118), (Minute, 119)]),
            [(Some(Hour), 0, 60), (Some(Minute), 60, 118), (None, 118, 120)]
        );
        assert_eq!(pieces(0, 60, &[(Hour, 0)]), [(Some(Quarter), 0, 60)]);
        assert_eq!(pieces(-720, 2_160, &[(Day, 720)]), [(Some(Day), -720, 720), (Some(Hour), 720, 2_160)]);
    }

    #[test]
    fn short_buckets_are_used_while_they_are_kept() {
        let since = Grain::Day.floor(NOON);
        let kept = Kept { short_since: since, ticks_since: i64::MAX };
        let range = Range { from: since - 23 * 60 * MINUTE - MINUTE, to: since + MINUTE };
        let told = |dimensions| {
            cover(range, &[], &Freshness::new([], kept), dimensions)
                .into_iter()
                .map(|piece| (piece.grain, (piece.range.from - since) / MINUTE))
                .collect::<Vec<_>>()
        };
        let all = [(None, -1_381), (Some(Grain::Hour), -1_380), (Some(Grain::Minute), 0)];
        assert_eq!(told(0), all);
        assert_eq!(told(2), all);
        let range = Range { from: since - 15 * MINUTE, to: since };
        let first = |dimensions| cover(range, &[], &Freshness::new([], kept), dimensions)[0].grain;
        assert_eq!((first(0), first(1)), (Some(Grain::Quarter), None));
    }

    #[test]
    fn events_change_what_is_computed_from_them_and_all_that_is_longer() {
        let now = NOON;
        for minutes in [0, 60, 3 * 1_440, 4 * 1_440, 5 * 1_440, 30 * 1_440] {
            let timestamp = now - minutes * MINUTE;
            let changed = Grain::changed_by(timestamp, now);
            for grain in Grain::ALL {
                let is_longer = changed.iter().any(|shorter| shorter.longer().any(|longer| longer == grain));
                assert!(!is_longer || changed.contains(&grain), "{grain:?} {minutes} minutes ago");
                // Whoever computes may have a clock that is ahead.
                for seen in [now, now + 20 * 3_600_000] {
                    let kept = Kept::at(seen);
                    let start = grain.floor(timestamp);
                    let is_kept = start >= kept.since(grain, 0);
                    let is_first = kept.made_of(grain, start).is_none();
                    assert!(!is_kept || !is_first || changed.contains(&grain), "{grain:?} {minutes} minutes ago");
                }
            }
        }
    }

    #[test]
    fn what_is_lacking_stays_known_as_long_as_events_live() {
        for minutes in [0, 59, 61, 5_000, 50_000] {
            let changed = Grain::changed_by(NOON - minutes * MINUTE, NOON);
            assert!([Grain::Quarter, Grain::Hour, Grain::Day].iter().all(|grain| changed.contains(grain)));
        }
    }

    #[test]
    fn the_last_seconds_come_from_ticks() {
        let now = NOON + 47_000;
        let range = Range { from: NOON - MINUTE, to: now };
        let stale = [(Grain::Minute, NOON), (Grain::Tick, NOON + 20_000), (Grain::Tick, NOON + 40_000)];
        let pieces = cover(range, &[], &Freshness::new(stale, Kept::at(now)), 1);
        let told: Vec<_> = pieces.iter().map(|piece| (piece.grain, (piece.range.from - NOON) / 1_000)).collect();
        let (tick, minute) = (Some(Grain::Tick), Some(Grain::Minute));
        assert_eq!(told, [(minute, -60), (tick, 0), (None, 20), (tick, 30), (None, 40)]);
    }

    #[test]
    fn ticks_that_answer_are_noted_as_changed() {
        for millis in (0..TICKS_KEPT).step_by(60_000) {
            // Whoever answers may have a clock that is half an hour behind.
            let now = NOON + 1_800_000;
            assert!(Grain::changed_by(NOON - millis, now).contains(&Grain::Tick));
        }
    }

    proptest! {
        #[test]
        fn pieces_fill_the_range_and_hold_whole_complete_buckets(
            from in 0_i64..4_000, length in 1_i64..4_000, seconds in 0_i64..60, days in 0_i64..3,
            ticks in 0_i64..8_000,
            stale in prop::collection::btree_set((prop::sample::select(Grain::ALL.to_vec()), 0_i64..8_000), 0..40),
            cuts in prop::collection::btree_set(0_i64..8_000, 0..10),
            dimensions in 0_usize..3,
        ) {
            let range = Range { from: NOON + from * MINUTE + seconds * 1_000, to: NOON + (from + length) * MINUTE };
            prop_assume!(range.from < range.to);
            let stale = stale.into_iter().map(|(grain, minute)| (grain, grain.floor(NOON + minute * MINUTE)));
            let stale: Vec<_> = stale.collect();
            let short_since = Grain::Day.floor(NOON) + days * Grain::Day.length();
            let kept = Kept { short_since, ticks_since: NOON + ticks * MINUTE };
            let freshness = Freshness::new(stale.iter().copied(), kept);
            let cuts: Vec<i64> = cuts.into_iter().map(|minute| NOON + minute * MINUTE).collect();
            let pieces = cover(range, &cuts, &freshness, dimensions);
            let mut reached = range.from;
            for piece in &pieces {
                prop_assert_eq!(piece.range.from, reached);
                reached = piece.range.to;
                let Some(grain) = piece.grain else { continue };
                let mut start = piece.range.from;
                prop_assert!(start >= kept.since(grain, dimensions));
                while start < piece.range.to {
                    prop_assert_eq!(grain.floor(start), start);
                    let end = start + grain.length();
                    let lacks = |stale: &(Grain, i64)| {
                        stale.0 == grain || (stale.0 < grain && stale.0 != Grain::Tick)
                    };
                    prop_assert!(!stale.iter().any(|stale| lacks(stale) && stale.1 >= start && stale.1 < end));
                    prop_assert!(cuts.iter().all(|cut| *cut <= start || *cut >= end));
                    start = end;
                }
                prop_assert_eq!(start, piece.range.to);
            }
            prop_assert_eq!(reached, range.to);
        }
    }
}
