//! The schedule's parts in the stores.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use analytics_domain::{account::AccountId, metric::Grain};
use analytics_dynamo::{Left, Progress, QUIET, TableError, Work};
use analytics_warehouse::{
    WarehouseError,
    metric::{Noted, Span},
};
use tokio::time::timeout;

use crate::rollup_metrics::{
    App, Done, RollupError,
    account::Account,
    due::{Agenda, Pace},
    schedule::{Index, PAGE, Roller},
    sweep,
};

/// Deletions are looked for so many milliseconds after the last time, while there is work.
const MUTATIONS_EVERY: i64 = 10_000;

/// Where more is stale than is told at once and none of it can be computed, it is looked at again after so many milliseconds.
const CUT_AGAIN: i64 = 60_000;

/// A ClickHouse that takes longer to tell the time is down.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(3);

/// One call's hands.
pub(crate) struct Rollups<'a> {
    app: &'a App,
    /// Names this call in claims.
    owner: String,
    progress: RefCell<Progress>,
    mutations_at: Cell<i64>,
}

impl<'a> Rollups<'a> {
    pub(crate) fn new(app: &'a App, progress: Progress) -> Self {
        let owner = format!("{:016x}", u64::from_be_bytes(analytics_platform::random()));
        Self { app, owner, progress: RefCell::new(progress), mutations_at: Cell::new(0) }
    }

    /// Whether series must be built again.
    pub(crate) fn series_have_changed(&self) -> bool {
        sweep::series_have_changed(&self.progress.borrow())
    }

    pub(crate) async fn look_for_everything(&self) -> Result<(), RollupError> {
        self.mutations_at.set((self.app.now)());
        sweep::take_in_mutations(self.app).await?;
        self.sweep(true).await
    }

    pub(crate) async fn look_for(&self, account_id: &AccountId) -> Result<(), RollupError> {
        self.mutations_at.set((self.app.now)());
        sweep::take_in_mutations(self.app).await?;
        Ok(self.app.work.note_found(&[(account_id.to_owned(), 0)], true, (self.app.now)()).await?)
    }

    async fn sweep(&self, everything: bool) -> Result<(), RollupError> {
        let mut progress = self.progress.borrow().clone();
        sweep::sweep(self.app, &mut progress, everything).await?;
        self.progress.replace(progress);
        Ok(())
    }

    pub(crate) fn cursor(&self) -> Option<(u32, String)> {
        self.progress.borrow().cursor.clone()
    }

    /// Notes where the next call begins.
    pub(crate) async fn note_cursor(&self, cursor: Option<(u32, String)>) -> Result<(), RollupError> {
        let mut progress = self.progress.borrow().clone();
        if progress.cursor.is_none() && cursor.is_none() {
            return Ok(());
        }
        progress.cursor = cursor;
        Ok(self.app.work.set_progress(&progress).await?)
    }

    /// Whether these ticks hold so many events that computing them is worth more than looking through the events.
    async fn pay(&self, account_id: &AccountId, ticks: &[i64]) -> Result<bool, RollupError> {
        let events = self.app.warehouse.events_in(account_id, Span { grain: Grain::Tick, starts: ticks }).await?;
        Ok(events >= self.app.tick_events * u64::try_from(ticks.len()).unwrap_or(u64::MAX))
    }
}

impl Index for Rollups<'_> {
    async fn page(&self, slot: u32, after: &str) -> Result<Vec<Work>, TableError> {
        self.app.work.page(slot, after, i32::try_from(PAGE).unwrap_or(i32::MAX)).await
    }

    async fn of(&self, account_id: &AccountId) -> Result<Option<Work>, TableError> {
        self.app.work.of(account_id).await
    }

    async fn claim(&self, account_id: &AccountId, now: i64) -> Result<Option<Work>, TableError> {
        self.app.work.claim(account_id, &self.owner, now, now + self.app.lease()).await
    }

    async fn finish(&self, seen: &Work, left: Left, now: i64) -> Result<(), TableError> {
        self.app.work.finish(&seen.account_id, &self.owner, seen, left, now).await
    }
}

impl Roller for Rollups<'_> {
    async fn wake(&self) -> Result<(), RollupError> {
        let now = (self.app.now)();
        if now - self.mutations_at.get() >= MUTATIONS_EVERY {
            self.mutations_at.set(now);
            sweep::take_in_mutations(self.app).await?;
        }
        self.sweep(false).await
    }

    async fn look(&self, account_ids: &[AccountId], since: i64) -> Result<Vec<Noted>, WarehouseError> {
        self.app.warehouse.stale(account_ids, since).await
    }

    async fn roll(
        &self,
        work: &Work,
        stale: &[Noted],
        looked_at: i64,
        deadline: i64,
        done: &mut Done,
    ) -> Result<Left, RollupError> {
        let app = self.app;
        let now = app.warehouse.clock().await?;
        let clocks = Clocks { now, noted: (app.now)(), looked_at };
        let mut agenda = Agenda::new(stale, now, Pace::new(app.delay, app.rest));
        if let Some(ticks) = agenda.ticks()
            && !self.pay(&work.account_id, ticks).await?
        {
            agenda.without_ticks();
        }
        let is_asked = work.asked_at.is_some();
        if !agenda.due.is_empty() || is_asked {
            let account = Account::new(app, work, &self.owner, now, deadline).await?;
            for (grain, starts) in &agenda.due {
                if !account.compute(*grain, starts, done).await? {
                    return Ok(Left::Now { is_asked: account.is_building() });
                }
            }
            if !account.build(done).await? {
                return Ok(Left::Now { is_asked: true });
            }
        }
        if !agenda.due.is_empty() {
            // What was computed is part of what is longer.
            return Ok(Left::Now { is_asked: false });
        }
        Ok(left(work, &agenda, clocks))
    }

    async fn is_answering(&self) -> bool {
        matches!(timeout(ANSWER_TIME, self.app.warehouse.clock()).await, Ok(Ok(_)))
    }
}

/// A moment, and when the account's buckets were looked at before it.
#[derive(Clone, Copy)]
struct Clocks {
    /// By ClickHouse's clock.
    now: i64,
    /// The same moment by the clock of notes.
    noted: i64,
    /// By the clock of notes.
    looked_at: i64,
}

/// What is left of an account of which nothing is due.
fn left(work: &Work, agenda: &Agenda, clocks: Clocks) -> Left {
    let Clocks { now, noted, looked_at } = clocks;
    // Notes that were this young may stand for something that was not seen.
    let settled_at = work.noted_at.max(work.asked_at.unwrap_or(0)) + QUIET;
    let later = agenda.is_cut.then_some(now + CUT_AGAIN);
    let next = agenda.next.or(later).map(|next| next - now + noted);
    let is_answered = work.asked_at.is_none_or(|asked_at| asked_at + QUIET <= looked_at);
    // What was marked since the look was not seen, nor were the stale buckets beyond those told, whenever they were marked.
    let since = if agenda.is_cut { work.since } else { agenda.since - (noted - looked_at) };
    match next {
        None if settled_at <= looked_at => Left::Nothing,
        next => {
            let settled_at = (settled_at > looked_at).then_some(settled_at);
            let due_at = next.into_iter().chain(settled_at).min().unwrap_or(noted);
            Left::Later { due_at, since, is_answered }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: i64 = 1_000_000;

    fn agenda(next: Option<i64>) -> Agenda {
        Agenda { due: Vec::new(), next, since: 7, is_cut: false }
    }

    /// The account was looked at just now, and ClickHouse's clock is right.
    const AT_ONCE: Clocks = Clocks { now: SEEN, noted: SEEN, looked_at: SEEN };

    #[test]
    fn a_young_note_is_looked_at_once_more_before_it_goes() {
        let work = |noted_at, asked_at| Work { noted_at, asked_at, ..Work::new(AccountId::stored("a")) };
        let later = |due_at, is_answered| Left::Later { due_at, since: 7, is_answered };
        let young = work(SEEN - 1_000, None);
        assert_eq!(left(&young, &agenda(None), AT_ONCE), later(SEEN - 1_000 + QUIET, true));
        assert_eq!(left(&young, &agenda(Some(SEEN + 5)), AT_ONCE), later(SEEN + 5, true));
        let old = work(SEEN - QUIET, None);
        assert_eq!(left(&old, &agenda(None), AT_ONCE), Left::Nothing);
        assert_eq!(left(&old, &agenda(Some(SEEN + 90_000)), AT_ONCE), later(SEEN + 90_000, true));
        let asked = work(SEEN - QUIET, Some(SEEN - 1));
        assert_eq!(left(&asked, &agenda(None), AT_ONCE), later(SEEN - 1 + QUIET, false));
        let is_ahead = Clocks { now: SEEN + 60_000, ..AT_ONCE };
        assert_eq!(left(&old, &agenda(Some(SEEN + 60_005)), is_ahead), later(SEEN + 5, true));
    }

    #[test]
    fn a_note_goes_only_if_it_was_old_when_its_account_was_looked_at() {
        let old = Work { noted_at: SEEN - QUIET, ..Work::new(AccountId::stored("a")) };
        // Others had their turn between the look and this.
        let since_the_look = Clocks { now: SEEN + 20_000, noted: SEEN + 20_000, looked_at: SEEN - 1 };
        let later = Left::Later { due_at: SEEN, since: 7 - 20_001, is_answered: true };
        assert_eq!(left(&old, &agenda(None), since_the_look), later);
    }

    #[test]
    fn marks_beyond_those_that_were_told_are_still_looked_for() {
        let work = Work { noted_at: SEEN - QUIET, since: 3, ..Work::new(AccountId::stored("a")) };
        let cut = |next| Agenda { is_cut: true, ..agenda(next) };
        let later = |due_at| Left::Later { due_at, since: 3, is_answered: true };
        assert_eq!(left(&work, &cut(Some(SEEN + 5)), AT_ONCE), later(SEEN + 5));
        assert_eq!(left(&work, &cut(None), AT_ONCE), later(SEEN + CUT_AGAIN));
    }
}
