//! What differs between two answers to the same question.

use crate::{Answer, Point, Previous, Series};

/// How answers differ from those before.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Nothing,
    /// The series of each answer that differ, each with the points that do and without the points of the range before, which are
    /// the same.
    Series(Vec<Vec<Series>>),
    /// Other series, times or warnings: only all of it says what there is now.
    Everything,
}

/// Compares answers with those that the same queries had before.
#[must_use]
pub fn changes(before: &[Answer], now: &[Answer]) -> Change {
    if before.len() != now.len() || before.iter().zip(now).any(|(before, now)| !are_alike(before, now)) {
        return Change::Everything;
    }
    let changed: Vec<Vec<Series>> = before.iter().zip(now).map(|(before, now)| differing(before, now)).collect();
    if changed.iter().all(Vec::is_empty) { Change::Nothing } else { Change::Series(changed) }
}

/// Whether both have the same series of the same times, so that points can be told one by one.
fn are_alike(before: &Answer, now: &Answer) -> bool {
    let previous = |series: &Series| series.previous.as_ref().map(|previous| previous.points.clone());
    before.warnings == now.warnings
        && before.series.len() == now.series.len()
        && before.series.iter().zip(&now.series).all(|(before, now)| {
            before.key == now.key
                && before.points.iter().map(|point| point.time).eq(now.points.iter().map(|point| point.time))
                && previous(before) == previous(now)
        })
}

fn differing(before: &Answer, now: &Answer) -> Vec<Series> {
    let pairs = before.series.iter().zip(&now.series).filter(|(before, now)| before != now);
    let series = pairs.map(|(before, now)| {
        let points = before.points.iter().zip(&now.points).filter(|(before, now)| before != now);
        let points: Vec<Point> = points.map(|(_, now)| *now).collect();
        let previous = now.previous.as_ref().map(|previous| Previous { points: Vec::new(), ..previous.clone() });
        Series { key: now.key.clone(), total: now.total, points, previous }
    });
    series.collect()
}
