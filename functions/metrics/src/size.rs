//! How much an account may define. Whoever answers its questions or computes its rollups holds all of it in memory.

use std::collections::BTreeSet;

use analytics_domain::metric::{Metric, Metrics, Problem};
use analytics_http::ApiError;
use analytics_questions::invalid_fields;
use analytics_warehouse::metric::Plan;
use http::StatusCode;

/// Bytes of one metric as stored: its definition, and its formula with a copy of the filters at each input.
const METRIC_BYTES: usize = 8_192;

/// Bytes of all metrics of an account as stored.
const ACCOUNT_BYTES: usize = 1_048_576;

/// Bytes of a formula with the formulas of its metrics put in.
pub const EXPANDED_BYTES: usize = 65_536;

/// Refuses a new or changed metric that takes too much by itself, together with the metrics in its formula or with all others.
///
/// # Errors
/// 422, with the size and the limit.
pub fn check(metrics: &Metrics, changed: &Metric) -> Result<(), ApiError> {
    let bytes = stored(changed);
    if bytes > METRIC_BYTES {
        return Err(too_large(format!(
            "the metric takes {bytes} bytes as stored: {METRIC_BYTES} are the most. Every input of the formula takes a copy of \
             the filters: move parts of the formula into metrics of their own, or shorten lists of values"
        )));
    }
    let among = metrics.with(changed.clone());
    for metric in affected(&among, &changed.id) {
        let Ok(formula) = among.expand(&metric.formula) else { continue };
        let bytes = json_bytes(&formula);
        if bytes > EXPANDED_BYTES {
            return Err(too_large(format!(
                "the formula of {} takes {bytes} bytes with those of its metrics: {EXPANDED_BYTES} are the most",
                metric.id
            )));
        }
    }
    let all = |metrics: &Metrics| metrics.own().iter().map(stored).sum::<usize>();
    let (before, after) = (all(metrics), all(&among));
    // A change that makes it less is welcome, whatever there was before.
    if after > ACCOUNT_BYTES && after > before {
        let detail = format!(
            "the metrics of an account take at most {ACCOUNT_BYTES} bytes together, and would take {after}: delete some or make \
             them smaller"
        );
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_metrics", detail));
    }
    let series = Plan::count(&among);
    if series > Plan::SERIES && series > Plan::count(metrics) {
        let detail = format!(
            "the metrics of an account need at most {} series together, and would need {series}: each different input needs one, \
             or two for each dimension of its metric, and twice as many if it may be an amount of money. Remove dimensions: \
             splits by other properties work too, more slowly",
            Plan::SERIES
        );
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_series", detail));
    }
    Ok(())
}

/// The metric and all those with it somewhere in their formulas.
fn affected<'m>(metrics: &'m Metrics, id: &str) -> Vec<&'m Metric> {
    let mut ids = BTreeSet::from([id]);
    loop {
        let uses_one = |metric: &&Metric| !ids.contains(&*metric.id) && metric.uses().iter().any(|id| ids.contains(id));
        let more: Vec<&str> = metrics.own().iter().filter(uses_one).map(|metric| &*metric.id).collect();
        if more.is_empty() {
            return metrics.own().iter().filter(|metric| ids.contains(&*metric.id)).collect();
        }
        ids.extend(more);
    }
}

fn stored(metric: &Metric) -> usize {
    json_bytes(metric)
}

fn json_bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

fn too_large(detail: String) -> ApiError {
    invalid_fields(vec![Problem::new("/formula", "too_large", detail)])
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::{Definition, compile};
    use serde_json::json;

    use super::*;

    fn metric(id: &str, formula: &str, filters: &[String], among: &Metrics) -> Metric {
        split(id, formula, filters, &[], among)
    }

    fn split(id: &str, formula: &str, filters: &[String], dimensions: &[String], among: &Metrics) -> Metric {
        let body =
            json!({"name": id, "type": "gauge", "formula": formula, "filters": filters, "dimensions": dimensions});
        let definition = Definition::from_json(body.as_object().expect("is an object"), &[]).expect("is a definition");
        let (formula, _) = compile(&definition, &among.vocabulary(Vec::new(), Some(id))).expect("compiles");
        Metric { id: id.to_owned(), definition, formula, version: 1, created_at: 0, updated_at: 0 }
    }

    fn filter(bytes: usize) -> String {
        format!("a = \"{}\"", "x".repeat(bytes))
    }

    fn code(refused: Result<(), ApiError>) -> Option<String> {
        let error = refused.err()?;
        Some(error.errors.first().map_or(error.code.to_owned(), |error| error.code.clone()))
    }

    #[test]
    fn a_metric_of_a_few_kilobytes_is_kept_and_a_larger_one_is_refused() {
        let none = Metrics::new(Vec::new());
        assert_eq!(code(check(&none, &metric("a", "sent + failed", &[filter(2_000)], &none))), None);
        // Forty inputs with a filter each.
        let formula = vec!["sent"; 40].join(" + ");
        let refused = check(&none, &metric("a", &formula, &[filter(500)], &none));
        assert_eq!(code(refused).as_deref(), Some("too_large"));
    }

    #[test]
    fn metrics_within_metrics_are_bounded_where_they_are_put_together() {
        let mut metrics = Metrics::new(Vec::new());
        let twenty = vec!["sent"; 20].join(" + ");
        metrics = metrics.with(metric("base", &twenty, &[], &metrics));
        let top = metric("top", &format!("base{{{}}}", filter(1_700)), &[filter(1_700)], &metrics);
        let refused = check(&metrics, &top).expect_err("twenty inputs with 3,400 bytes each");
        assert!(refused.errors[0].detail.contains("the formula of top"), "{:?}", refused.errors);
        // The same, found when the metric below grows.
        let mut metrics = Metrics::new(Vec::new());
        metrics = metrics.with(metric("base", "sent", &[], &metrics));
        let top = metric("top", &format!("base{{{}}}", filter(3_500)), &[], &metrics);
        assert_eq!(code(check(&metrics, &top)), None);
        metrics = metrics.with(top);
        let grown = metric("base", &twenty, &[], &metrics);
        let refused = check(&metrics, &grown).expect_err("refused");
        assert!(refused.errors[0].detail.contains("the formula of top"), "{:?}", refused.errors);
    }

    #[test]
    fn an_account_is_bounded_and_may_always_define_less() {
        let mut own = Vec::new();
        let none = Metrics::new(Vec::new());
        for number in 0..400 {
            own.push(metric(&format!("m{number}"), "sent", &[filter(1_300)], &none));
        }
        let metrics = Metrics::new(own);
        assert!(metrics.own().iter().map(stored).sum::<usize>() > ACCOUNT_BYTES, "as an account of before may have");
        let refused = check(&metrics, &metric("one_more", "sent", &[], &none));
        assert_eq!(code(refused).as_deref(), Some("too_many_metrics"));
        assert_eq!(code(check(&metrics, &metric("m7", "sent", &[], &none))), None);
    }

    #[test]
    fn the_series_of_an_account_are_bounded_and_may_always_become_fewer() {
        let dimensions = |number: usize| (0..4).map(|at| format!("d{number}x{at}")).collect::<Vec<_>>();
        let formula: Vec<String> = (0..40).map(|number| format!("\"name_{number}\"")).collect();
        let none = Metrics::new(Vec::new());
        let base = none.with(metric("base", &formula.join(" + "), &[], &none));
        let of_base = |number: usize| split(&format!("m{number}"), "base", &[], &dimensions(number), &base);
        // 40 without a split, and 280 splits of each further metric.
        let with = |count: usize| Metrics::new(base.own().iter().cloned().chain((0..count).map(of_base)).collect());
        assert_eq!(code(check(&with(6), &of_base(6))), None);
        let refused = check(&with(7), &of_base(7)).expect_err("refused");
        assert_eq!(refused.code, "too_many_series");
        assert!(refused.detail.contains("2000 series") && refused.detail.contains("2280"), "{}", refused.detail);
        // The same dimensions again need nothing more.
        let again = split("again", "base", &[], &dimensions(3), &base);
        assert_eq!(code(check(&with(7), &again)), None);
        // As an account of before may have.
        let many = with(20);
        let fewer = split("m7", "base", &[], &dimensions(7)[..2], &base);
        assert_eq!(code(check(&many, &fewer)), None);
    }
}
