//! What is kept of an account's metrics, within bounds.

use std::collections::HashSet;

use analytics_domain::metric::{Input, Metrics, dimension_sets};
use analytics_warehouse::metric::Plan;

/// Bytes of a metric that is read. Metrics of before the present limits may have more: they are answered from events.
pub(crate) const METRIC_BYTES: usize = 65_536;

/// Bytes of all metrics of an account that are read.
pub(crate) const ACCOUNT_BYTES: usize = 2 * 1_048_576;

/// Bytes of a formula with its metrics' formulas put in.
const FORMULA_BYTES: usize = 65_536;

/// Different measures that are kept of an account, and their bytes.
const MEASURES: usize = 1_200;
const MEASURES_BYTES: usize = 1_048_576;

/// What all metrics of an account need, and how many metrics are left out because there are too many or they are too large. Those
/// are answered from events.
pub(crate) fn plan(metrics: &Metrics) -> (Plan, usize) {
    let mut plan = Plan::default();
    let mut known: HashSet<String> = HashSet::new();
    let (mut bytes, mut left_out) = (0, 0);
    // The built-in ones first: they are kept whatever an account defines.
    let mut all: Vec<_> = metrics.all().collect();
    all.sort_by_key(|metric| !metrics.is_built_in(&metric.id));
    for metric in all {
        // A metric whose formula has lost its meaning answers with an error, not from rollups.
        let Ok(formula) = metrics.expand(&metric.formula) else { continue };
        let measures: Vec<_> = formula.inputs().into_iter().flat_map(Input::measures).collect();
        let named = measures.iter().map(|measure| serde_json::to_string(measure).unwrap_or_default());
        let new: HashSet<String> = named.filter(|name| !known.contains(name)).collect();
        let new_bytes: usize = new.iter().map(String::len).sum();
        let is_over = bytes + new_bytes > MEASURES_BYTES || known.len() + new.len() > MEASURES;
        if new_bytes > FORMULA_BYTES || is_over {
            left_out += 1;
            continue;
        }
        bytes += new_bytes;
        known.extend(new);
        let sets = dimension_sets(&metric.definition.dimensions);
        for measure in &measures {
            plan.add(measure, &sets);
        }
    }
    (plan, left_out)
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::{Definition, Metric, compile};
    use serde_json::json;

    use super::*;

    fn metric(number: usize, inputs: usize, filter_bytes: usize) -> Metric {
        let input = |at: usize| format!("\"event {number} {at}\"");
        let formula = (0..inputs).map(input).collect::<Vec<_>>().join(" + ");
        let filters = [format!("a = \"{}\"", "x".repeat(filter_bytes))];
        let body = json!({"name": format!("m{number}"), "type": "gauge", "formula": formula, "filters": filters});
        let definition = Definition::from_json(body.as_object().expect("is an object"), &[]).expect("is a definition");
        let (formula, _) = compile(&definition, &Default::default()).expect("compiles");
        Metric { id: format!("m{number}"), definition, formula, version: 1, created_at: 0, updated_at: 0 }
    }

    #[test]
    fn an_account_is_kept_within_bounds_whatever_it_has_defined() {
        let (built_in, left_out) = plan(&Metrics::new(Vec::new()));
        assert_eq!(left_out, 0);
        // Many large metrics, as were allowed before.
        let (large, left_out) = plan(&Metrics::new((0..150).map(|number| metric(number, 40, 3_000)).collect()));
        assert_eq!(left_out, 150);
        assert_eq!(large.series().len(), built_in.series().len());
        // Many small ones.
        let (many, left_out) = plan(&Metrics::new((0..500).map(|number| metric(number, 10, 10)).collect()));
        assert!(left_out > 300, "{left_out}");
        let kept = many.series().len() - built_in.series().len();
        assert!((1_000..=MEASURES).contains(&kept), "{kept}");
    }
}
