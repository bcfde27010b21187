//! Answering: from formulas and a question to numbers.

use std::collections::BTreeSet;

use analytics_domain::metric::{
    Answer, CURRENCY, Cell, Compiled, Filter, Input, Key, Kind, Measure, Metrics, Node, Query, assemble,
    buckets::Buckets, dimension_sets, filter, rank, with_others,
};
use analytics_http::ApiError;
use analytics_warehouse::metric::{Asked, Source, Told};

use crate::{App, Known, encode::AnswerOut, errors};

/// Buckets that are asked for before it is known how many groups there are.
const AT_ONCE_BUCKETS: usize = 100;
/// Cells, by group and bucket, up to which that is an answer.
const AT_ONCE_CELLS: usize = 50_000;
/// Groups of one input among which the largest are looked for: what a function has memory for.
const MOST_GROUPS: usize = 200_000;

/// A formula to be answered, with what to say of it.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of a stored or built-in metric.
    pub metric_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    pub unit: String,
    pub formula: Node<Input>,
}

/// What a formula came to in the range, and in the one to compare with.
type Found = (Answer, Option<Answer>, Source);

/// Answers a question about an account's events.
///
/// # Errors
/// As [`answer_all`].
pub async fn answer(
    app: &App,
    account_id: &str,
    known: &Known,
    question: Question,
    query: &Query,
) -> Result<AnswerOut, ApiError> {
    let mut answers = answer_all(app, account_id, known, &[question], query).await?;
    answers.pop().ok_or_else(|| ApiError::internal("a question without an answer"))
}

/// Answers questions about the same time and the same events, in their order. What they read is read once.
///
/// # Errors
/// If the event store does not answer, or the questions take more than one may.
pub async fn answer_all(
    app: &App,
    account_id: &str,
    known: &Known,
    questions: &[Question],
    query: &Query,
) -> Result<Vec<AnswerOut>, ApiError> {
    let asker = Asker { app, account_id, known, query };
    let questions = &asker.in_currency(questions).await?;
    // Only what adds up can be asked for in two statements at once: the others go by themselves.
    let (additive, others) = tokio::try_join!(
        asker.answer(questions.iter().filter(|question| adds_up(question))),
        asker.answer(questions.iter().filter(|question| !adds_up(question))),
    )?;
    let (mut additive, mut others) = (additive.into_iter(), others.into_iter());
    let of = |question| if adds_up(question) { additive.next() } else { others.next() };
    Ok(questions.iter().filter_map(of).collect())
}

fn adds_up(question: &Question) -> bool {
    question.formula.inputs().into_iter().all(|input| input.measure().of.adds_up())
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
    kept: Vec<Vec<Vec<String>>>,
}

struct Asker<'a> {
    app: &'a App,
    account_id: &'a str,
    known: &'a Known,
    query: &'a Query,
}

impl Asker<'_> {
    /// The questions with their amounts in the currency that is asked for. Numbers of events that name no currency, in the time
    /// that is asked for, are no amounts.
    async fn in_currency(&self, questions: &[Question]) -> Result<Vec<Question>, ApiError> {
        let Some(currency) = &self.query.currency else { return Ok(questions.to_vec()) };
        let mut all: Vec<Measure> = Vec::new();
        let inputs = questions.iter().flat_map(|question| question.formula.inputs());
        for measure in inputs.filter_map(Input::currencies) {
            if !all.contains(&measure) {
                all.push(measure);
            }
        }
        if all.is_empty() {
            return Ok(questions.to_vec());
        }
        let measures = Measures { kept: kept(&all, &self.known.metrics), all };
        let compared = self.query.compare.iter().map(|(_, buckets)| buckets.range);
        let mut named = BTreeSet::new();
        for range in compared.chain([self.query.buckets.range]) {
            let told = self.totals(&measures, &Buckets::whole(range)).await?;
            named.extend(told.cells.iter().filter(|cell| cell.state.count > 0).map(|cell| cell.measure));
        }
        let is_named = |measure: &Measure| named.iter().any(|place| measures.all[*place] == *measure);
        let wanted = Filter::Test {
            path: CURRENCY.to_owned(),
            test: filter::Test::In(vec![filter::Literal::Text(currency.clone())]),
        };
        let in_currency = |question: &Question| {
            let formula = question.formula.try_replace(&mut |input: &Input| {
                let mut input = input.clone();
                if input.currencies().is_some_and(|measure| is_named(&measure)) {
                    input.filter = input.filter.and(&wanted);
                }
                Ok::<_, std::convert::Infallible>(Node::Input(input))
            });
            let Ok(formula) = formula;
            Question { formula, ..question.clone() }
        };
        Ok(questions.iter().map(in_currency).collect())
    }

    async fn answer(&self, questions: impl Iterator<Item = &Question>) -> Result<Vec<AnswerOut>, ApiError> {
        let questions: Vec<&Question> = questions.collect();
        let (compiled, measures) = self.compile(&questions);
        let found = match (questions.is_empty(), self.query.group_by.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => self.whole(&compiled, &measures).await?,
            (false, false) => self.by_group(&questions, &compiled, &measures).await?,
        };
        let all = questions.into_iter().zip(&compiled).zip(found);
        let answer =
            |((question, compiled), found)| AnswerOut::new(question, compiled, (self.query, self.known), found);
        Ok(all.map(answer).collect())
    }

    fn compile(&self, questions: &[&Question]) -> (Vec<Compiled>, Measures) {
        let mut all = Vec::new();
        let compiled = questions.iter().map(|question| Compiled::new(&question.formula, &mut all)).collect();
        let kept = kept(&all, &self.known.metrics);
        (compiled, Measures { all, kept })
    }

    /// All events together.
    async fn whole(&self, compiled: &[Compiled], measures: &Measures) -> Result<Vec<Found>, ApiError> {
        let (told, before) =
            tokio::try_join!(self.ask(measures, &self.query.buckets, None), self.before(measures, None))?;
        let found = |compiled| {
            let before = before.as_ref().map(|(before, buckets)| self.assemble(compiled, &before.cells, buckets, None));
            (self.assemble(compiled, &told.cells, &self.query.buckets, None), before, told.source)
        };
        Ok(compiled.iter().map(found).collect())
    }

    /// Split into groups.
    async fn by_group(
        &self,
        questions: &[&Question],
        compiled: &[Compiled],
        measures: &Measures,
    ) -> Result<Vec<Found>, ApiError> {
        let (told, is_whole) = self.groups(measures).await?;
        let mut all = Vec::with_capacity(questions.len());
        for (question, compiled) in questions.iter().zip(compiled) {
            let own = told.cells.iter().filter(|cell| compiled.reads(cell.measure));
            let totals: Vec<Cell> = own.clone().filter(|cell| cell.bucket.is_none()).cloned().collect();
            let totals = assemble(compiled, totals, &[], false);
            let groups = totals.len();
            let keys = rank(totals, self.query.ranking);
            // What was asked for with others is asked for alone, once it is known which groups are wanted.
            let (alone, its) = self.compile(&[question]);
            let Some(alone) = alone.first() else { continue };
            let is_told = is_whole && (groups <= keys.len() || adds_up(question));
            let now_told = async {
                if is_told {
                    let cells = with_others(own.cloned().collect(), &keys);
                    return Ok((self.assemble(compiled, &cells, &self.query.buckets, Some(&keys)), told.source));
                }
                let told = self.ask(&its, &self.query.buckets, Some(&keys)).await?;
                Ok((self.assemble(alone, &told.cells, &self.query.buckets, Some(&keys)), told.source))
            };
            let ((answer, source), before) = tokio::try_join!(now_told, self.before(&its, Some(&keys)))?;
            let before = before.map(|(told, buckets)| self.assemble(alone, &told.cells, buckets, Some(&keys)));
            all.push((answer, before, source));
        }
        Ok(all)
    }

    /// What there is by group: everything, if it is as easy to have as the totals; else the totals.
    async fn groups(&self, measures: &Measures) -> Result<(Told, bool), ApiError> {
        let Query { buckets, interval, .. } = self.query;
        let by_bucket = interval.is_some();
        if !by_bucket || buckets.starts.len() <= AT_ONCE_BUCKETS {
            let most = if by_bucket { AT_ONCE_CELLS } else { MOST_GROUPS * measures.all.len() };
            let told = self.tell(measures, buckets, None, by_bucket, Some(most)).await?;
            if !told.is_cut {
                return Ok((told, true));
            }
            if !by_bucket {
                return Err(errors::too_many_groups(MOST_GROUPS));
            }
        }
        let most = MOST_GROUPS * measures.all.len();
        let told = self.tell(measures, &Buckets::whole(buckets.range), None, false, Some(most)).await?;
        if told.is_cut { Err(errors::too_many_groups(MOST_GROUPS)) } else { Ok((told, false)) }
    }

    async fn before(&self, measures: &Measures, only: Option<&[Key]>) -> Result<Option<(Told, &Buckets)>, ApiError> {
        let Some((_, buckets)) = &self.query.compare else { return Ok(None) };
        Ok(Some((self.ask(measures, buckets, only).await?, buckets)))
    }

    async fn ask(&self, measures: &Measures, buckets: &Buckets, only: Option<&[Key]>) -> Result<Told, ApiError> {
        self.tell(measures, buckets, only, self.query.interval.is_some(), None).await
    }

    /// Over all groups together.
    async fn totals(&self, measures: &Measures, buckets: &Buckets) -> Result<Told, ApiError> {
        let asked = Asked { group_by: &[], ..self.asked(measures, buckets) };
        self.app.warehouse.measure(self.account_id, &asked).await.map_err(errors::warehouse)
    }

    async fn tell(
        &self,
        measures: &Measures,
        buckets: &Buckets,
        only: Option<&[Key]>,
        by_bucket: bool,
        most: Option<usize>,
    ) -> Result<Told, ApiError> {
        let asked = Asked { only, by_bucket, most, ..self.asked(measures, buckets) };
        self.app.warehouse.measure(self.account_id, &asked).await.map_err(errors::warehouse)
    }

    /// Totals by group.
    fn asked<'q>(&'q self, measures: &'q Measures, buckets: &'q Buckets) -> Asked<'q> {
        Asked {
            measures: &measures.all,
            buckets,
            group_by: &self.query.group_by,
            filter: &self.query.filter,
            kept: &measures.kept,
            only: None,
            by_bucket: false,
            most: None,
            rollups: &self.known.rollups,
            deadline: self.known.deadline,
        }
    }

    fn assemble(&self, compiled: &Compiled, cells: &[Cell], buckets: &Buckets, only: Option<&[Key]>) -> Answer {
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
