//! Seeded randomness that is the same on every machine and in every version.
//!
//! Only integer arithmetic on a generator with a documented, portable stream: floating-point functions such as
//! `ln` differ in their last bits between platforms, and the promise is "same seed, same bytes".

use std::ops::Range;

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng as _;

/// A stream of choices, named by what it decides about.
pub struct Rng(Pcg32);

impl Rng {
    /// The stream of one subject: `[seed, topic, day, object, …]`. Streams of different subjects are independent,
    /// so one message's fate does not depend on how many others there are.
    pub fn keyed(subject: &[u64]) -> Self {
        let mut state = 0x243F_6A88_85A3_08D3;
        for part in subject {
            state = mix(state ^ mix(*part));
        }
        Self(Pcg32::new(state, mix(state)))
    }

    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 0 ≤ x < `end`; `end` must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a wide product: a bias of end / 2^64, and no rejection loop.
        let product = u128::from(self.u64()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// `low` ≤ x < `high`; the width must be positive.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low.saturating_add_unsigned(self.below(high.abs_diff(low).max(1)))
    }

    /// True in `share` of a thousand cases.
    pub fn permille(&mut self, share: u64) -> bool {
        self.below(1_000) < share
    }

    /// A whole number whose mean is `thousandths` / 1,000: the fraction decides how often it is rounded up.
    pub fn about(&mut self, thousandths: u64) -> u64 {
        thousandths / 1_000 + u64::from(self.permille(thousandths % 1_000))
    }

    /// About so many thousandths of `whole`: a share between the ends of the range.
    pub fn share(&mut self, whole: u64, thousandths: Range<u64>) -> u64 {
        let share = thousandths.start + self.below(thousandths.end - thousandths.start);
        self.about(whole * share)
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// The index of one of `weights`, in proportion to them.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum::<u64>().max(1));
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// A draw from a distribution given by equally spaced quantiles (first = minimum, last = maximum).
    pub fn quantile(&mut self, points: &[i64]) -> i64 {
        let segment = self.index(points.len() - 1);
        self.between(points[segment], points[segment + 1].max(points[segment] + 1))
    }

    /// 16 hexadecimal digits: a pseudonym as a client would send it.
    pub fn hash(&mut self) -> String {
        format!("{:016x}", self.u64())
    }
}

/// The finalizer of `splitmix64`: spreads any difference of the input over all bits.
pub const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_stays_the_same_across_versions() {
        let mut rng = Rng::keyed(&[1, 2, 3]);
        let drawn = [rng.u64(), rng.below(1_000), rng.u64()];
        assert_eq!(drawn, STREAM_OF_1_2_3);
    }

    const STREAM_OF_1_2_3: [u64; 3] = [2_718_398_681_023_469_778, 663, 6_014_832_953_484_596_774];

    #[test]
    fn ranges_and_weights_are_respected() {
        let mut rng = Rng::keyed(&[7]);
        for _ in 0..2_000 {
            assert!((-5..5).contains(&rng.between(-5, 5)));
            assert!((10..90).contains(&rng.quantile(&[10, 20, 90])));
            assert_ne!(rng.weighted(&[3, 0, 1]), 1);
            assert!((2..=3).contains(&rng.about(2_500)));
            assert!((10..=31).contains(&rng.share(1_000, 10..31)));
        }
        assert!(!rng.permille(0));
        assert!(rng.permille(1_000));
    }
}
