//! What is kept of an account's metrics.

use std::collections::BTreeMap;

use analytics_domain::metric::{Grain, Kept, Measure, Series};

use super::states::DIMENSIONS;

/// What is kept of an account: measures, each with the splits to keep of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(super) entries: Vec<Entry>,
}

/// A measure and the splits that are computed of it in one go.
pub(super) type Entry = (Measure, Vec<Vec<String>>);

impl Plan {
    /// Adds splits of a measure.
    pub fn add(&mut self, measure: &Measure, sets: &[Vec<String>]) {
        for set in sets {
            let fits = |sets: &[Vec<String>]| {
                sets.contains(set) || dimensions_of(sets.iter().chain([set])).len() <= DIMENSIONS
            };
            if self.entries.iter().any(|(other, sets)| other == measure && sets.contains(set)) {
                continue;
            }
            match self.entries.iter_mut().find(|(other, sets)| other == measure && fits(sets)) {
                Some((_, sets)) => sets.push(set.clone()),
                None => self.entries.push((measure.clone(), vec![set.clone()])),
            }
        }
    }

    /// Every series, by its id.
    #[must_use]
    pub fn series(&self) -> BTreeMap<u64, Series> {
        series_of(self.entries.iter()).map(|series| (series.id(), series)).collect()
    }

    /// The part of it that is kept in buckets of this length that start then.
    pub(super) fn kept_in(&self, grain: Grain, start: i64, kept: &Kept) -> Self {
        let entries = self.entries.iter().filter_map(|(measure, sets)| {
            let is_kept = |set: &&Vec<String>| kept.since(grain, set.len()) <= start;
            let sets: Vec<_> = sets.iter().filter(is_kept).cloned().collect();
            (!sets.is_empty()).then(|| (measure.clone(), sets))
        });
        Self { entries: entries.collect() }
    }

    /// The part of it that makes up the series for which `wanted` holds.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(u64) -> bool) -> Self {
        let mut part = Self::default();
        for (id, series) in self.series() {
            if wanted(id) {
                part.add(&series.measure, &[series.dimensions]);
            }
        }
        part
    }
}

pub(super) fn series_of<'e>(entries: impl Iterator<Item = &'e Entry>) -> impl Iterator<Item = Series> {
    entries
        .flat_map(|(measure, sets)| sets.iter().map(|set| Series { measure: measure.clone(), dimensions: set.clone() }))
}

pub(super) fn dimensions_of<'s>(sets: impl Iterator<Item = &'s Vec<String>>) -> Vec<String> {
    let mut dimensions: Vec<String> = sets.flatten().cloned().collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    dimensions
}
