//! Statistics of measurements: the middle, percentiles, and the ratio of two sides that were measured in turns.

/// Half of the values lie below, half above: of an even number, the mean of the two in the middle. Of nothing, not a number.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 0) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (middle, _) => sorted[middle],
    }
}

/// The smallest value that this share of all do not exceed (nearest rank).
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// The mean of positive values by their product: the middle of values of different sizes, each with the same weight.
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// An estimate with the limits of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub middle: f64,
    pub low: f64,
    pub high: f64,
}

/// The ratio of `ours` to `theirs`, value by value of two sides that were measured in turns, with its 95 % confidence interval:
/// Student's t interval for the mean of paired differences, taken over logarithms, so that a ratio and its inverse are judged
/// alike. None of fewer than two pairs, of sides of different lengths, and of values that are not positive.
///
/// Source: NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.1.1 "Analysis of paired observations"
/// (<https://www.itl.nist.gov/div898/handbook/prc/section3/prc311.htm>) and 1.3.5.2 "Confidence limits for the mean"
/// (<https://www.itl.nist.gov/div898/handbook/eda/section3/eda352.htm>).
pub fn paired_ratio(ours: &[f64], theirs: &[f64]) -> Option<Interval> {
    let is_positive = |value: &f64| *value > 0.0 && value.is_finite();
    if ours.len() != theirs.len() || ours.len() < 2 || !ours.iter().chain(theirs).all(is_positive) {
        return None;
    }
    let logarithms: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| (ours / theirs).ln()).collect();
    let count = logarithms.len() as f64;
    let mean = logarithms.iter().sum::<f64>() / count;
    let variance = logarithms.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half_width = t_quantile(logarithms.len() - 1) * (variance / count).sqrt();
    Some(Interval { middle: mean.exp(), low: (mean - half_width).exp(), high: (mean + half_width).exp() })
}

/// The 0.975 quantile of Student's t distribution.
///
/// Source: NIST/SEMATECH e-Handbook, 1.3.6.7.2 "Critical values of the Student's t distribution", up to 30 degrees of freedom;
/// beyond, the expansion 26.7.5 of Abramowitz and Stegun, "Handbook of Mathematical Functions".
fn t_quantile(degrees_of_freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    const NORMAL: f64 = 1.959_964;
    let Some(before) = degrees_of_freedom.checked_sub(1) else { return f64::INFINITY };
    TABLE.get(before).copied().unwrap_or_else(|| {
        let degrees = degrees_of_freedom as f64;
        NORMAL
            + (NORMAL.powi(3) + NORMAL) / (4.0 * degrees)
            + (5.0 * NORMAL.powi(5) + 16.0 * NORMAL.powi(3) + 3.0 * NORMAL) / (96.0 * degrees.powi(2))
    })
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() < 0.001
    }

    #[test]
    fn median_is_the_middle_value() {
        assert!(is_near(median(&[3.0, 1.0, 2.0]), 2.0));
        assert!(is_near(median(&[4.0, 1.0, 3.0, 2.0]), 2.5));
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentile_is_the_value_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!(is_near(percentile(&values, 0.99), 99.0));
        assert!(is_near(percentile(&values, 0.5), 50.0));
        assert!(is_near(percentile(&values[..10], 0.99), 100.0));
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn geometric_mean_gives_each_value_the_same_weight() {
        assert!(is_near(geometric_mean(&[1.0, 100.0]), 10.0));
    }

    /// By hand: the logarithms of the ratios are 0.1, 0.2 and 0.3; their mean is 0.2, their standard deviation 0.1, and
    /// 4.303 * 0.1 / sqrt(3) is 0.24843.
    #[test]
    fn ratio_of_three_pairs_is_the_one_computed_by_hand() {
        let theirs = [10.0, 200.0, 3_000.0];
        let ours = [10.0 * 0.1_f64.exp(), 200.0 * 0.2_f64.exp(), 3_000.0 * 0.3_f64.exp()];
        let interval = paired_ratio(&ours, &theirs).expect("three pairs");
        assert!(is_near(interval.middle, 1.221_40), "{interval:?}");
        assert!(is_near(interval.low, 0.952_73), "{interval:?}");
        assert!(is_near(interval.high, 1.565_86), "{interval:?}");
    }

    #[test]
    fn ratio_of_equal_sides_is_exactly_one() {
        let interval = paired_ratio(&[5.0, 7.0, 9.0], &[5.0, 7.0, 9.0]).expect("three pairs");
        assert_eq!(interval, Interval { middle: 1.0, low: 1.0, high: 1.0 });
    }

    #[test]
    fn inverse_of_a_ratio_has_the_inverse_limits() {
        let (one, other) = ([9.0, 11.0, 10.0, 12.0], [10.0, 10.5, 11.0, 10.0]);
        let (ratio, inverse) = (paired_ratio(&one, &other).expect("pairs"), paired_ratio(&other, &one).expect("pairs"));
        assert!(is_near(ratio.low * inverse.high, 1.0) && is_near(ratio.high * inverse.low, 1.0));
    }

    #[test]
    fn nothing_is_said_of_too_few_or_unusable_pairs() {
        assert_eq!(paired_ratio(&[1.0], &[1.0]), None);
        assert_eq!(paired_ratio(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(paired_ratio(&[1.0, 0.0], &[1.0, 1.0]), None);
        assert_eq!(paired_ratio(&[1.0, f64::NAN], &[1.0, 1.0]), None);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, wanted) in [(1, 12.706), (9, 2.262), (30, 2.042), (40, 2.021), (60, 2.000), (120, 1.980)] {
            assert!(is_near(t_quantile(degrees), wanted), "{degrees}: {}", t_quantile(degrees));
        }
        assert!(t_quantile(0).is_infinite());
    }
}
