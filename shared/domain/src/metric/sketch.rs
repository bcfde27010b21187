//! Distributions as counts of values in bins whose width grows with the value, after DDSketch (Masson, Rim, Lee: "DDSketch:
//! a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019). Bins add up exactly, so a
//! percentile is the same however the events were split before.

/// How far a percentile may be off the true one, relative to it.
pub const ACCURACY: f64 = 0.005;
/// Upper end of a bin, relative to its lower end: `(1 + a) / (1 - a)`.
pub const GROWTH: f64 = (1.0 + ACCURACY) / (1.0 - ACCURACY);
/// Added to the number of each bin, so that those of negative values are negative, and 0 is zero's.
pub const OFFSET: i32 = 100_000;

/// The bin of a value. The tables' SQL computes the same.
#[must_use]
pub fn bin(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    let bin = OFFSET + (value.abs().ln() / GROWTH.ln()).ceil() as i32;
    if value < 0.0 { -bin } else { bin }
}

/// The value that stands for all in a bin.
#[must_use]
pub fn value(bin: i32) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    let middle = GROWTH.powi(bin.abs() - OFFSET) * 2.0 / (1.0 + GROWTH);
    if bin < 0 { -middle } else { middle }
}

/// The value below which `share` percent of the values lie; none of none.
#[must_use]
pub fn percentile(bins: &[(i32, u64)], share: u8) -> Option<f64> {
    let total: u64 = bins.iter().map(|(_, count)| count).sum();
    let rank = (f64::from(share) / 100.0 * total.saturating_sub(1) as f64).round() as u64;
    let mut passed = 0;
    bins.iter().find_map(|&(bin, count)| {
        passed += count;
        (passed > rank).then(|| value(bin))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn percentiles_are_as_near_as_promised(
            mut values in prop::collection::vec(prop_oneof![-1e9..1e9, 0.0..1e-3, Just(0.0)], 1..300), share in 1_u8..=99,
        ) {
            let mut bins = std::collections::BTreeMap::new();
            for value in &values {
                *bins.entry(bin(*value)).or_insert(0) += 1;
            }
            let bins: Vec<_> = bins.into_iter().collect();
            values.sort_by(f64::total_cmp);
            let exact = values[(f64::from(share) / 100.0 * (values.len() - 1) as f64).round() as usize];
            let found = percentile(&bins, share).expect("there are values");
            prop_assert!((found - exact).abs() <= exact.abs() * ACCURACY * 1.000_001, "{} {}", found, exact);
        }
    }

    #[test]
    fn there_is_no_percentile_of_nothing() {
        assert_eq!(percentile(&[], 95), None);
    }
}
