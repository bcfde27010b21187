//! Who is worked on, and when: one account after another, each claimed for as long as it takes. What goes wrong with one account
//! is no reason to leave the others alone.

use std::{collections::BTreeMap, time::Duration};

use analytics_domain::account::AccountId;
use analytics_dynamo::{Left, SLOTS, TableError, Work};
use analytics_warehouse::{WarehouseError, metric::Noted};
use tokio::time::timeout;

use crate::rollup_metrics::{Done, OVERTIME, RollupError, millis};

/// Notes that are read at once.
pub(crate) const PAGE: usize = 200;

/// Accounts whose buckets are asked for at once.
const ACCOUNTS: usize = 50;

/// An account that has waited for so many milliseconds is behind.
const BEHIND: i64 = 900_000;

/// An account that has failed is tried again after so many milliseconds, and after twice as many each time it fails again.
const RETRY: i64 = 60_000;
const LONGEST_RETRY: i64 = 3_600_000;

/// Where it is noted which accounts have work.
pub(crate) trait Index {
    async fn page(&self, slot: u32, after: &str) -> Result<Vec<Work>, TableError>;
    async fn of(&self, account_id: &AccountId) -> Result<Option<Work>, TableError>;
    async fn claim(&self, account_id: &AccountId, now: i64) -> Result<Option<Work>, TableError>;
    async fn finish(&self, seen: &Work, left: Left, now: i64) -> Result<(), TableError>;
}

/// What is done with an account that has work.
pub(crate) trait Roller {
    /// Before anybody is asked about, where there is work at all.
    async fn wake(&self) -> Result<(), RollupError>;
    /// Stale buckets of accounts, marked since `since`.
    async fn look(&self, account_ids: &[AccountId], since: i64) -> Result<Vec<Noted>, WarehouseError>;
    /// Computes what is due of a claimed account, whose stale buckets were looked at then, and says what is left.
    async fn roll(
        &self,
        work: &Work,
        stale: &[Noted],
        looked_at: i64,
        deadline: i64,
        done: &mut Done,
    ) -> Result<Left, RollupError>;
    /// Whether ClickHouse answers anything at all.
    async fn is_answering(&self) -> bool;
}

/// Whom a pass is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who<'a> {
    All,
    Account(&'a AccountId),
}

/// How a pass has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everybody has had a turn; the next work is due then, if there is any.
    Through(Option<i64>),
    /// Time did not suffice.
    Late,
}

pub(crate) struct Schedule<'a, I, R> {
    pub index: &'a I,
    pub roller: &'a R,
    /// Epoch milliseconds.
    pub now: fn() -> i64,
    pub deadline: i64,
    /// Milliseconds that one account may take before others have their turn.
    pub share: i64,
    /// Where the pass begins: behind this account. Where it has ended, if it was late.
    pub cursor: Option<(u32, String)>,
    pub done: Done,
    is_awake: bool,
}

impl<'a, I: Index, R: Roller> Schedule<'a, I, R> {
    pub(crate) fn new(index: &'a I, roller: &'a R, now: fn() -> i64, deadline: i64, share: i64) -> Self {
        Self { index, roller, now, deadline, share, cursor: None, done: Done::default(), is_awake: false }
    }

    /// Works on all accounts that are due, once. ClickHouse is asked only if there are some.
    pub(crate) async fn pass(&mut self, who: Who<'_>) -> Result<Ended, RollupError> {
        self.done.passes += 1;
        self.is_awake = false;
        let mut next = None;
        if let Who::Account(account_id) = who {
            let works = self.index.of(account_id).await?.into_iter().collect();
            return self.turn((0, String::new()), works, &mut next).await;
        }
        let (first, mut after) = self.cursor.take().unwrap_or_default();
        for slot in (0..SLOTS).map(|at| (first + at) % SLOTS) {
            loop {
                let page = self.index.page(slot, &after).await?;
                let is_last = page.len() < PAGE;
                let begin = (slot, after.clone());
                if let Some(work) = page.last() {
                    work.account_id.as_str().clone_into(&mut after);
                }
                if self.turn(begin, page, &mut next).await? == Ended::Late {
                    return Ok(Ended::Late);
                }
                if is_last {
                    break;
                }
            }
            after.clear();
        }
        Ok(Ended::Through(next))
    }

    /// Works on those of a page that are due; the page begins behind `reached`.
    async fn turn(
        &mut self,
        mut reached: (u32, String),
        page: Vec<Work>,
        next: &mut Option<i64>,
    ) -> Result<Ended, RollupError> {
        let now = (self.now)();
        let mut due = Vec::new();
        for work in page {
            self.watch(&work, now);
            let at = work.due_at.max(work.leased_until);
            if at <= now {
                due.push(work);
            } else {
                self.done.elsewhere |= work.due_at <= now && work.failures == 0;
                *next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        for some in due.chunks(ACCOUNTS) {
            if (self.now)() >= self.deadline {
                return Ok(self.late(reached));
            }
            if !self.is_awake {
                self.is_awake = true;
                self.wake().await?;
            }
            let looked_at = (self.now)();
            let Ok(looked) = timeout(self.time(self.deadline), self.look(some)).await else {
                return Ok(self.late(reached));
            };
            for (work, stale) in looked? {
                if (self.now)() >= self.deadline {
                    return Ok(self.late(reached));
                }
                work.account_id.as_str().clone_into(&mut reached.1);
                // It is looked at again after the others, if something is left.
                *next = Some(next.map_or(now, |next| next.min(now)));
                self.work_on(work, stale, looked_at).await?;
            }
        }
        Ok(Ended::Through(*next))
    }

    /// The next pass begins behind this account.
    fn late(&mut self, reached: (u32, String)) -> Ended {
        self.cursor = Some(reached);
        Ended::Late
    }

    /// How long work with this deadline may take until it is cut off.
    fn time(&self, deadline: i64) -> Duration {
        let left = deadline + millis(OVERTIME) - (self.now)();
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    async fn wake(&self) -> Result<(), RollupError> {
        let woken = timeout(self.time(self.deadline), self.roller.wake()).await;
        let Err(error) = woken.unwrap_or(Err(RollupError::CutOff)) else { return Ok(()) };
        if error.is_of_the_store() && !self.roller.is_answering().await {
            return Err(error);
        }
        tracing::error!(error.cause = %error, "accounts with work of which nothing is noted cannot be found");
        Ok(())
    }

    /// Counts accounts that have waited for long.
    fn watch(&mut self, work: &Work, now: i64) {
        // What became due without a new event is not noted as waiting.
        let waited = now - work.waiting_since.unwrap_or(work.due_at);
        if waited > BEHIND {
            self.done.behind += 1;
            self.done.behind_seconds = self.done.behind_seconds.max(waited / 1_000);
        }
    }

    /// The stale buckets of some accounts: of all at once or, if that fails, of each by itself.
    async fn look<'w>(&self, works: &'w [Work]) -> Result<Vec<(&'w Work, Looked)>, RollupError> {
        let ids = |works: &[Work]| works.iter().map(|work| work.account_id.clone()).collect::<Vec<_>>();
        let since = works.iter().map(|work| work.since).min().unwrap_or(0);
        let error = match self.roller.look(&ids(works), since).await {
            Ok(noted) => {
                let mut stale: BTreeMap<AccountId, Vec<Noted>> = BTreeMap::new();
                for noted in noted {
                    stale.entry(noted.account_id.clone()).or_default().push(noted);
                }
                let of = |work: &'w Work| (work, Ok(stale.remove(&work.account_id).unwrap_or_default()));
                return Ok(works.iter().map(of).collect());
            }
            Err(error) => error,
        };
        if !self.roller.is_answering().await {
            return Err(error.into());
        }
        if let [work] = works {
            return Ok(vec![(work, Err(error))]);
        }
        let mut each = Vec::new();
        for work in works {
            each.push((work, self.roller.look(&ids(std::slice::from_ref(work)), work.since).await));
        }
        Ok(each)
    }

    async fn work_on(&mut self, work: &Work, stale: Looked, looked_at: i64) -> Result<(), RollupError> {
        let account_id = &work.account_id;
        let claimed = match self.index.claim(account_id, (self.now)()).await {
            Ok(Some(claimed)) => claimed,
            Ok(None) => {
                self.done.elsewhere = true;
                return Ok(());
            }
            Err(error) => {
                self.fail(account_id, &error.into());
                return Ok(());
            }
        };
        let deadline = self.deadline.min((self.now)() + self.share);
        let time = self.time(deadline);
        let working = async {
            let (mut stale, mut looked_at) = (stale, looked_at);
            // Of what was noted between the look and the claim, nothing was seen.
            if (claimed.noted_at, claimed.asked_at) != (work.noted_at, work.asked_at) {
                looked_at = (self.now)();
                stale = self.roller.look(std::slice::from_ref(&claimed.account_id), claimed.since).await;
            }
            self.roller.roll(&claimed, &stale?, looked_at, deadline, &mut self.done).await
        };
        let rolled = timeout(time, working).await.unwrap_or(Err(RollupError::CutOff));
        let (left, broken) = match rolled {
            Ok(left) => (left, None),
            Err(error) if error.is_of_the_store() && !self.roller.is_answering().await => {
                (Left::Now { is_asked: false }, Some(error))
            }
            Err(error) => {
                self.fail(account_id, &error);
                let wait = RETRY.saturating_mul(1 << claimed.failures.min(16)).min(LONGEST_RETRY);
                (Left::Failed { retry_at: (self.now)() + wait }, None)
            }
        };
        self.done.accounts += 1;
        if let Err(error) = self.index.finish(&claimed, left, (self.now)()).await {
            self.fail(account_id, &error.into());
        }
        broken.map_or(Ok(()), Err)
    }

    fn fail(&mut self, account_id: &AccountId, error: &RollupError) {
        self.done.failed += 1;
        tracing::error!(account.id = account_id.as_str(), error.cause = %error, "the rollups of an account fail");
    }
}

type Looked = Result<Vec<Noted>, WarehouseError>;
