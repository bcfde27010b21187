//! Metrics that use metrics: putting formulas into formulas, and finding circles.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{
    builtin,
    definition::{Aggregation, Definition, Kind},
    filter::Filter,
    input::Input,
    parser::{parse_filter, parse_formula},
    resolve::{Meaningless, Resolved, Term, Vocabulary, resolve},
    syntax::{Function, Node},
};
use crate::time::EpochMillis;

/// Inputs of one formula, those of its metrics included.
const INPUTS: usize = 40;
/// Metrics within metrics.
const DEEPEST: usize = 10;

/// A stored metric.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    pub id: String,
    pub definition: Definition,
    /// The formula with its names settled.
    pub formula: Node<Term>,
    /// Counts changes, from 1.
    pub version: u64,
    pub created_at: EpochMillis,
    pub updated_at: EpochMillis,
}

impl Metric {
    /// Reads what was written with Serde: however deep the formula is, as parsers have set bounds to that.
    ///
    /// # Errors
    /// If it is no metric.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        json.disable_recursion_limit();
        let metric = Self::deserialize(&mut json)?;
        json.end()?;
        Ok(metric)
    }

    /// The metrics that its formula names.
    #[must_use]
    pub fn uses(&self) -> Vec<&str> {
        let ids = self.formula.inputs().into_iter().filter_map(|term| match term {
            Term::Metric { id, .. } => Some(id.as_str()),
            Term::Events(_) => None,
        });
        ids.collect()
    }
}

/// All metrics of an account, built-in ones included.
#[derive(Clone, Debug)]
pub struct Metrics {
    own: Vec<Metric>,
    built_in: &'static [Metric],
}

impl Metrics {
    #[must_use]
    pub fn new(own: Vec<Metric>) -> Self {
        Self { own, built_in: &BUILT_IN }
    }

    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Metric> {
        self.all().find(|metric| metric.id == id)
    }

    #[must_use]
    pub fn is_built_in(&self, id: &str) -> bool {
        self.built_in.iter().any(|metric| metric.id == id)
    }

    /// Whether a question about this metric, over these properties, has the same answer whatever metrics the account has, and
    /// is answered as quickly without knowing of them.
    #[must_use]
    pub fn suffice<'p>(&self, id: &str, mut paths: impl Iterator<Item = &'p str>) -> bool {
        let metric = self.built_in.iter().find(|metric| metric.id == id);
        metric.is_some_and(|metric| paths.all(|path| metric.definition.dimensions.iter().any(|other| other == path)))
    }

    /// Those of the account first.
    pub fn all(&self) -> impl Iterator<Item = &Metric> {
        self.own.iter().chain(self.built_in)
    }

    #[must_use]
    pub fn own(&self) -> &[Metric] {
        &self.own
    }

    /// The metrics whose formulas name this one.
    #[must_use]
    pub fn users_of(&self, id: &str) -> Vec<&Metric> {
        self.own.iter().filter(|metric| metric.id != id && metric.uses().contains(&id)).collect()
    }

    /// What formulas can name, where these events have come; `own` is the metric that is being changed.
    #[must_use]
    pub fn vocabulary(&self, events: Vec<String>, own: Option<&str>) -> Vocabulary {
        let metrics = self.all().map(|metric| (metric.id.clone(), metric.definition.name.clone())).collect();
        Vocabulary { metrics, events, own: own.map(str::to_owned) }
    }

    /// This and the metrics with `changed` in it, new or in place of the one of its id.
    #[must_use]
    pub fn with(&self, changed: Metric) -> Self {
        let mut own: Vec<Metric> = self.own.iter().filter(|metric| metric.id != changed.id).cloned().collect();
        own.push(changed);
        Self { own, built_in: self.built_in }
    }

    /// A formula with all its metrics' formulas put in.
    ///
    /// # Errors
    /// If it is a circle, names a metric that is not there, or grows too large.
    pub fn expand(&self, formula: &Node<Term>) -> Result<Node<Input>, Meaningless> {
        let expanded = self.expand_within(formula, &Filter::EVERYTHING, &mut Vec::new())?;
        let inputs = expanded.inputs().len();
        if inputs > INPUTS {
            let message = format!("the formula takes {inputs} inputs, its metrics' included: {INPUTS} are the most");
            return Err(Meaningless { at: None, code: "too_many_inputs", message });
        }
        Ok(expanded)
    }

    fn expand_within(
        &self,
        formula: &Node<Term>,
        filter: &Filter,
        above: &mut Vec<String>,
    ) -> Result<Node<Input>, Meaningless> {
        let refuse = |code, message: String| Err(Meaningless { at: None, code, message });
        let mut taken = 0;
        formula.try_replace(&mut |term| match term {
            Term::Events(input) => {
                let mut input = input.clone();
                input.filter = input.filter.and(filter);
                Ok(Node::Input(input))
            }
            Term::Metric { id, filter: own } => {
                if let Some(start) = above.iter().position(|other| other == id) {
                    let circle = [&above[start..], std::slice::from_ref(id)].concat().join(" → ");
                    return refuse("cycle", format!("the metrics go in a circle: {circle}"));
                }
                let Some(metric) = self.get(id) else {
                    return refuse("unknown_metric", format!("there is no metric {id} any more"));
                };
                if above.len() == DEEPEST {
                    return refuse("too_deep", format!("metrics may stand {DEEPEST} deep within each other"));
                }
                above.push(id.clone());
                let node = self.expand_within(&metric.formula, &own.clone().and(filter), above);
                above.pop();
                let node = node?;
                taken += node.inputs().len();
                if taken > 10 * INPUTS {
                    return refuse("too_many_inputs", format!("the formula takes more than {INPUTS} inputs"));
                }
                Ok(node)
            }
        })
    }

    /// Checks that a new or changed metric fits among the others.
    ///
    /// # Errors
    /// If there is a circle, and which; if it, or a metric that uses it, breaks the rules of its kind.
    pub fn check(&self, changed: &Metric) -> Result<(), Meaningless> {
        let among = self.with(changed.clone());
        for metric in among.own().iter().rev() {
            let mut above = vec![metric.id.clone()];
            let expanded = among.expand_within(&metric.formula, &Filter::EVERYTHING, &mut above)?;
            if expanded.inputs().len() > INPUTS {
                among.expand(&metric.formula)?;
            }
            super::resolve::check_kind(&expanded, metric.definition.kind).map_err(|problem| {
                if metric.id == changed.id {
                    problem
                } else {
                    let message = format!("{} uses it and would break: {}", metric.id, problem.message);
                    Meaningless { message, ..problem }
                }
            })?;
        }
        Ok(())
    }
}

/// Reads a definition's formula and filters and settles their names.
///
/// # Errors
/// Problems with pointers into the definition.
pub fn compile(
    definition: &Definition,
    vocabulary: &Vocabulary,
) -> Result<(Node<Term>, Vec<Resolved>), Vec<super::definition::Problem>> {
    use super::definition::Problem;
    let mut problems = Vec::new();
    let mut filters = Filter::EVERYTHING;
    for (at, text) in definition.filters.iter().enumerate() {
        match parse_filter(text) {
            Ok(filter) => filters = filters.and(&filter),
            Err(error) => {
                problems.push(Problem::new(format!("/filters/{at}"), error.code, error.explain(text)));
            }
        }
    }
    let formula = parse_formula(&definition.formula)
        .map_err(|error| problems.push(Problem::new("/formula", error.code, error.explain(&definition.formula))));
    match formula {
        // Each input takes a copy of the filters along.
        Ok(formula) if formula.inputs().len() > INPUTS => {
            let detail = format!("the formula takes {} inputs: {INPUTS} are the most", formula.inputs().len());
            problems.push(Problem::new("/formula", "too_many_inputs", detail));
            Err(problems)
        }
        Ok(formula) if problems.is_empty() => resolve(&formula, definition.aggregation, &filters, vocabulary)
            .map_err(|problem| vec![problem.into_problem("/formula", &definition.formula)]),
        _ => Err(problems),
    }
}

/// Which splits of a metric with these dimensions are kept: none, each alone, and the first with each other one. The
/// dimensions of each are in order.
#[must_use]
pub fn dimension_sets(dimensions: &[String]) -> Vec<Vec<String>> {
    let mut sets = vec![Vec::new()];
    sets.extend(dimensions.iter().map(|dimension| vec![dimension.clone()]));
    if let Some((first, others)) = dimensions.split_first() {
        sets.extend(others.iter().map(|other| vec![first.clone(), other.clone()]));
    }
    for set in &mut sets {
        set.sort_unstable();
    }
    sets
}

static BUILT_IN: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let vocabulary = Vocabulary::default();
    let metrics = builtin::METRICS.iter().filter_map(|metric| {
        let aggregation = match metric.kind {
            Kind::Counter => Function::Sum,
            Kind::Gauge => Function::Average,
            Kind::Histogram => Function::Percentile(95),
        };
        let definition = Definition {
            name: metric.name.to_owned(),
            kind: metric.kind,
            formula: metric.formula.to_owned(),
            unit: metric.unit.to_owned(),
            aggregation: Aggregation(aggregation),
            filters: Vec::new(),
            dimensions: metric.dimensions.iter().map(|dimension| (*dimension).to_owned()).collect(),
            description: metric.description.to_owned(),
        };
        // A test holds that each of them compiles.
        let (formula, _) = compile(&definition, &vocabulary).ok()?;
        Some(Metric { id: metric.id.to_owned(), definition, formula, version: 1, created_at: 0, updated_at: 0 })
    });
    metrics.collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(id: &str, kind: Kind, formula: &str, among: &Metrics) -> Metric {
        let definition = Definition {
            name: id.to_owned(),
            kind,
            formula: formula.to_owned(),
            unit: String::new(),
            aggregation: Aggregation(Function::Average),
            filters: Vec::new(),
            dimensions: Vec::new(),
            description: String::new(),
        };
        let (formula, _) = compile(&definition, &among.vocabulary(Vec::new(), Some(id))).expect("compiles");
        Metric { id: id.to_owned(), definition, formula, version: 1, created_at: 0, updated_at: 0 }
    }

    #[test]
    fn every_built_in_metric_compiles_and_keeps_to_its_kind() {
        let metrics = Metrics::new(Vec::new());
        for built_in in &builtin::METRICS {
            let metric = metrics.get(built_in.id).expect(built_in.id);
            let expanded = metrics.expand(&metric.formula).expect("expands");
            super::super::resolve::check_kind(&expanded, built_in.kind).expect(built_in.id);
        }
    }

    #[test]
    fn a_circle_is_refused_and_named() {
        let metrics = Metrics::new(Vec::new());
        let metrics = metrics.with(metric("a", Kind::Gauge, "sent", &metrics));
        let metrics = metrics.with(metric("b", Kind::Gauge, "a + 1", &metrics));
        let circle = metric("a", Kind::Gauge, "b * 2", &metrics);
        let error = metrics.check(&circle).expect_err("refused");
        assert_eq!((error.code, error.message.as_str()), ("cycle", "the metrics go in a circle: a → b → a"));
        let own = metric("a", Kind::Gauge, "a * 2", &metrics);
        assert_eq!(metrics.check(&own).expect_err("refused").code, "cycle");
        assert_eq!(metrics.users_of("a").len(), 1);
    }

    #[test]
    fn a_metric_with_the_name_of_an_event_is_made_of_the_event() {
        let metrics = Metrics::new(Vec::new());
        let metrics = metrics.with(metric("sent", Kind::Gauge, "sent", &metrics));
        let again = metric("sent", Kind::Gauge, "sent", &metrics);
        metrics.check(&again).expect("is no circle");
        assert_eq!(again.uses(), [""; 0]);
        assert_eq!(metric("other", Kind::Gauge, "sent", &metrics).uses(), ["sent"]);
    }

    #[test]
    fn a_change_that_breaks_a_metric_above_is_refused() {
        let metrics = Metrics::new(Vec::new());
        let metrics = metrics.with(metric("a", Kind::Counter, "sent", &metrics));
        let metrics = metrics.with(metric("b", Kind::Counter, "a + failed", &metrics));
        metrics.check(&metric("a", Kind::Counter, "2 * sent", &metrics)).expect("fits");
        let error = metrics.check(&metric("a", Kind::Gauge, "sent / failed", &metrics)).expect_err("refused");
        assert_eq!(error.code, "not_additive");
        assert!(error.message.starts_with("b uses it"), "{}", error.message);
    }

    #[test]
    fn the_deepest_metric_is_read_as_it_was_written() {
        use super::super::{DEEPEST, OPERATORS};
        let filter = format!("{}a{}", "(b or c and ".repeat(DEEPEST - 1), ")".repeat(DEEPEST - 1));
        let metrics = Metrics::new(Vec::new());
        for formula in [
            format!("sent{{{filter}}}{}", " + 1".repeat(OPERATORS)),
            format!("{}sent{}{}", "(1 + ".repeat(DEEPEST), ")".repeat(DEEPEST), " + 1".repeat(OPERATORS - DEEPEST)),
        ] {
            let metric = metric("a", Kind::Gauge, &formula, &metrics);
            let json = serde_json::to_string(&metric).expect("can be written");
            assert_eq!(Metric::from_json(&json).expect("can be read"), metric);
        }
        let error = parse_formula(&format!("sent{}", " + 1".repeat(OPERATORS + 1))).expect_err("refused");
        assert_eq!(error.code, "too_many_operators");
    }

    #[test]
    fn filters_reach_the_inputs_of_metrics_within() {
        let metrics = Metrics::new(Vec::new());
        let outer = metric("a", Kind::Gauge, "delivery_rate{groupId=\"g\"}", &metrics);
        let expanded = metrics.expand(&outer.formula).expect("expands");
        assert!(expanded.inputs().iter().all(|input| input.filter.paths().contains(&"groupId")));
    }

    #[test]
    fn metrics_that_double_and_double_are_stopped() {
        let mut metrics = Metrics::new(Vec::new());
        metrics = metrics.with(metric("m0", Kind::Gauge, "sent + failed", &metrics));
        for level in 1..9 {
            let below = format!("m{}", level - 1);
            let next = metric(&format!("m{level}"), Kind::Gauge, &format!("{below} + {below}"), &metrics);
            if let Err(error) = metrics.check(&next) {
                assert_eq!(error.code, "too_many_inputs");
                return;
            }
            metrics = metrics.with(next);
        }
        panic!("never refused");
    }
}
