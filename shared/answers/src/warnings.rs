//! What may surprise the reader of an answer.

use analytics_domain::metric::{Answer as Numbers, Function, Input, Node, Operator, Reason, SeriesAnswer};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{compute::Settled, formulas::Formula};

/// Units in which a rate is a number of percent.
const PERCENT: [&str; 4] = ["percentage", "percent", "pct", "%"];

/// A warning about an answer or a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Warning {
    /// Stable name of the warning.
    pub code: &'static str,
    pub detail: String,
}

const RANGE_CUT: &str = "the range, or the one to compare with, reaches back beyond how long events are kept: it was cut there, or left \
                         out";

/// The range was cut.
pub(crate) fn range_cut() -> Warning {
    Warning { code: "range_cut", detail: RANGE_CUT.to_owned() }
}

/// What may surprise in an answer.
pub(crate) fn warnings(formula: &Formula, settled: &Settled, now: &Numbers, before: Option<&Numbers>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail: &str| warnings.push(Warning { code, detail: detail.to_owned() });
    if settled.clipped {
        warn("range_cut", RANGE_CUT);
    }
    let values = || now.iter().chain(before.into_iter().flatten()).flat_map(values);
    if values().any(|value| value == Err(Reason::SeveralCurrencies)) {
        let detail = "amounts of several currencies are not added: ask for one with currency=USD, or split them with \
                      groupBy=currency";
        warn("several_currencies", detail);
    }
    let is_over = |value: Result<f64, Reason>| value.is_ok_and(|value| value > 100.0 + 1e-9);
    if let Some((part, whole)) = rate(&formula.formula).filter(|_| is_percent(&formula.unit))
        && values().any(is_over)
    {
        let (parts, wholes) = (part.join(" and "), whole.join(" and "));
        let cause = if part.contains(&"message_delivered") {
            "deliveries of messages sent before the period".to_owned()
        } else {
            format!("events whose {wholes} lies before the period or is missing")
        };
        warn("over_100_percent", &format!("a value is over 100 %, since {parts} also counts {cause}"));
    }
    warnings
}

fn values(series: &SeriesAnswer) -> impl Iterator<Item = Result<f64, Reason>> {
    series.points.iter().map(|point| point.value).chain([series.total])
}

fn is_percent(unit: &str) -> bool {
    PERCENT.contains(&unit.trim().to_lowercase().as_str())
}

/// The names of events of which some are counted, and of those that they are divided by, if that is what a formula does.
fn rate(formula: &Node<Input>) -> Option<(Vec<&str>, Vec<&str>)> {
    let Node::Binary(operator, left, right) = formula else { return None };
    match operator {
        Operator::Multiply if left.constant().is_some() => rate(right),
        Operator::Multiply | Operator::Divide if right.constant().is_some() => rate(left),
        Operator::Divide => Some((counted(left)?, counted(right)?)),
        _ => None,
    }
}

/// The names of events that a formula counts, if it does nothing else.
fn counted(formula: &Node<Input>) -> Option<Vec<&str>> {
    match formula {
        Node::Input(input) => {
            let counts = matches!(input.function, Function::Count | Function::Unique);
            counts.then(|| vec![input.event_name.as_str()])
        }
        Node::Binary(Operator::Multiply, left, right) if left.constant().is_some() => counted(right),
        Node::Binary(Operator::Multiply | Operator::Divide, left, right) if right.constant().is_some() => counted(left),
        Node::Binary(Operator::Add | Operator::Subtract, left, right) => {
            let mut names = counted(left)?;
            names.extend(counted(right)?);
            names.dedup();
            Some(names)
        }
        Node::Binary(..) | Node::Number(_) | Node::Negate(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::{Key, Metrics, Point, QueryDraft};

    use super::*;

    fn warned(metric: &str, total: Result<f64, Reason>, point: Result<f64, Reason>) -> Vec<(&'static str, String)> {
        let formula = Formula::of_metric(&Metrics::new(Vec::new()), metric).expect("is built in");
        let window = QueryDraft::default().read(1_795_512_600_000).expect("makes sense");
        let settled = window.settle(1, 1_795_512_600_000, 400).expect("makes sense");
        let answer = vec![SeriesAnswer { key: Key::All, total, points: vec![Point { time: 0, value: point }] }];
        let found = warnings(&formula, &settled, &answer, None);
        found.into_iter().map(|warning| (warning.code, warning.detail)).collect()
    }

    #[test]
    fn a_rate_over_a_hundred_percent_carries_its_reason() {
        for (total, point) in [(Ok(102.0), Ok(1.0)), (Ok(99.0), Ok(102.0))] {
            let [(code, detail)] = &warned("delivery_rate", total, point)[..] else { panic!("one warning") };
            assert_eq!(*code, "over_100_percent");
            assert!(detail.contains("deliveries of messages sent before the period"), "{detail}");
        }
        let [(_, detail)] = &warned("join_rate", Ok(293.0), Ok(1.0))[..] else { panic!("one warning") };
        assert!(detail.contains("member_joined") && detail.contains("link_clicked"), "{detail}");
        for fine in ["delivery_rate", "error_rate", "join_rate"] {
            assert_eq!(warned(fine, Ok(100.0), Err(Reason::ZeroDenominator)), []);
        }
        // Those have no whole that they would be a part of.
        for other in ["roi", "er", "net_growth", "flood_wait_per_1k"] {
            assert_eq!(warned(other, Ok(293.0), Ok(1.0)), [], "{other}");
        }
    }

    #[test]
    fn amounts_that_were_not_added_say_how_to_split_them() {
        for (total, point) in [(Err(Reason::SeveralCurrencies), Ok(1.0)), (Ok(1.0), Err(Reason::SeveralCurrencies))] {
            let [(code, detail)] = &warned("roi", total, point)[..] else { panic!("one warning") };
            assert_eq!(*code, "several_currencies");
            assert!(detail.contains("currency=USD") && detail.contains("groupBy=currency"), "{detail}");
        }
        assert_eq!(warned("roi", Err(Reason::ZeroDenominator), Ok(1.0)), []);
    }
}
