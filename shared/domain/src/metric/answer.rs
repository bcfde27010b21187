//! From what was found in the tables to the answer: formulas over inputs, order, gaps.

use std::collections::BTreeMap;

use super::{
    input::{Input, Measure, Of, Reason, State},
    query::{Order, Ranking},
    syntax::{Function, Node, Operator},
};
use crate::time::EpochMillis;

/// A formula made ready: its inputs once each, with the places of the measures that they read.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// Over places in `inputs`.
    formula: Node<usize>,
    /// Each input's function, and the place of its measure.
    inputs: Vec<(Function, usize)>,
    /// The places of the measures that tell the currencies of its amounts.
    currencies: Vec<usize>,
    /// The places of the measures that start with what was before.
    starts: Vec<usize>,
    /// Levels: a bucket without a value has that of the one before.
    goes_on: bool,
}

impl Compiled {
    /// Adds the measures that it reads to those that others read, so that all can be answered from the same cells.
    #[must_use]
    pub fn new(formula: &Node<Input>, measures: &mut Vec<Measure>) -> Self {
        let (mut inputs, mut currencies, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        let formula = formula.try_replace(&mut |input| {
            let measure = input.measure();
            let is_start = matches!(measure.of, Of::Start { .. });
            let measure = place(measures, measure);
            if is_start {
                place(&mut starts, measure);
            }
            if let Some(of_input) = input.currencies() {
                let measure = place(measures, of_input);
                place(&mut currencies, measure);
            }
            Ok::<_, std::convert::Infallible>(Node::Input(place(&mut inputs, (input.function, measure))))
        });
        let Ok(formula) = formula;
        let is_level = |function| matches!(function, Function::First | Function::Last | Function::MeanLast);
        let goes_on = inputs.iter().all(|(function, _)| is_level(*function));
        Self { formula, inputs, currencies, starts, goes_on }
    }

    /// Whether it reads the measure at this place.
    #[must_use]
    pub fn reads(&self, measure: usize) -> bool {
        self.read().any(|read| read == measure)
    }

    fn read(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().map(|(_, measure)| *measure).chain(self.currencies.iter().copied())
    }

    /// Whether all amounts have the same currency. Those without one do not tell.
    fn has_one_currency(&self, states: &[State]) -> bool {
        let mut all = State::default();
        self.currencies.iter().for_each(|measure| all.add(&states[*measure]));
        // Whole numbers under 2^53, which doubles hold exactly.
        all.count == 0 || all.low.total_cmp(&all.high).is_eq()
    }

    /// States of all measures up to the last that it reads, of nothing.
    fn nothing(&self) -> States {
        vec![State::default(); self.read().map(|measure| measure + 1).max().unwrap_or(0)]
    }

    /// The formula's value over what was found, a state for each measure.
    ///
    /// # Errors
    /// Why there is none.
    pub fn value(&self, states: &[State]) -> Result<f64, Reason> {
        if !self.has_one_currency(states) {
            return Err(Reason::SeveralCurrencies);
        }
        let value = evaluate(&self.formula, &|input: usize| {
            let (function, measure) = self.inputs[input];
            function.read(&states[measure])
        })?;
        if value.is_finite() { Ok(value) } else { Err(Reason::Overflow) }
    }
}

fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

fn evaluate(node: &Node<usize>, read: &impl Fn(usize) -> Result<f64, Reason>) -> Result<f64, Reason> {
    match node {
        Node::Number(number) => Ok(*number),
        Node::Input(input) => read(*input),
        Node::Negate(node) => evaluate(node, read).map(|value| -value),
        Node::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, read)?, evaluate(right, read)?);
            if *operator == Operator::Divide && right == 0.0 {
                return Err(Reason::ZeroDenominator);
            }
            Ok(operator.apply(left, right))
        }
    }
}

/// Whose number it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// All events.
    All,
    /// Those with these values of the dimensions, none where an event lacks one.
    Group(Vec<Option<String>>),
    /// All groups that are not among the first ones.
    Other,
}

/// What one measure came to for one key in one bucket, or in all.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its place among the measures that were asked for.
    pub measure: usize,
    pub key: Key,
    /// Start of the bucket; none for the whole range. Of [`Of::Start`] there is one bucket more, before the range.
    pub bucket: Option<EpochMillis>,
    pub state: State,
}

/// A number in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Start of the bucket.
    pub time: EpochMillis,
    pub value: Result<f64, Reason>,
}

/// The numbers of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAnswer {
    pub key: Key,
    /// The formula over the whole range.
    pub total: Result<f64, Reason>,
    pub points: Vec<Point>,
}

/// The numbers of all keys.
pub type Answer = Vec<SeriesAnswer>;

/// States by measure.
type States = Vec<State>;

/// Puts the cells that a formula reads together, one series for each key, in the order of the keys. `starts` are those of the
/// buckets; none if only totals were asked for. There is a series for [`Key::All`] even if nothing was found and `all` is set.
#[must_use]
pub fn assemble(compiled: &Compiled, cells: Vec<Cell>, starts: &[EpochMillis], all: bool) -> Answer {
    let empty = compiled.nothing();
    let mut series: BTreeMap<Key, (States, BTreeMap<EpochMillis, States>)> = BTreeMap::new();
    if all {
        series.insert(Key::All, (empty.clone(), BTreeMap::new()));
    }
    for cell in cells.into_iter().filter(|cell| compiled.reads(cell.measure)) {
        let (total, buckets) = series.entry(cell.key).or_insert_with(|| (empty.clone(), BTreeMap::new()));
        let states = match cell.bucket {
            None => total,
            Some(start) => buckets.entry(start).or_insert_with(|| empty.clone()),
        };
        states[cell.measure] = cell.state;
    }
    let answer = series.into_iter().map(|(key, (total, mut buckets))| {
        let mut last = Err(Reason::NoValues);
        start_with_what_was(compiled, &mut buckets, starts, &empty);
        let points = starts.iter().map(|start| {
            let value = compiled.value(buckets.get(start).unwrap_or(&empty));
            let value = if compiled.goes_on && value == Err(Reason::NoValues) { last } else { value };
            last = value;
            Point { time: *start, value }
        });
        let points = points.collect();
        SeriesAnswer { key, total: compiled.value(&total), points }
    });
    answer.collect()
}

/// Puts into each bucket what its objects started with.
fn start_with_what_was(
    compiled: &Compiled,
    buckets: &mut BTreeMap<EpochMillis, States>,
    starts: &[EpochMillis],
    empty: &States,
) {
    if compiled.starts.is_empty() {
        return;
    }
    for start in starts {
        buckets.entry(*start).or_insert_with(|| empty.clone());
    }
    for place in &compiled.starts {
        let mut before = State::default();
        for states in buckets.values_mut() {
            let state = &mut states[*place];
            let change = state.high;
            state.count += before.count;
            state.sum += before.sum;
            before = State { count: state.count, sum: before.sum + change, ..State::default() };
        }
    }
}

/// Adds up the groups that are not to be shown. All measures must [add up](super::Of::adds_up).
#[must_use]
pub fn with_others(cells: Vec<Cell>, shown: &[Key]) -> Vec<Cell> {
    let mut others: BTreeMap<(usize, Option<EpochMillis>), State> = BTreeMap::new();
    let mut kept = Vec::with_capacity(cells.len());
    for cell in cells {
        if shown.contains(&cell.key) {
            kept.push(cell);
        } else {
            others.entry((cell.measure, cell.bucket)).or_default().add(&cell.state);
        }
    }
    let other = |((measure, bucket), state)| Cell { measure, key: Key::Other, bucket, state };
    kept.extend(others.into_iter().map(other));
    kept
}

/// The keys that come first by their totals; groups without a value come last, equals by their key.
#[must_use]
pub fn rank(answer: Answer, ranking: Ranking) -> Vec<Key> {
    let mut groups: Vec<SeriesAnswer> =
        answer.into_iter().filter(|series| matches!(series.key, Key::Group(_))).collect();
    groups.sort_by(|left, right| {
        let by_total = match (left.total, right.total) {
            (Ok(left), Ok(right)) => match ranking.order {
                Order::Largest => right.total_cmp(&left),
                Order::Smallest => left.total_cmp(&right),
                Order::Key => std::cmp::Ordering::Equal,
            },
            (left, right) if ranking.order != Order::Key => left.is_err().cmp(&right.is_err()),
            _ => std::cmp::Ordering::Equal,
        };
        by_total.then_with(|| left.key.cmp(&right.key))
    });
    groups.truncate(ranking.limit);
    groups.into_iter().map(|series| series.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Filter, parse_formula};

    fn compiled(formula: &str) -> Compiled {
        compiled_beside(formula, &mut Vec::new())
    }

    fn compiled_beside(formula: &str, measures: &mut Vec<Measure>) -> Compiled {
        let formula = parse_formula(formula).expect("can be read");
        let formula = formula.try_replace(&mut |input| {
            Ok::<_, ()>(Node::Input(Input {
                event_name: input.name.text.clone(),
                function: input.function.unwrap_or(Function::Count),
                property: input.property.clone(),
                objects: Vec::new(),
                within: Vec::new(),
                filter: Filter::EVERYTHING,
            }))
        });
        Compiled::new(&formula.expect("holds events"), measures)
    }

    fn count(count: u64) -> State {
        State { count, ..State::default() }
    }

    #[test]
    fn groups_that_are_not_shown_add_up() {
        let group = |name: &str| Key::Group(vec![Some(name.to_owned())]);
        let values = |low: f64, high: f64| State {
            count: 2,
            sum: low + high,
            low,
            high,
            bins: vec![(1, 1), (high as i32, 1)],
            ..State::default()
        };
        let cell = |name, bucket, state| Cell { measure: 0, key: group(name), bucket, state };
        let cells = vec![
            cell("a", None, values(1.0, 9.0)),
            cell("b", None, values(2.0, 3.0)),
            cell("c", None, values(-1.0, 3.0)),
            cell("b", Some(60), values(2.0, 3.0)),
        ];
        let found = with_others(cells, &[group("a")]);
        let other = State { count: 4, sum: 7.0, low: -1.0, high: 3.0, bins: vec![(1, 2), (3, 2)], ..State::default() };
        let others = |bucket, state| Cell { measure: 0, key: Key::Other, bucket, state };
        assert_eq!(found, [cell("a", None, values(1.0, 9.0)), others(None, other), others(Some(60), values(2.0, 3.0))]);
    }

    #[test]
    fn equal_inputs_are_one_and_functions_of_a_property_share_a_measure() {
        let mut measures = Vec::new();
        let compiled = compiled_beside("(a + a) / b + max(c.x) - min(c.x)", &mut measures);
        assert_eq!((compiled.inputs.len(), measures.len(), compiled.currencies.len()), (4, 4, 1));
    }

    #[test]
    fn formulas_share_cells_and_keep_to_their_own() {
        let mut measures = Vec::new();
        let [rate, sent] = ["a / b", "b"].map(|formula| compiled_beside(formula, &mut measures));
        assert_eq!(measures.len(), 2);
        let group = |name: &str| Key::Group(vec![Some(name.to_owned())]);
        let cell = |measure, name, n| Cell { measure, key: group(name), bucket: None, state: count(n) };
        let cells = vec![cell(0, "x", 3), cell(1, "x", 4), cell(0, "y", 5)];
        let totals = |compiled| {
            let answer = assemble(compiled, cells.clone(), &[], false);
            answer.into_iter().map(|series| (series.key, series.total)).collect::<Vec<_>>()
        };
        assert_eq!(totals(&sent), [(group("x"), Ok(4.0))]);
        assert_eq!(totals(&rate), [(group("x"), Ok(0.75)), (group("y"), Err(Reason::ZeroDenominator))]);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let rate = compiled("100 * a / b");
        assert_eq!(rate.value(&[count(870), count(1000)]), Ok(87.0));
        assert_eq!(rate.value(&[count(0), count(0)]), Err(Reason::ZeroDenominator));
        assert_eq!(compiled("a / (b - b)").value(&[count(1), count(1)]), Err(Reason::ZeroDenominator));
        assert_eq!(compiled("avg(a.x)").value(&[count(0), count(0)]), Err(Reason::NoValues));
        assert_eq!(compiled("a * 1e308 * 1e308").value(&[count(1)]), Err(Reason::Overflow));
    }

    #[test]
    fn amounts_of_several_currencies_have_no_value_in_total_by_bucket_and_among_the_others() {
        let mut measures = Vec::new();
        let roi = compiled_beside("(sum(sold.value) - sum(cost.amount)) / count", &mut measures);
        assert_eq!(measures.len(), 5);
        let group = |name: &str| Key::Group(vec![Some(name.to_owned())]);
        let cells = |key: &Key, bucket, [sold, cost]: [Option<f64>; 2]| {
            let money = |measure, hash: Option<f64>| {
                let cell = |measure, state| Cell { measure, key: key.clone(), bucket, state };
                let sum = State { count: 1, sum: 5.0, ..State::default() };
                let hash = hash.map(|hash| State { count: 1, low: hash, high: hash, ..State::default() });
                [Some(cell(measure, sum)), hash.map(|state| cell(measure + 1, state))].into_iter().flatten()
            };
            let count = Cell { measure: 4, key: key.clone(), bucket, state: count(1) };
            money(0, sold).chain(money(2, cost)).chain([count]).collect::<Vec<_>>()
        };
        let (usd, rub) = (Some(7.0), Some(9.0));
        let totals = |cells: Vec<Cell>| {
            let answer = assemble(&roi, cells, &[10, 20], false);
            answer.into_iter().map(|series| (series.total, series.points[1].value)).collect::<Vec<_>>()
        };
        let several = Err(Reason::SeveralCurrencies);
        // One within each input, but not the same; one; none that is told.
        for (currencies, wanted) in
            [([usd, rub], several), ([usd, usd], Ok(0.0)), ([usd, None], Ok(0.0)), ([None, None], Ok(0.0))]
        {
            let both = [cells(&Key::All, None, currencies), cells(&Key::All, Some(20), [usd, usd])].concat();
            assert_eq!(totals(both), [(wanted, Ok(0.0))], "{currencies:?}");
            let both = [cells(&Key::All, None, [usd, usd]), cells(&Key::All, Some(20), currencies)].concat();
            assert_eq!(totals(both), [(Ok(0.0), wanted)], "{currencies:?}");
        }
        let groups = [cells(&group("a"), None, [usd, usd]), cells(&group("b"), None, [rub, rub])].concat();
        assert_eq!(totals(groups.clone()), [(Ok(0.0), Err(Reason::ZeroDenominator)); 2]);
        let others: Vec<_> = totals(with_others(groups, &[])).into_iter().map(|(total, _)| total).collect();
        assert_eq!(others, [several]);
    }

    #[test]
    fn levels_go_on_and_counts_do_not() {
        let cell = |bucket| Cell {
            measure: 0,
            key: Key::All,
            bucket,
            state: State { count: 1, sum: 7.0, ..State::default() },
        };
        let values = |formula: &str| {
            let answer = assemble(&compiled(formula), vec![cell(None), cell(Some(20))], &[10, 20, 30], true);
            answer[0].points.iter().map(|point| point.value).collect::<Vec<_>>()
        };
        assert_eq!(values("last(a.x)"), [Err(Reason::NoValues), Ok(7.0), Ok(7.0)]);
        assert_eq!(values("a"), [Ok(0.0), Ok(1.0), Ok(0.0)]);
    }

    #[test]
    fn buckets_start_with_what_was_before() {
        let cell = |bucket, count, sum, high| Cell {
            measure: 0,
            key: Key::All,
            bucket,
            state: State { count, sum, high, ..State::default() },
        };
        let compiled = compiled("first(group_stats_sampled.members)");
        // Two groups before; a third comes in the second bucket with 5 and ends it with 6, while the others grow by 3.
        let cells = vec![
            cell(None, 3, 105.0, 0.0),
            cell(Some(0), 2, 0.0, 100.0),
            cell(Some(20), 1, 5.0, 9.0),
            cell(Some(40), 0, 0.0, -1.0),
        ];
        let answer = assemble(&compiled, cells, &[10, 20, 30, 40], true);
        let values: Vec<_> = answer[0].points.iter().map(|point| point.value).collect();
        assert_eq!(values, [Ok(100.0), Ok(105.0), Ok(109.0), Ok(109.0)]);
        assert_eq!(answer[0].total, Ok(105.0));
        // Before anything was sampled there is no value.
        let answer = assemble(&compiled, vec![cell(Some(20), 1, 5.0, 6.0)], &[10, 20, 30], true);
        let values: Vec<_> = answer[0].points.iter().map(|point| point.value).collect();
        assert_eq!(values, [Err(Reason::NoValues), Ok(5.0), Ok(6.0)]);
    }

    #[test]
    fn the_first_groups_come_by_total_and_those_without_one_last() {
        let group = |name: &str, total| SeriesAnswer {
            key: Key::Group(vec![Some(name.to_owned())]),
            total,
            points: Vec::new(),
        };
        let answer = vec![
            group("none", Err(Reason::ZeroDenominator)),
            group("low", Ok(1.0)),
            group("also", Ok(5.0)),
            group("high", Ok(5.0)),
        ];
        let names = |order, limit| {
            let keys = rank(answer.clone(), Ranking { order, limit });
            keys.into_iter()
                .map(|key| match key {
                    Key::Group(values) => values.into_iter().flatten().collect::<String>(),
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Order::Largest, 9), ["also", "high", "low", "none"]);
        assert_eq!(names(Order::Smallest, 2), ["low", "also"]);
        assert_eq!(names(Order::Key, 2), ["also", "high"]);
    }
}
