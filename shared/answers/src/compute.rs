//! From formulas to numbers.

use std::collections::BTreeSet;

use analytics_domain::{
    account::AccountId,
    metric::{
        Aliases, Answer as Numbers, CURRENCY, Cell, Compiled, Filter, Input, Key, Measure, Metrics, Query, assemble,
        buckets::Buckets, dimension_sets, filter, rank, with_others,
    },
};
use analytics_warehouse::{
    EventWarehouse,
    metric::{Asked, Rollups, Source, Tenant, Told},
};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::{Answer, AskError, formulas::Formula};

/// Buckets that are asked for before it is known how many groups there are.
const AT_ONCE_BUCKETS: usize = 100;
/// Cells, by group and bucket, up to which that is an answer.
const AT_ONCE_CELLS: usize = 50_000;
/// Accounts that are asked about at once where each is asked about by itself.
const AT_ONCE_ACCOUNTS: usize = 4;
/// Groups of one input among which the largest are looked for: what a function has memory for.
const MOST_GROUPS: usize = 200_000;

/// A window that is cut into buckets.
pub(crate) type Settled = Query;

/// What a formula came to in the range, and in the one to compare with.
type Found = (Numbers, Option<Numbers>, Source);

/// The numbers of the range to compare with, and its buckets; none if nothing is compared.
type Before<'q> = Option<(Told, &'q Buckets)>;

/// An account about which is asked, with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub account_id: &'a AccountId,
    pub metrics: &'a Metrics,
    pub rollups: &'a Rollups,
}

/// Something for each account, in their order.
type Each<T> = Vec<Result<T, AskError>>;

/// When a question came, and until when it is to be answered.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// Everything that was stored by then is known. Epoch milliseconds.
    pub now: i64,
    pub deadline: Instant,
}

/// Computes the same formulas about the same time of each account, in their order. What the formulas read is read once, and what the
/// accounts have in common is asked for in one statement.
pub(crate) async fn answer_all(
    warehouse: &EventWarehouse,
    time: Time,
    askers: &[Asker<'_>],
    formulas: &[Formula],
    (settled, aliases): (&Settled, &Aliases),
) -> Each<Vec<Answer>> {
    let all = Computation { warehouse, time, askers, query: settled, aliases };
    let mut groups: Vec<(Vec<Formula>, Vec<usize>)> = Vec::new();
    let mut answers: Each<Vec<Answer>> = Vec::with_capacity(askers.len());
    for (index, formulas) in all.in_currency(formulas).await.into_iter().enumerate() {
        answers.push(Ok(Vec::new()));
        match formulas {
            Err(error) => answers[index] = Err(error),
            Ok(formulas) => match groups.iter_mut().find(|(others, _)| *others == formulas) {
                Some((_, members)) => members.push(index),
                None => groups.push((formulas, vec![index])),
            },
        }
    }
    for (formulas, members) in groups {
        let askers: Vec<Asker<'_>> = members.iter().map(|index| askers[*index]).collect();
        let found = Computation { askers: &askers, ..all }.answer_all(&formulas).await;
        members.into_iter().zip(found).for_each(|(index, answer)| answers[index] = answer);
    }
    answers
}

fn adds_up(formula: &Formula) -> bool {
    formula.formula.inputs().into_iter().all(|input| input.measure().of.adds_up())
}

/// The splits that may be kept of each measure: those of every metric that reads it.
fn kept(measures: &[Measure], metrics: &Metrics) -> Vec<Vec<Vec<String>>> {
    let mut kept = vec![Vec::new(); measures.len()];
    for metric in metrics.all() {
        let Ok(formula) = metrics.expand(&metric.formula) else { continue };
        let sets = dimension_sets(&metric.definition.dimensions);
        for measure in formula.inputs().into_iter().flat_map(Input::measures) {
            if let Some(place) = measures.iter().position(|other| *other == measure) {
                kept[place].extend(sets.iter().cloned());
            }
        }
    }
    kept
}

/// Measures that are asked for together.
struct Measures {
    all: Vec<Measure>,
    /// Of each account, in their order: see [`kept`].
    kept: Vec<Vec<Vec<Vec<String>>>>,
}

/// What is answered about one account.
fn only<T>(mut each: Each<T>) -> Result<T, AskError> {
    each.pop().unwrap_or_else(|| Err(AskError::Broken("an account has no answer".to_owned())))
}

#[derive(Clone, Copy)]
struct Computation<'a> {
    warehouse: &'a EventWarehouse,
    time: Time,
    askers: &'a [Asker<'a>],
    query: &'a Query,
    /// Which ids mean the same group.
    aliases: &'a Aliases,
}

impl Computation<'_> {
    async fn answer_all(&self, formulas: &[Formula]) -> Each<Vec<Answer>> {
        // Only what adds up can be asked for in two statements at once: the others go by themselves.
        let (additive, others) = tokio::join!(
            self.answer(formulas.iter().filter(|formula| adds_up(formula))),
            self.answer(formulas.iter().filter(|formula| !adds_up(formula))),
        );
        let in_order = |(additive, others): (Result<Vec<Answer>, _>, Result<Vec<Answer>, _>)| {
            let (mut additive, mut others) = (additive?.into_iter(), others?.into_iter());
            let of = |formula| if adds_up(formula) { additive.next() } else { others.next() };
            Ok(formulas.iter().filter_map(of).collect())
        };
        additive.into_iter().zip(others).map(in_order).collect()
    }

    /// The formulas with their amounts in the currency that is asked for. Numbers of events that name no currency, in the time
    /// that is asked for, are no amounts.
    async fn in_currency(&self, formulas: &[Formula]) -> Each<Vec<Formula>> {
        let mut all: Vec<Measure> = Vec::new();
        if self.query.currency.is_some() {
            let inputs = formulas.iter().flat_map(|formula| formula.formula.inputs());
            for measure in inputs.filter_map(Input::currencies) {
                if !all.contains(&measure) {
                    all.push(measure);
                }
            }
        }
        let (Some(currency), false) = (&self.query.currency, all.is_empty()) else {
            return self.askers.iter().map(|_| Ok(formulas.to_vec())).collect();
        };
        let measures = self.measures(all);
        let mut named: Each<BTreeSet<usize>> = self.askers.iter().map(|_| Ok(BTreeSet::new())).collect();
        let compared = self.query.compare.iter().map(|(_, buckets)| buckets.range);
        for range in compared.chain([self.query.buckets.range]) {
            for (named, totals) in named.iter_mut().zip(self.totals(&measures, &Buckets::whole(range)).await) {
                let cells = totals.map(|told| told.cells);
                match (named.as_mut(), cells) {
                    (Ok(named), Ok(cells)) => {
                        named.extend(cells.iter().filter(|cell| cell.state.count > 0).map(|cell| cell.measure));
                    }
                    (Ok(_), Err(error)) => *named = Err(error),
                    (Err(_), _) => {}
                }
            }
        }
        let is_of = Filter::Test {
            path: CURRENCY.to_owned(),
            test: filter::Test::In(vec![filter::Literal::Text(currency.clone())]),
        };
        let of_asker = |named: BTreeSet<usize>| {
            let is_named = |measure: &Measure| named.iter().any(|index| measures.all[*index] == *measure);
            formulas.iter().map(|formula| formula.narrowed(&is_of, is_named)).collect()
        };
        named.into_iter().map(|named| named.map(of_asker)).collect()
    }

    async fn answer(&self, formulas: impl Iterator<Item = &Formula>) -> Each<Vec<Answer>> {
        let formulas: Vec<&Formula> = formulas.collect();
        let (compiled, measures) = self.compile(&formulas);
        let found: Each<Vec<Found>> = match (formulas.is_empty(), self.query.group_by.is_empty()) {
            (true, _) => self.askers.iter().map(|_| Ok(Vec::new())).collect(),
            (false, true) => self.whole(&compiled, &measures).await,
            (false, false) => self.by_group(&formulas, &compiled, &measures).await,
        };
        let answers = |found: Vec<Found>| {
            let all = formulas.iter().copied().zip(&compiled).zip(found);
            let answer = |((formula, compiled), found)| {
                Answer::new(formula, compiled, (self.query, self.time.now), self.aliases, found)
            };
            all.map(answer).collect()
        };
        found.into_iter().map(|found| found.map(answers)).collect()
    }

    /// All events together.
    async fn whole(&self, compiled: &[Compiled], measures: &Measures) -> Each<Vec<Found>> {
        let (now, before) = tokio::join!(self.ask(measures, &self.query.buckets, None), self.before(measures, None));
        let found = |(now, before): (Result<Told, AskError>, Result<Before<'_>, AskError>)| {
            let (now, before) = (now?, before?);
            let found = |compiled| {
                let before =
                    before.as_ref().map(|(before, buckets)| self.assemble(compiled, &before.cells, buckets, None));
                (self.assemble(compiled, &now.cells, &self.query.buckets, None), before, now.source)
            };
            Ok(compiled.iter().map(found).collect())
        };
        now.into_iter().zip(before).map(found).collect()
    }

    /// Split into groups. Each account has its own.
    async fn by_group(&self, formulas: &[&Formula], compiled: &[Compiled], measures: &Measures) -> Each<Vec<Found>> {
        let Query { buckets, interval, .. } = self.query;
        let whole = Buckets::whole(buckets.range);
        // Everything, if it is as easy to have as the totals; else the totals.
        let is_whole = interval.is_none() || buckets.starts.len() <= AT_ONCE_BUCKETS;
        let told = match (is_whole, interval) {
            (true, Some(_)) => self.tell(measures, buckets, None, true, Some(AT_ONCE_CELLS)).await,
            _ => self.group_totals(measures, &whole).await,
        };
        let each: Vec<_> = told
            .into_iter()
            .enumerate()
            .map(|(index, told)| {
                let alone = Self { askers: &self.askers[index..=index], ..*self };
                alone.by_group_of_one(formulas, compiled, told, is_whole)
            })
            .collect();
        stream::iter(each).buffered(AT_ONCE_ACCOUNTS).collect().await
    }

    /// Of one account, of which everything or only the totals of the groups have been asked for.
    async fn by_group_of_one(
        self,
        formulas: &[&Formula],
        compiled: &[Compiled],
        told: Result<Told, AskError>,
        is_whole: bool,
    ) -> Result<Vec<Found>, AskError> {
        let (mut told, mut is_whole) = (told?, is_whole);
        if told.is_cut && self.query.interval.is_some() && is_whole {
            let whole = Buckets::whole(self.query.buckets.range);
            (told, is_whole) = (only(self.group_totals(&self.compile(formulas).1, &whole).await)?, false);
        }
        if told.is_cut {
            return Err(AskError::too_many_groups(MOST_GROUPS));
        }
        let mut all = Vec::with_capacity(formulas.len());
        for (formula, compiled) in formulas.iter().zip(compiled) {
            let own = told.cells.iter().filter(|cell| compiled.reads(cell.measure));
            let totals: Vec<Cell> = own.clone().filter(|cell| cell.bucket.is_none()).cloned().collect();
            let totals = assemble(compiled, totals, &[], false);
            let groups = totals.len();
            let keys = rank(totals, self.query.ranking);
            // What was asked for with others is asked for alone, once it is known which groups are wanted.
            let (alone, its) = self.compile(&[formula]);
            let Some(alone) = alone.first() else { continue };
            let is_told = is_whole && (groups <= keys.len() || adds_up(formula));
            let now_told = async {
                if is_told {
                    let cells = with_others(own.cloned().collect(), &keys);
                    return Ok((self.assemble(compiled, &cells, &self.query.buckets, Some(&keys)), told.source));
                }
                let told = only(self.ask(&its, &self.query.buckets, Some(&keys)).await)?;
                Ok((self.assemble(alone, &told.cells, &self.query.buckets, Some(&keys)), told.source))
            };
            let before = async { only(self.before(&its, Some(&keys)).await) };
            let ((answer, source), before) = tokio::try_join!(now_told, before)?;
            let before = before.map(|(told, buckets)| self.assemble(alone, &told.cells, buckets, Some(&keys)));
            all.push((answer, before, source));
        }
        Ok(all)
    }

    async fn group_totals(&self, measures: &Measures, whole: &Buckets) -> Each<Told> {
        self.tell(measures, whole, None, false, Some(MOST_GROUPS * measures.all.len())).await
    }

    async fn before(&self, measures: &Measures, only: Option<&[Key]>) -> Each<Before<'_>> {
        let Some((_, buckets)) = &self.query.compare else { return self.askers.iter().map(|_| Ok(None)).collect() };
        let before = self.ask(measures, buckets, only).await;
        before.into_iter().map(|told| told.map(|told| Some((told, buckets)))).collect()
    }

    async fn ask(&self, measures: &Measures, buckets: &Buckets, only: Option<&[Key]>) -> Each<Told> {
        self.tell(measures, buckets, only, self.query.interval.is_some(), None).await
    }

    /// Over all groups together.
    async fn totals(&self, measures: &Measures, buckets: &Buckets) -> Each<Told> {
        self.measure(measures, &Asked { group_by: &[], ..self.asked(measures, buckets) }).await
    }

    async fn tell(
        &self,
        measures: &Measures,
        buckets: &Buckets,
        only: Option<&[Key]>,
        by_bucket: bool,
        most: Option<usize>,
    ) -> Each<Told> {
        self.measure(measures, &Asked { only, by_bucket, most, ..self.asked(measures, buckets) }).await
    }

    async fn measure(&self, measures: &Measures, asked: &Asked<'_>) -> Each<Told> {
        let tenants: Vec<Tenant<'_>> = self
            .askers
            .iter()
            .zip(&measures.kept)
            .map(|(asker, kept)| Tenant { account_id: asker.account_id, kept, rollups: asker.rollups })
            .collect();
        let told = self.warehouse.measure(&tenants, asked).await;
        told.into_iter().map(|told| told.map_err(AskError::from)).collect()
    }

    fn compile(&self, formulas: &[&Formula]) -> (Vec<Compiled>, Measures) {
        let mut all = Vec::new();
        let compiled = formulas.iter().map(|formula| Compiled::new(&formula.formula, &mut all)).collect();
        (compiled, self.measures(all))
    }

    fn measures(&self, all: Vec<Measure>) -> Measures {
        Measures { kept: self.askers.iter().map(|asker| kept(&all, asker.metrics)).collect(), all }
    }

    /// Totals by group.
    fn asked<'q>(&'q self, measures: &'q Measures, buckets: &'q Buckets) -> Asked<'q> {
        Asked {
            measures: &measures.all,
            buckets,
            group_by: &self.query.group_by,
            filter: &self.query.filter,
            aliases: self.aliases,
            only: None,
            by_bucket: false,
            most: None,
            deadline: self.time.deadline,
        }
    }

    fn assemble(&self, compiled: &Compiled, cells: &[Cell], buckets: &Buckets, only: Option<&[Key]>) -> Numbers {
        let starts: &[i64] = if self.query.interval.is_some() { &buckets.starts } else { &[] };
        let own = cells.iter().filter(|cell| compiled.reads(cell.measure)).cloned().collect();
        let mut answer = assemble(compiled, own, starts, self.query.group_by.is_empty());
        if let Some(keys) = only {
            let place = |key: &Key| keys.iter().position(|other| other == key).unwrap_or(keys.len());
            answer.sort_by_key(|series| place(&series.key));
        }
        answer
    }
}
