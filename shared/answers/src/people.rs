//! Questions about people: how far they get through steps, and who comes back or stays.

use std::collections::BTreeMap;

use analytics_domain::{
    metric::{
        Definition, Function, Input, Key, Metrics, Node, Problem, Window,
        buckets::{Interval, Range},
    },
    time::EpochMillis,
};
use analytics_warehouse::people::{Crowd, Periods, Reached, Step};
use tokio::time::Instant;

use crate::{
    Answers, AskError, Query, Refusal, Scope,
    ask::ANSWER_TIME,
    compute::{Settled, Time},
    formulas::formulas,
    warnings::{Warning, range_cut},
};

/// Rows of counts, by group and bucket, among which the largest groups are looked for.
const MOST_ROWS: usize = 500_000;

/// What is asked about people.
#[derive(Clone, Debug)]
pub struct People {
    /// The property that tells people apart.
    pub by: String,
    pub question: Question,
}

/// Steps are definitions whose formula is an event.
#[derive(Clone, Debug)]
pub enum Question {
    /// How many people take these steps one after another, within so many milliseconds of the first.
    Funnel { steps: Vec<Definition>, within: i64 },
    /// How many people who do the first come back, or stay for as long as they don't do the second.
    Retention {
        steps: Box<[Definition; 2]>,
        /// Whether the second is an end.
        is_end: bool,
        /// How long a period is, in milliseconds.
        period: i64,
        /// Which periods after the first event are told.
        numbers: Vec<i64>,
    },
}

/// How far people get, or how many of them are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct PeopleAnswer {
    pub range: Range,
    pub interval: Option<Interval>,
    /// The name of the time zone.
    pub zone: String,
    pub group_by: Vec<String>,
    /// Everything that was stored by then is in the answer.
    pub as_of: EpochMillis,
    /// The steps, with the names of their events.
    pub events: Vec<String>,
    pub series: Vec<PeopleSeries>,
    pub warnings: Vec<Warning>,
}

/// The people of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct PeopleSeries {
    pub key: Key,
    pub told: Told,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Funnel(Vec<Reach>),
    /// All people of the range, and if an interval was asked for those of each bucket.
    Retention {
        all: Kept,
        cohorts: Vec<(EpochMillis, Kept)>,
    },
}

/// Who gets to a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub people: u64,
    /// How many milliseconds after the first step, for the person in the middle. None for nobody, and for groups together.
    pub median: Option<i64>,
}

/// People, and what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub people: u64,
    /// For each period those for whom it is over, and those of them who are kept.
    pub periods: Vec<(u64, u64)>,
}

impl Kept {
    fn add(&mut self, people: u64, over: &[u64], kept: &[u64]) {
        self.people += people;
        self.periods.resize(over.len(), (0, 0));
        for (sum, more) in self.periods.iter_mut().zip(over.iter().zip(kept)) {
            sum.0 += more.0;
            sum.1 += more.1;
        }
    }
}

impl People {
    fn definitions(&self) -> &[Definition] {
        match &self.question {
            Question::Funnel { steps, .. } => steps,
            Question::Retention { steps, .. } => &**steps,
        }
    }

    /// Numbers of each group and bucket.
    fn numbers(&self) -> usize {
        match &self.question {
            Question::Funnel { steps, .. } => steps.len(),
            Question::Retention { numbers, .. } => numbers.len(),
        }
    }
}

impl Answers {
    /// Answers a question about the people of an account, at a time in epoch milliseconds.
    ///
    /// # Errors
    /// [`AskError`]; the index of a query is that of a step.
    pub async fn ask_people(
        &self,
        scope: &Scope,
        people: &People,
        window: &Window,
        now: EpochMillis,
    ) -> Result<PeopleAnswer, AskError> {
        let time = Time { now, deadline: Instant::now() + ANSWER_TIME };
        let window = window.clone().settle(people.numbers(), now, self.retention_days).map_err(AskError::Window)?;
        let own = self.table.list(&scope.account_id).await?;
        let metrics = Metrics::new(own.definitions.clone());
        let queries: Vec<Query> =
            people.definitions().iter().map(|step| Query::Formula(Box::new(step.clone()))).collect();
        let (formulas, aliases) =
            tokio::try_join!(formulas(&self.warehouse, &scope.account_id, &metrics, &queries, time), async {
                Ok(self.warehouse.aliases(&[&scope.account_id]).await?.pop().unwrap_or_default())
            },)?;
        let filter = window.filter.clone().and(&scope.filter);
        let aliases = aliases.preferring(&filter);
        let filter = aliases.widen(&filter);
        let steps: Vec<Result<Step, usize>> = formulas
            .iter()
            .enumerate()
            .map(|(place, formula)| step(&formula.widened(&aliases).formula).ok_or(place))
            .collect();
        let steps = steps.into_iter().collect::<Result<Vec<_>, usize>>().map_err(|place| {
            let detail = "a step is an event, with conditions in braces: link_clicked{not botSuspected}";
            AskError::Queries(vec![(place, Refusal::Invalid(vec![Problem::new("/formula", "not_a_step", detail)]))])
        })?;
        let crowd = Crowd {
            account_id: &scope.account_id,
            by: &people.by,
            range: window.buckets.range,
            group_by: &window.group_by,
            filter: &filter,
            aliases: &aliases,
            most: MOST_ROWS,
            deadline: time.deadline,
        };
        let series = self.series(&crowd, people, &steps, &window, now).await?;
        Ok(PeopleAnswer {
            range: window.buckets.range,
            interval: window.interval,
            zone: window.zone_name,
            group_by: window.group_by,
            as_of: now,
            events: steps.into_iter().map(|step| step.event_name).collect(),
            series,
            warnings: window.clipped.then(range_cut).into_iter().collect(),
        })
    }

    async fn series(
        &self,
        crowd: &Crowd<'_>,
        people: &People,
        steps: &[Step],
        window: &Settled,
        now: EpochMillis,
    ) -> Result<Vec<PeopleSeries>, AskError> {
        let too_many = |found: usize| match found > MOST_ROWS {
            true => Err(AskError::over_limits("too many groups and buckets of people")),
            false => Ok(()),
        };
        match (&people.question, steps) {
            (Question::Retention { is_end, period, numbers, .. }, [first, second]) => {
                let periods =
                    Periods { starts: &window.buckets.starts, length: *period, numbers, is_end: *is_end, now };
                let found = self.warehouse.retention(crowd, &[first.clone(), second.clone()], &periods).await?;
                too_many(found.len())?;
                let sizes = found.iter().map(|cohort| (&cohort.key, cohort.people));
                let key_of = ranked(sizes, window);
                let mut series: BTreeMap<(usize, Key), (Kept, BTreeMap<EpochMillis, Kept>)> = BTreeMap::new();
                for cohort in &found {
                    let (all, cohorts) = series.entry(key_of(&cohort.key)).or_default();
                    all.add(cohort.people, &cohort.over, &cohort.kept);
                    cohorts.entry(cohort.bucket).or_default().add(cohort.people, &cohort.over, &cohort.kept);
                }
                if window.group_by.is_empty() && series.is_empty() {
                    let none = Kept { people: 0, periods: vec![(0, 0); numbers.len()] };
                    series.insert((0, Key::All), (none, BTreeMap::new()));
                }
                let has_cohorts = window.interval.is_some();
                let series = series.into_iter().map(|((_, key), (all, cohorts))| {
                    let cohorts = cohorts.into_iter().filter(|_| has_cohorts).collect();
                    PeopleSeries { key, told: Told::Retention { all, cohorts } }
                });
                Ok(series.collect())
            }
            (Question::Funnel { within, .. }, steps) => {
                let found = self.warehouse.funnel(crowd, steps, *within).await?;
                too_many(found.len())?;
                let first = |reached: &Reached| reached.people.first().copied().unwrap_or(0);
                let key_of = ranked(found.iter().map(|reached| (&reached.key, first(reached))), window);
                let nobody = vec![Reach::default(); steps.len()];
                let mut series: BTreeMap<(usize, Key), Vec<Reach>> = BTreeMap::new();
                if window.group_by.is_empty() {
                    series.insert((0, Key::All), nobody.clone());
                }
                for reached in &found {
                    let (place, key) = key_of(&reached.key);
                    let is_one = key != Key::Other;
                    let reaches = series.entry((place, key)).or_insert_with(|| nobody.clone());
                    for (reach, (people, median)) in reaches.iter_mut().zip(reached.people.iter().zip(&reached.medians))
                    {
                        reach.people += people;
                        reach.median = is_one.then_some(*median);
                    }
                }
                let series = series.into_iter();
                Ok(series.map(|((_, key), reaches)| PeopleSeries { key, told: Told::Funnel(reaches) }).collect())
            }
            (Question::Retention { .. }, _) => Err(AskError::Broken("retention has two steps".to_owned())),
        }
    }
}

/// Which series each key belongs to, in order: the largest ones by themselves, the others together.
fn ranked<'k>(
    sizes: impl Iterator<Item = (&'k Vec<Option<String>>, u64)>,
    window: &Settled,
) -> impl Fn(&Vec<Option<String>>) -> (usize, Key) {
    use analytics_domain::metric::{SeriesAnswer, rank};
    let mut totals: BTreeMap<&Vec<Option<String>>, u64> = BTreeMap::new();
    for (key, people) in sizes {
        *totals.entry(key).or_default() += people;
    }
    let of = |(key, people): (&Vec<Option<String>>, u64)| SeriesAnswer {
        key: Key::Group(key.clone()),
        total: Ok(people as f64),
        points: Vec::new(),
    };
    let shown = rank(totals.into_iter().map(of).collect(), window.ranking);
    let is_split = !window.group_by.is_empty();
    move |key| {
        let key = Key::Group(key.clone());
        match shown.iter().position(|other| *other == key) {
            _ if !is_split => (0, Key::All),
            Some(place) => (place, key),
            None => (shown.len(), Key::Other),
        }
    }
}

/// The step that a formula is, if it is one.
fn step(formula: &Node<Input>) -> Option<Step> {
    match formula {
        Node::Input(Input { function: Function::Count, event_name, filter, .. }) => {
            Some(Step { event_name: event_name.clone(), filter: filter.clone() })
        }
        _ => None,
    }
}
