//! From queries to formulas over events.

use std::convert::Infallible;

use analytics_domain::{
    account::AccountId,
    metric::{
        Aliases, Definition, Filter, GROUP, Input, Kind, Meaningless, Measure, Metrics, Node, Problem, ResolvedKind,
        Vocabulary, check_kind, compile,
    },
};
use analytics_warehouse::{EventWarehouse, metric::EVENT_NAMES};
use tokio::time::timeout_at;

use crate::{AskError, Query, Refusal, compute::Time};

/// A formula to be computed, with what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula {
    /// Of a stored or built-in metric.
    pub metric_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    pub unit: String,
    pub formula: Node<Input>,
}

impl Formula {
    pub(crate) fn of_metric(metrics: &Metrics, id: &str) -> Result<Self, Refusal> {
        let metric = metrics.get(id).ok_or_else(|| Refusal::UnknownMetric(id.to_owned()))?;
        Ok(Self {
            metric_id: Some(metric.id.clone()),
            name: metric.definition.name.clone(),
            kind: metric.definition.kind,
            unit: metric.definition.unit.clone(),
            formula: metrics.expand(&metric.formula).map_err(Refusal::Meaningless)?,
        })
    }

    /// Whether it looks at groups by themselves.
    pub(crate) fn reads_groups(&self) -> bool {
        self.formula.inputs().into_iter().any(|input| {
            let is_group = |paths: &[String]| paths == [GROUP];
            input.property.as_deref() == Some(GROUP)
                || is_group(&input.objects)
                || is_group(&input.within)
                || input.filter.paths().contains(&GROUP)
        })
    }

    /// With filters that find groups under each of their ids.
    pub(crate) fn widened(&self, aliases: &Aliases) -> Self {
        let formula = self.formula.try_replace(&mut |input: &Input| {
            Ok::<_, Infallible>(Node::Input(Input { filter: aliases.widen(&input.filter), ..input.clone() }))
        });
        let Ok(formula) = formula;
        Self { formula, ..self.clone() }
    }

    /// Whether it depends on what was before the time that is asked about.
    pub(crate) fn is_carried(&self) -> bool {
        self.formula.inputs().into_iter().any(|input| input.measure().parts().is_some())
    }

    /// With another condition for the inputs of some amounts: those whose measure of currencies `is_chosen`.
    pub(crate) fn narrowed(&self, by: &Filter, is_chosen: impl Fn(&Measure) -> bool) -> Self {
        let formula = self.formula.try_replace(&mut |input: &Input| {
            let mut input = input.clone();
            if input.currencies().is_some_and(|measure| is_chosen(&measure)) {
                input.filter = input.filter.and(by);
            }
            Ok::<_, Infallible>(Node::Input(input))
        });
        let Ok(formula) = formula;
        Self { formula, ..self.clone() }
    }

    /// Of a definition; and whether each name in it is that of a metric or an event as it stands.
    fn of_definition(
        definition: &Definition,
        metrics: &Metrics,
        vocabulary: &Vocabulary,
    ) -> Result<(Self, bool), Vec<Problem>> {
        let (formula, resolved) = compile(definition, vocabulary)?;
        let is_exact = resolved.iter().all(|one| one.kind == ResolvedKind::Metric || one.name == one.means);
        let problem = |problem: Meaningless| vec![problem.into_problem("/formula", &definition.formula)];
        let formula = metrics.expand(&formula).map_err(problem)?;
        check_kind(&formula, definition.kind).map_err(problem)?;
        let Definition { name, kind, unit, .. } = definition.clone();
        Ok((Self { metric_id: None, name, kind, unit, formula }, is_exact))
    }
}

/// The formulas of all queries.
pub(crate) async fn formulas(
    warehouse: &EventWarehouse,
    account_id: &AccountId,
    metrics: &Metrics,
    queries: &[Query],
    time: Time,
) -> Result<Vec<Formula>, AskError> {
    let compile = |events| {
        let vocabulary = metrics.vocabulary(events, None);
        let formula = |query: &Query| match query {
            Query::Metric(id) => Formula::of_metric(metrics, id).map(|formula| (formula, true)),
            Query::Formula(definition) => {
                Formula::of_definition(definition, metrics, &vocabulary).map_err(Refusal::Invalid)
            }
        };
        queries.iter().map(formula).collect::<Vec<_>>()
    };
    let mut events = Vec::new();
    let mut found = compile(Vec::new());
    // Which events have come matters only where names are not those of events and metrics as they stand.
    let is_settled = |one: &Result<(Formula, bool), Refusal>| match one {
        Ok((_, is_exact)) => *is_exact,
        Err(refusal) => !matches!(refusal, Refusal::Invalid(_)),
    };
    if !found.iter().all(is_settled) {
        let names = timeout_at(time.deadline, warehouse.event_names(account_id, time.now)).await;
        events = names.map_err(|_| AskError::no_time())??;
        found = compile(events.clone());
    }
    let (mut formulas, mut refused) = (Vec::new(), Vec::new());
    for (index, one) in found.into_iter().enumerate() {
        match one {
            Ok((formula, _)) => formulas.push(formula),
            Err(Refusal::Invalid(problems)) => {
                refused.push((index, Refusal::Invalid(about_names(problems, events.len()))));
            }
            Err(refusal) => refused.push((index, refusal)),
        }
    }
    if refused.is_empty() { Ok(formulas) } else { Err(AskError::Queries(refused)) }
}

/// Problems with names where only so many names of events were known: says so.
#[must_use]
pub fn about_names(mut problems: Vec<Problem>, known: usize) -> Vec<Problem> {
    if known >= EVENT_NAMES {
        for problem in problems.iter_mut().filter(|problem| problem.code == "unknown_name") {
            problem.detail += ". The account sends more names than formulas are read with: of the last 30 days, the ";
            problem.detail += &format!("{EVENT_NAMES} that came last are known, and any other stands in quotes");
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_says_so_where_not_all_names_are_known() {
        let problems =
            || vec![Problem::new("/formula", "unknown_name", "no event"), Problem::new("/name", "required", "x")];
        let told = about_names(problems(), EVENT_NAMES);
        assert!(told[0].detail.contains("2000 that came last") && told[0].detail.contains("quotes"), "{told:?}");
        assert_eq!(told[1].detail, "x");
        assert_eq!(about_names(problems(), EVENT_NAMES - 1), problems());
    }
}
