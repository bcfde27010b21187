//! Which part of a time range is answered from which rollups, and which from the events themselves.

use std::collections::BTreeSet;

use super::buckets::Range;
use crate::time::EpochMillis;

/// The length of a stored bucket. Each starts at a multiple of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    Minute,
    /// Every time zone since 1972 keeps to quarters of an hour.
    Quarter,
    Hour,
}

impl Grain {
    /// Longest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Quarter, Self::Minute];

    /// The lengths in which a split by so many dimensions is kept, longest first. Split by several, short buckets would hold
    /// about as many keys as events.
    #[must_use]
    pub const fn kept_of(dimensions: usize) -> &'static [Self] {
        match dimensions {
            0 | 1 => &Self::ALL,
            _ => &[Self::Hour],
        }
    }

    /// Milliseconds.
    #[must_use]
    pub const fn length(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Quarter => 900_000,
            Self::Hour => 3_600_000,
        }
    }

    /// What the tables call it: its length in minutes.
    #[must_use]
    pub const fn minutes(self) -> u8 {
        match self {
            Self::Minute => 1,
            Self::Quarter => 15,
            Self::Hour => 60,
        }
    }

    #[must_use]
    pub fn from_minutes(minutes: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|grain| grain.minutes() == minutes)
    }

    /// Where the bucket of a moment starts.
    #[must_use]
    pub const fn floor(self, moment: EpochMillis) -> EpochMillis {
        moment.div_euclid(self.length()) * self.length()
    }

    const fn ceil(self, moment: EpochMillis) -> EpochMillis {
        self.floor(moment + self.length() - 1)
    }
}

/// What is known of an account's rollups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Stored buckets that lack something, by length and start.
    pub stale: BTreeSet<(Grain, EpochMillis)>,
    /// Minutes are kept from here on.
    pub minutes_from: EpochMillis,
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
/// `cuts` are the moments within the range that no piece may reach across, ascending. `grains` are the lengths that are kept,
/// longest first.
#[must_use]
pub fn cover(range: Range, cuts: &[EpochMillis], freshness: &Freshness, grains: &[Grain]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let first = cuts.partition_point(|cut| *cut <= range.from);
    let within = cuts[first..].iter().copied().take_while(|cut| *cut < range.to);
    // Cuts that the longest buckets keep anyway need no thought.
    let odd = within.filter(|cut| Grain::Hour.floor(*cut) != *cut);
    let mut from = range.from;
    for to in odd.chain([range.to]) {
        fill(Range { from, to }, grains, freshness, &mut pieces);
        from = to;
    }
    pieces
}

fn fill(range: Range, grains: &[Grain], freshness: &Freshness, pieces: &mut Vec<Piece>) {
    if range.from >= range.to {
        return;
    }
    let Some((&grain, finer)) = grains.split_first() else { return push(pieces, None, range) };
    let mut from = grain.ceil(range.from);
    if grain == Grain::Minute {
        from = from.max(grain.ceil(freshness.minutes_from));
    }
    let to = grain.floor(range.to);
    if from >= to {
        return fill(range, finer, freshness, pieces);
    }
    fill(Range { from: range.from, to: from }, finer, freshness, pieces);
    let stale: Vec<EpochMillis> = freshness.stale.range((grain, from)..(grain, to)).map(|(_, start)| *start).collect();
    for start in stale {
        let end = start + grain.length();
        push(pieces, Some(grain), Range { from, to: start });
        fill(Range { from: start, to: end }, finer, freshness, pieces);
        from = end;
    }
    push(pieces, Some(grain), Range { from, to });
    fill(Range { from: to, to: range.to }, finer, freshness, pieces);
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
        let stale = stale.iter().map(|(grain, minute)| (*grain, NOON + minute * MINUTE)).collect();
        let range = Range { from: NOON + from * MINUTE, to: NOON + to * MINUTE };
        cover(range, &[], &Freshness { stale, minutes_from: 0 }, &Grain::ALL)
            .into_iter()
            .map(|piece| (piece.grain, (piece.range.from - NOON) / MINUTE, (piece.range.to - NOON) / MINUTE))
            .collect()
    }

    #[test]
    fn takes_the_longest_buckets_that_fit() {
        use Grain::{Hour, Minute, Quarter};
        assert_eq!(pieces(0, 180, &[]), [(Some(Hour), 0, 180)]);
        assert_eq!(
            pieces(-20, 77, &[]),
            [
                (Some(Minute), -20, -15),
                (Some(Quarter), -15, 0),
                (Some(Hour), 0, 60),
                (Some(Quarter), 60, 75),
                (Some(Minute), 75, 77)
            ]
        );
    }

    #[test]
    fn what_lacks_something_is_made_up_of_shorter_ones() {
        use Grain::{Hour, Minute, Quarter};
        assert_eq!(
            pieces(0, 120, &[(Hour, 60), (Quarter, 105), (Minute, 118), (Minute, 119)]),
            [(Some(Hour), 0, 60), (Some(Quarter), 60, 105), (Some(Minute), 105, 118), (None, 118, 120)]
        );
    }

    proptest! {
        #[test]
        fn pieces_fill_the_range_and_hold_whole_complete_buckets(
            from in 0_i64..400, length in 1_i64..400, seconds in 0_i64..60, minutes_from in 0_i64..300,
            stale in prop::collection::btree_set((prop::sample::select(Grain::ALL.to_vec()), 0_i64..800), 0..40),
            cuts in prop::collection::btree_set(0_i64..800, 0..10),
            grains in prop::sample::select(vec![&Grain::ALL[..], &Grain::ALL[..1], &[]]),
        ) {
            let range = Range { from: NOON + from * MINUTE + seconds * 1_000, to: NOON + (from + length) * MINUTE };
            prop_assume!(range.from < range.to);
            let stale = stale.into_iter().map(|(grain, minute)| (grain, grain.floor(NOON + minute * MINUTE))).collect();
            let freshness = Freshness { stale, minutes_from: NOON + minutes_from * MINUTE };
            let cuts: Vec<i64> = cuts.into_iter().map(|minute| NOON + minute * MINUTE).collect();
            let pieces = cover(range, &cuts, &freshness, grains);
            let mut reached = range.from;
            for piece in &pieces {
                prop_assert_eq!(piece.range.from, reached);
                reached = piece.range.to;
                let Some(grain) = piece.grain else { continue };
                prop_assert!(grains.contains(&grain));
                let mut start = piece.range.from;
                prop_assert!(grain != Grain::Minute || start >= freshness.minutes_from);
                while start < piece.range.to {
                    prop_assert_eq!(grain.floor(start), start);
                    prop_assert!(!freshness.stale.contains(&(grain, start)));
                    let end = start + grain.length();
                    prop_assert!(cuts.iter().all(|cut| *cut <= start || *cut >= end));
                    start = end;
                }
                prop_assert_eq!(start, piece.range.to);
            }
            prop_assert_eq!(reached, range.to);
        }
    }
}
