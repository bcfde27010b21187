//! Asking: whose events, which numbers, over which time.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use analytics_domain::{
    account::AccountId,
    metric::{Aliases, CARRIED, Definition, Filter, GROUP, Metrics, Window, buckets::Range},
};
use analytics_dynamo::{MetricTable, TableError, Tables};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_warehouse::{EventWarehouse, metric::Rollups};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use crate::{
    Answer, AskError,
    compute::{Asker, Settled, Time, answer_all},
    formulas::{Formula, formulas},
};

/// Accounts whose metrics are read, and questions whose formulas are compiled, at the same time.
const AT_ONCE: usize = 16;

/// Groups of questions that are answered at the same time, so that one that takes long holds up only some of the others.
const GROUPS_AT_ONCE: usize = 4;

/// What a question may take in all, from what is known of the account to the last number: the gateway waits for 29 s.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(25);

/// Whose events a question is about.
#[derive(Clone, Debug)]
pub struct Scope {
    pub account_id: AccountId,
    /// What the asker may see of the account: everything, unless it says otherwise.
    pub filter: Filter,
}

impl Scope {
    /// All events of an account.
    #[must_use]
    pub fn account(account_id: &AccountId) -> Self {
        Self { account_id: account_id.clone(), filter: Filter::EVERYTHING }
    }
}

/// One number that is asked for.
#[derive(Clone, Debug)]
pub enum Query {
    /// A stored or built-in metric, by its id.
    Metric(String),
    /// A formula that is not stored.
    Formula(Box<Definition>),
}

/// Queries over the same time, split and filtered in the same way. What several of them read is read once.
#[derive(Clone, Debug)]
pub struct Ask {
    pub queries: Vec<Query>,
    pub window: Window,
}

/// Answers questions.
pub struct Answers {
    pub(crate) table: MetricTable,
    pub(crate) warehouse: EventWarehouse,
    pub(crate) retention_days: i64,
}

impl Answers {
    /// Reads the keys of [`aws::sdk_config`] and [`Answers::from_tables`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Self::from_tables(&analytics_dynamo::client(&aws::sdk_config(lookup)?), lookup)
    }

    /// Reads `METRICS_TABLE`, `RETENTION_DAYS` and the keys of [`EventWarehouse::to_read`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_tables(tables: &Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self {
            table: MetricTable::from_tables(tables, lookup)?,
            warehouse: EventWarehouse::to_read(lookup)?,
            retention_days: lookup.parsed("RETENTION_DAYS", 400, "a number of days")?,
        })
    }

    /// The same, with less time for each statement.
    #[must_use]
    pub fn within(self, seconds: &'static str) -> Self {
        Self { warehouse: self.warehouse.within(seconds), ..self }
    }

    /// Answers a question at a time in epoch milliseconds: an answer for each of its queries, in their order.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask_one(&self, scope: &Scope, ask: &Ask, now: i64) -> Result<Vec<Answer>, AskError> {
        let mut all = self.ask(&[(scope, ask)], now).await;
        all.pop().unwrap_or_else(|| Err(AskError::Broken("a question has no answer".to_owned())))
    }

    /// Answers questions at a time in epoch milliseconds, in their order. Questions of several accounts that have the same formulas
    /// and the same window take one statement together. A question that fails does not fail the others.
    pub async fn ask(&self, pairs: &[(&Scope, &Ask)], now: i64) -> Vec<Result<Vec<Answer>, AskError>> {
        let time = Time { now, deadline: Instant::now() + ANSWER_TIME };
        let windows: Vec<Result<Settled, AskError>> =
            pairs.iter().map(|(scope, ask)| self.window(scope, ask, now)).collect();
        let (metrics, rollups, aliases) = tokio::join!(
            self.metrics(pairs, &windows),
            self.rollups(pairs, &windows, now),
            self.aliases(pairs, &windows),
        );
        let known = pairs.iter().zip(windows).zip(metrics.iter().zip(&rollups).zip(aliases));
        let questions: Vec<_> = known
            .map(|((pair, window), ((metrics, rollups), aliases))| {
                self.question(*pair, window, Known { metrics, rollups, aliases }, time)
            })
            .collect();
        let questions: Vec<Result<Question<'_>, AskError>> = stream::iter(questions).buffered(AT_ONCE).collect().await;
        self.answer(questions, time).await
    }

    /// Compiles a question, if all that takes is known.
    async fn question<'q>(
        &self,
        (scope, ask): (&'q Scope, &Ask),
        window: Result<Settled, AskError>,
        known: Known<'q>,
        time: Time,
    ) -> Result<Question<'q>, AskError> {
        let mut window = window?;
        let metrics = known.metrics.as_ref().map_err(AskError::clone)?;
        let rollups = known.rollups.as_ref().map_err(AskError::clone)?;
        let mut formulas = formulas(&self.warehouse, &scope.account_id, metrics, &ask.queries, time).await?;
        // A group goes by the id by which it was asked for.
        let aliases = known.aliases?.preferring(&window.filter);
        if !aliases.is_empty() {
            window.filter = aliases.widen(&window.filter);
            formulas = formulas.iter().map(|formula| formula.widened(&aliases)).collect();
        }
        let rollups = match formulas.iter().any(Formula::is_carried) {
            false => Cow::Borrowed(rollups),
            true => Cow::Owned(self.rollups_before(&scope.account_id, &window, time).await?),
        };
        Ok(Question { window, formulas, aliases, account_id: &scope.account_id, metrics, rollups })
    }

    /// What is known of the rollups over the time of a question and that from which objects carry values into it.
    async fn rollups_before(&self, account_id: &AccountId, window: &Settled, time: Time) -> Result<Rollups, AskError> {
        let ranges: Vec<Range> =
            ranges_of(window).into_iter().map(|range| Range { from: range.from - CARRIED, to: range.to }).collect();
        let found = timeout_at(time.deadline, self.warehouse.rollups(&[account_id], &ranges, time.now)).await;
        Ok(found.map_err(|_| AskError::no_time())??.pop().unwrap_or_default())
    }

    fn window(&self, scope: &Scope, ask: &Ask, now: i64) -> Result<Settled, AskError> {
        let window = ask.window.clone().settle(ask.queries.len(), now, self.retention_days);
        let mut window = window.map_err(AskError::Window)?;
        window.filter = window.filter.and(&scope.filter);
        Ok(window)
    }

    async fn answer(
        &self,
        questions: Vec<Result<Question<'_>, AskError>>,
        time: Time,
    ) -> Vec<Result<Vec<Answer>, AskError>> {
        let mut answers = Vec::with_capacity(questions.len());
        let mut groups: Vec<(&Question<'_>, Vec<(usize, Asker<'_>)>)> = Vec::new();
        for (index, question) in questions.iter().enumerate() {
            answers.push(Ok(Vec::new()));
            match question {
                Err(error) => answers[index] = Err(error.clone()),
                Ok(question) => {
                    let asker = (index, question.asker());
                    match groups.iter_mut().find(|(other, _)| other.is_like(question)) {
                        Some((_, askers)) => askers.push(asker),
                        None => groups.push((question, vec![asker])),
                    }
                }
            }
        }
        let askers: Vec<Vec<Asker<'_>>> =
            groups.iter().map(|(_, members)| members.iter().map(|(_, asker)| *asker).collect()).collect();
        let found: Vec<_> = groups
            .iter()
            .zip(&askers)
            .map(|((Question { window, formulas, aliases, .. }, _), askers)| {
                answer_all(&self.warehouse, time, askers, formulas, (window, aliases))
            })
            .collect();
        let found: Vec<_> = stream::iter(found).buffered(GROUPS_AT_ONCE).collect().await;
        for ((_, members), found) in groups.into_iter().zip(found) {
            members.into_iter().zip(found).for_each(|((index, _), answer)| answers[index] = answer);
        }
        answers
    }

    /// The metrics of the account of each question. The table is not read for built-in metrics whose rollups have all that is asked
    /// for, and once for all questions of an account.
    async fn metrics(
        &self,
        pairs: &[(&Scope, &Ask)],
        windows: &[Result<Settled, AskError>],
    ) -> Vec<Result<Metrics, AskError>> {
        let built_in = Metrics::new(Vec::new());
        let suffices = |ask: &Ask, window: &Settled| {
            let paths = || window.group_by.iter().map(String::as_str).chain(window.filter.paths());
            let suffices = |query: &Query| matches!(query, Query::Metric(id) if built_in.suffice(id, paths()));
            ask.queries.iter().all(suffices)
        };
        let questions = pairs.iter().zip(windows);
        let needs_table =
            questions.filter(|((_, ask), window)| window.as_ref().is_ok_and(|window| !suffices(ask, window)));
        let accounts: BTreeSet<&AccountId> = needs_table.map(|((scope, _), _)| &scope.account_id).collect();
        let lists: Vec<_> = accounts.iter().map(|account| self.table.list(account)).collect();
        let lists: Vec<Result<_, TableError>> = stream::iter(lists).buffered(AT_ONCE).collect().await;
        let lists: BTreeMap<&AccountId, Result<_, TableError>> = accounts.into_iter().zip(lists).collect();
        let of = |(scope, _): &(&Scope, &Ask)| match lists.get(&scope.account_id) {
            None => Ok(Metrics::new(Vec::new())),
            Some(Ok(kept)) => Ok(Metrics::new(kept.definitions.clone())),
            Some(Err(error)) => Err(AskError::from(error.clone())),
        };
        pairs.iter().map(of).collect()
    }

    /// Which ids mean the same group, for each question that may look at groups.
    async fn aliases(
        &self,
        pairs: &[(&Scope, &Ask)],
        windows: &[Result<Settled, AskError>],
    ) -> Vec<Result<Aliases, AskError>> {
        let built_in = Metrics::new(Vec::new());
        let reads_groups = |query: &Query| match query {
            Query::Metric(id) => Formula::of_metric(&built_in, id).map_or(true, |formula| formula.reads_groups()),
            Query::Formula(_) => true,
        };
        let looks = |((_, ask), window): &(&(&Scope, &Ask), &Result<Settled, AskError>)| {
            window.as_ref().is_ok_and(|window| {
                window.group_by.iter().map(String::as_str).chain(window.filter.paths()).any(|path| path == GROUP)
                    || ask.queries.iter().any(reads_groups)
            })
        };
        let wanted = || pairs.iter().zip(windows).filter(looks).map(|((scope, _), _)| &scope.account_id);
        let accounts: Vec<&AccountId> = wanted().collect::<BTreeSet<_>>().into_iter().collect();
        let found = match accounts.is_empty() {
            true => Ok(Vec::new()),
            false => self.warehouse.aliases(&accounts).await.map_err(AskError::from),
        };
        let of = |(scope, _): &(&Scope, &Ask)| match (&found, accounts.binary_search(&&scope.account_id)) {
            (_, Err(_)) => Ok(Aliases::default()),
            (Ok(found), Ok(place)) => Ok(found[place].clone()),
            (Err(error), Ok(_)) => Err(error.clone()),
        };
        pairs.iter().map(of).collect()
    }

    /// What is known of the rollups of the account of each question, over the time of the question.
    async fn rollups(
        &self,
        pairs: &[(&Scope, &Ask)],
        windows: &[Result<Settled, AskError>],
        now: i64,
    ) -> Vec<Result<Rollups, AskError>> {
        let mut groups: Vec<(Vec<Range>, Vec<usize>)> = Vec::new();
        for (index, window) in windows.iter().enumerate() {
            let Ok(window) = window else { continue };
            let ranges = ranges_of(window);
            match groups.iter_mut().find(|(others, _)| *others == ranges) {
                Some((_, members)) => members.push(index),
                None => groups.push((ranges, vec![index])),
            }
        }
        let mut found: Vec<Result<Rollups, AskError>> = windows.iter().map(|_| Ok(Rollups::default())).collect();
        for (ranges, members) in groups {
            let accounts: BTreeSet<&AccountId> = members.iter().map(|index| &pairs[*index].0.account_id).collect();
            let accounts: Vec<&AccountId> = accounts.into_iter().collect();
            let all = self.warehouse.rollups(&accounts, &ranges, now).await.map_err(AskError::from);
            for index in members {
                let place = accounts.binary_search(&&pairs[index].0.account_id).unwrap_or(0);
                found[index] = all.as_ref().map(|all| all[place].clone()).map_err(AskError::clone);
            }
        }
        found
    }
}

/// What is known of an account before its question is compiled.
struct Known<'q> {
    metrics: &'q Result<Metrics, AskError>,
    rollups: &'q Result<Rollups, AskError>,
    aliases: Result<Aliases, AskError>,
}

/// The time that a question is about, and the one to compare with.
fn ranges_of(window: &Settled) -> Vec<Range> {
    let compared = window.compare.iter().map(|(_, buckets)| buckets.range);
    compared.chain([window.buckets.range]).collect()
}

/// A question that has a meaning.
struct Question<'a> {
    window: Settled,
    formulas: Vec<Formula>,
    aliases: Aliases,
    account_id: &'a AccountId,
    metrics: &'a Metrics,
    rollups: Cow<'a, Rollups>,
}

impl Question<'_> {
    fn asker(&self) -> Asker<'_> {
        Asker { account_id: self.account_id, metrics: self.metrics, rollups: &self.rollups }
    }

    /// Whether it is the same question, of whichever account.
    fn is_like(&self, other: &Self) -> bool {
        self.window == other.window && self.formulas == other.formulas && self.aliases == other.aliases
    }
}
