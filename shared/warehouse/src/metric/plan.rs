//! What is kept of an account's metrics, within bounds.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use analytics_domain::metric::{Grain, Input, Kept, Measure, Metric, Metrics, Series, dimension_sets};

use super::states::DIMENSIONS;

/// Bytes of the measures that are new with a metric.
const METRIC_BYTES: usize = 65_536;

/// Bytes of all series. Each counts with its measure, since its id is a hash over both.
const SERIES_BYTES: usize = 4 * 1_048_576;

/// What is kept of an account: measures, each with the splits to keep of it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(super) entries: Vec<Entry>,
}

/// A measure and the splits that are computed of it in one go.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub measure: Arc<Measure>,
    /// Sets of dimensions.
    pub sets: Vec<Vec<String>>,
    /// The ids of the series, one for each set.
    pub ids: Vec<u64>,
}

#[cfg(test)]
impl Entry {
    pub fn of(measure: Measure, sets: Vec<Vec<String>>) -> Self {
        let series = |set: &Vec<String>| Series { measure: measure.clone(), dimensions: set.clone() };
        let ids = sets.iter().map(|set| series(set).id()).collect();
        Self { measure: Arc::new(measure), sets, ids }
    }
}

impl Plan {
    /// Series that are kept of an account beyond those of the built-in metrics. They suffice for 250 different inputs with four
    /// dimensions each, or for 2,000 without any. A statement computes a dozen measures, so that all buckets of one go take 170
    /// statements at most: more would not fit the time that an account has before the others have their turn.
    pub const SERIES: usize = 2_000;

    /// What all metrics of an account need, and how many metrics are left out because there are too many series or they are too
    /// large. Those are answered from events.
    #[must_use]
    pub fn of(metrics: &Metrics) -> (Self, usize) {
        let (mut plan, mut known) = (Self::default(), Known::default());
        // The last entry of each measure.
        let mut last: HashMap<u64, usize> = HashMap::new();
        let (mut bytes, mut built_in, mut left_out) = (0, 0, 0);
        for (is_built_in, needs) in needs_of(metrics) {
            let new: Vec<(&Needed, &[String])> =
                needs.series().filter(|(needed, set)| !known.has(needed.number, set)).collect();
            let new_bytes: usize = new.iter().map(|(needed, _)| needed.bytes).sum();
            // Each measure is needed without a split too.
            let measures = new.iter().filter(|(_, set)| set.is_empty());
            let is_over = known.count() + new.len() > built_in + Self::SERIES
                || bytes + new_bytes > SERIES_BYTES
                || measures.map(|(needed, _)| needed.bytes).sum::<usize>() > METRIC_BYTES;
            if is_over && !is_built_in {
                left_out += 1;
                continue;
            }
            bytes += new_bytes;
            for (needed, set) in new {
                if !known.add(needed.number, set) {
                    continue;
                }
                let place = match last.get(&needed.number) {
                    Some(place) if plan.entries[*place].fits(set) => *place,
                    _ => {
                        plan.entries.push(Entry::new(&needed.measure));
                        plan.entries.len() - 1
                    }
                };
                last.insert(needed.number, place);
                plan.entries[place].add(set);
            }
            if is_built_in {
                built_in = known.count();
            }
        }
        (plan, left_out)
    }

    /// How many series an account's own metrics need beyond those of the built-in ones.
    #[must_use]
    pub fn count(metrics: &Metrics) -> usize {
        let (mut known, mut built_in) = (Known::default(), 0);
        for (is_built_in, needs) in needs_of(metrics) {
            for (needed, set) in needs.series() {
                known.add(needed.number, set);
            }
            if is_built_in {
                built_in = known.count();
            }
        }
        known.count() - built_in
    }

    /// The ids of all series.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().flat_map(|entry| entry.ids.iter().copied())
    }

    /// The part of it that is kept in buckets of this length that start then.
    pub(super) fn kept_in(&self, grain: Grain, start: i64, kept: &Kept) -> Self {
        self.part(|set, _| kept.since(grain, set.len()) <= start)
    }

    /// The part of it that makes up the series for which `wanted` holds.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(u64) -> bool) -> Self {
        self.part(|_, id| wanted(id))
    }

    fn part(&self, wanted: impl Fn(&[String], u64) -> bool) -> Self {
        let entries = self.entries.iter().map(|entry| entry.part(&wanted));
        Self { entries: entries.filter(|entry| !entry.ids.is_empty()).collect() }
    }
}

impl Entry {
    fn new(measure: &Arc<Measure>) -> Self {
        Self { measure: Arc::clone(measure), sets: Vec::new(), ids: Vec::new() }
    }

    /// Whether one statement can split the measure by these dimensions too.
    fn fits(&self, set: &[String]) -> bool {
        dimensions_of(self.sets.iter().flatten().chain(set)).len() <= DIMENSIONS
    }

    fn add(&mut self, set: &[String]) {
        let series = Series { measure: Measure::clone(&self.measure), dimensions: set.to_vec() };
        self.ids.push(series.id());
        self.sets.push(series.dimensions);
    }

    fn part(&self, wanted: &impl Fn(&[String], u64) -> bool) -> Self {
        let mut part = Self::new(&self.measure);
        for (set, id) in self.sets.iter().zip(&self.ids) {
            if wanted(set, *id) {
                part.sets.push(set.clone());
                part.ids.push(*id);
            }
        }
        part
    }
}

/// What a metric needs: measures, each once, and the splits of each of them.
struct Needs {
    measures: Vec<Needed>,
    sets: Vec<Vec<String>>,
}

struct Needed {
    measure: Arc<Measure>,
    /// Tells it from other measures. They hold floats, so that they cannot be keys of a map.
    number: u64,
    /// How long it is as JSON.
    bytes: usize,
}

impl Needs {
    /// None of a metric whose formula has lost its meaning: it answers with an error, not from rollups.
    fn of(metric: &Metric, metrics: &Metrics) -> Option<Self> {
        let formula = metrics.expand(&metric.formula).ok()?;
        let mut measures: Vec<Needed> = Vec::new();
        for measure in formula.inputs().into_iter().flat_map(Input::measures).flat_map(Measure::kept) {
            let needed = Needed::new(measure);
            if measures.iter().all(|other| other.number != needed.number) {
                measures.push(needed);
            }
        }
        Some(Self { measures, sets: dimension_sets(&metric.definition.dimensions) })
    }

    fn series(&self) -> impl Iterator<Item = (&Needed, &[String])> {
        self.measures.iter().flat_map(move |needed| self.sets.iter().map(move |set| (needed, set.as_slice())))
    }
}

impl Needed {
    fn new(measure: Measure) -> Self {
        // Structs of strings and numbers always serialise.
        let json = serde_json::to_vec(&measure).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        Self { measure: Arc::new(measure), number: hasher.finish(), bytes: json.len() }
    }
}

/// What each metric needs, and whether it is built in. The built-in ones come first: they are kept whatever an account defines.
fn needs_of(metrics: &Metrics) -> impl Iterator<Item = (bool, Needs)> {
    let own = metrics.own();
    let built_in = metrics.all().skip(own.len()).map(|metric| (true, metric));
    let all = built_in.chain(own.iter().map(|metric| (false, metric)));
    all.filter_map(move |(is_built_in, metric)| Some((is_built_in, Needs::of(metric, metrics)?)))
}

/// Series by the number of their measure and the number of their split. An account may define a hundred thousand, so they are
/// known by these only.
#[derive(Default)]
struct Known {
    sets: HashMap<Vec<String>, usize>,
    series: HashSet<(u64, usize)>,
}

impl Known {
    fn has(&self, measure: u64, set: &[String]) -> bool {
        self.sets.get(set).is_some_and(|set| self.series.contains(&(measure, *set)))
    }

    /// False if it is known already.
    fn add(&mut self, measure: u64, set: &[String]) -> bool {
        let next = self.sets.len();
        let number = *self.sets.entry(set.to_vec()).or_insert(next);
        self.series.insert((measure, number))
    }

    fn count(&self) -> usize {
        self.series.len()
    }
}

/// The different ones of these dimensions, in order.
pub(super) fn dimensions_of<'s>(dimensions: impl Iterator<Item = &'s String>) -> Vec<String> {
    let mut dimensions: Vec<String> = dimensions.cloned().collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    dimensions
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use analytics_domain::metric::{Definition, compile};
    use serde_json::json;

    use super::*;

    fn metric(id: &str, formula: &str, filters: &[String], dimensions: &[String], among: &Metrics) -> Metric {
        let body =
            json!({"name": id, "type": "gauge", "formula": formula, "filters": filters, "dimensions": dimensions});
        let definition = Definition::from_json(body.as_object().expect("is an object"), &[]).expect("is a definition");
        let (formula, _) = compile(&definition, &among.vocabulary(Vec::new(), Some(id))).expect("compiles");
        Metric { id: id.to_owned(), definition, formula, version: 1, created_at: 0, updated_at: 0 }
    }

    /// A metric of its own events, with a filter of so many bytes.
    fn plain(number: usize, inputs: usize, filter_bytes: usize) -> Metric {
        let formula: Vec<String> = (0..inputs).map(|at| format!("\"event {number} {at}\"")).collect();
        let filter = format!("a = \"{}\"", "x".repeat(filter_bytes));
        metric(&format!("m{number}"), &formula.join(" + "), &[filter], &[], &Metrics::new(Vec::new()))
    }

    /// A metric of 40 names, and more that split it by four properties each.
    fn split(count: usize) -> Metrics {
        let formula: Vec<String> = (0..40).map(|number| format!("\"name_{number}\"")).collect();
        let none = Metrics::new(Vec::new());
        let base = none.with(metric("base", &formula.join(" + "), &[], &[], &none));
        let splits = (0..count).map(|number| {
            let dimensions: Vec<String> = (0..4).map(|dimension| format!("d{number}x{dimension}")).collect();
            metric(&format!("m{number}"), "base", &[], &dimensions, &base)
        });
        Metrics::new(base.own().iter().cloned().chain(splits).collect())
    }

    /// How many series are kept of these metrics beyond those of the built-in ones, and how many metrics are left out.
    fn kept_of(own: Vec<Metric>) -> (usize, usize) {
        let (built_in, none) = Plan::of(&Metrics::new(Vec::new()));
        let (plan, left_out) = Plan::of(&Metrics::new(own));
        let ids: BTreeSet<u64> = plan.ids().collect();
        assert!(none == 0 && built_in.ids().all(|id| ids.contains(&id)), "built-in metrics are always kept");
        (ids.len() - built_in.ids().count(), left_out)
    }

    #[test]
    fn an_account_is_kept_within_bounds_whatever_it_has_defined() {
        // Many large metrics, as were allowed before.
        assert_eq!(kept_of((0..150).map(|number| plain(number, 40, 3_000)).collect()), (0, 150));
        // None is too large by itself, but all are together.
        let (kept, left_out) = kept_of((0..500).map(|number| plain(number, 10, 3_900)).collect());
        assert!((900..1_100).contains(&kept) && left_out == 500 - kept / 10, "{kept} series, without {left_out}");
        // Many small ones.
        assert_eq!(kept_of((0..500).map(|number| plain(number, 10, 10)).collect()), (Plan::SERIES, 300));
    }

    #[test]
    fn series_are_bounded_where_there_are_few_measures() {
        let metrics = split(499);
        assert_eq!(Plan::count(&metrics), 139_760);
        assert_eq!(kept_of(metrics.own().to_vec()), (Plan::SERIES, 492));
        assert_eq!(Plan::count(&Metrics::new(Vec::new())), 0);
    }

    #[test]
    fn every_series_is_computed_once_and_by_no_more_dimensions_than_one_statement_takes() {
        let (plan, _) = Plan::of(&split(6));
        let mut ids = BTreeSet::new();
        for entry in &plan.entries {
            assert!(dimensions_of(entry.sets.iter().flatten()).len() <= DIMENSIONS);
            for (set, id) in entry.sets.iter().zip(&entry.ids) {
                let series = Series { measure: Measure::clone(&entry.measure), dimensions: set.clone() };
                assert_eq!(series.id(), *id);
                assert!(ids.insert(*id), "{series:?} is there twice");
            }
        }
        assert_eq!(plan.ids().count(), ids.len());
        let some: BTreeSet<u64> = plan.only(|id| id % 3 == 0).ids().collect();
        assert_eq!(some, ids.into_iter().filter(|id| id % 3 == 0).collect());
    }
}
