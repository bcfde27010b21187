//! Whom the schedule works on, whatever goes wrong with some of them, with both stores faked.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use analytics_domain::account::AccountId;
use analytics_dynamo::{Left, SLOTS, TableError, Work};
use analytics_warehouse::{WarehouseError, metric::Noted};

use crate::rollup_metrics::{
    Call, Done, GRACE, OVERTIME, PATIENCE_SECONDS, RollupError,
    roller::ANSWER_TIME,
    schedule::{Ended, Index, Roller, Schedule, Who},
};

const START: i64 = 1_795_521_600_000;
const DEADLINE: i64 = START + 50_000;
const SHARE: i64 = 15_000;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(START) };
}

fn now() -> i64 {
    NOW.get()
}

/// Notes in memory.
#[derive(Default)]
struct Notes {
    works: RefCell<BTreeMap<AccountId, Work>>,
    /// An account of which something is noted just before it is claimed.
    noted_late: Cell<Option<&'static str>>,
}

fn slot_of(account_id: &AccountId) -> u32 {
    account_id.bytes().fold(0, |sum, byte| sum + u32::from(byte)) % SLOTS
}

impl Notes {
    /// Accounts that are due then, and a clock that starts.
    fn of(account_ids: impl IntoIterator<Item = AccountId>, due_at: i64) -> Self {
        NOW.set(START);
        let work = |account_id: AccountId| (account_id.clone(), Work { due_at, ..Work::new(account_id) });
        Self { works: RefCell::new(account_ids.into_iter().map(work).collect()), noted_late: Cell::default() }
    }

    fn change(&self, account_id: &str, change: impl FnOnce(&mut Work)) {
        change(self.works.borrow_mut().get_mut(account_id).expect("is noted"));
    }
}

impl Index for Notes {
    async fn page(&self, slot: u32, after: &str) -> Result<Vec<Work>, TableError> {
        let notes = self.works.borrow();
        let behind = notes.iter().filter(|(id, _)| slot_of(id) == slot && id.as_str() > after);
        Ok(behind.map(|(_, work)| work.clone()).take(crate::rollup_metrics::schedule::PAGE).collect())
    }

    async fn of(&self, account_id: &AccountId) -> Result<Option<Work>, TableError> {
        Ok(self.works.borrow().get(account_id).cloned())
    }

    async fn claim(&self, account_id: &AccountId, now: i64) -> Result<Option<Work>, TableError> {
        if self.noted_late.get() == Some(account_id.as_str()) {
            self.noted_late.set(None);
            self.change(account_id, |work| work.noted_at = now);
        }
        let mut notes = self.works.borrow_mut();
        let work = notes.get_mut(account_id).filter(|work| work.leased_until < now);
        Ok(work.map(|work| {
            work.leased_until = now + 70_000;
            work.clone()
        }))
    }

    async fn finish(&self, seen: &Work, left: Left, now: i64) -> Result<(), TableError> {
        let mut notes = self.works.borrow_mut();
        let work = notes.get_mut(&seen.account_id).expect("was claimed");
        (work.leased_until, work.failures) = (0, 0);
        match left {
            Left::Nothing => drop(notes.remove(&seen.account_id)),
            Left::Later { due_at, .. } => work.due_at = due_at,
            Left::Now { .. } => work.due_at = now,
            Left::Failed { retry_at } => (work.leased_until, work.failures) = (retry_at, seen.failures + 1),
        }
        Ok(())
    }
}

type Fault = fn() -> RollupError;

/// ClickHouse with a fault that the buckets of one account cause.
#[derive(Default)]
struct Fake {
    faulty: Option<(AccountId, Fault)>,
    /// Asking for the buckets of the faulty account fails too.
    is_seen_at_once: bool,
    is_down: bool,
    /// Milliseconds that an account takes.
    takes: i64,
    /// An account whose work never ends.
    hangs: Option<&'static str>,
    asked: Cell<usize>,
    /// How many accounts were looked at each time.
    looks: RefCell<Vec<usize>>,
    rolled: RefCell<BTreeSet<AccountId>>,
}

impl Fake {
    fn ask(&self) -> Result<(), WarehouseError> {
        self.asked.set(self.asked.get() + 1);
        if self.is_down { Err(WarehouseError::Unavailable("connection refused".to_owned())) } else { Ok(()) }
    }

    fn rolled(&self) -> usize {
        self.rolled.borrow().len()
    }
}

impl Roller for Fake {
    async fn wake(&self) -> Result<(), RollupError> {
        Ok(self.ask()?)
    }

    async fn look(&self, account_ids: &[AccountId], _: i64) -> Result<Vec<Noted>, WarehouseError> {
        self.ask()?;
        self.looks.borrow_mut().push(account_ids.len());
        match &self.faulty {
            Some((account_id, fault)) if self.is_seen_at_once && account_ids.contains(account_id) => match fault() {
                RollupError::Warehouse(error) => Err(error),
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    async fn roll(&self, work: &Work, _: &[Noted], _: i64, _: i64, done: &mut Done) -> Result<Left, RollupError> {
        self.ask()?;
        if self.hangs == Some(&*work.account_id) {
            std::future::pending::<()>().await;
        }
        NOW.set(now() + self.takes);
        match &self.faulty {
            Some((account_id, fault)) if *account_id == work.account_id => Err(fault()),
            _ => {
                self.rolled.borrow_mut().insert(work.account_id.clone());
                done.buckets += 1;
                Ok(Left::Nothing)
            }
        }
    }

    async fn is_answering(&self) -> bool {
        !self.is_down
    }
}

fn accounts(count: usize) -> impl Iterator<Item = AccountId> {
    (0..count).map(|number| AccountId::stored(&format!("account-{number:03}")))
}

fn schedule<'a>(notes: &'a Notes, fake: &'a Fake) -> Schedule<'a, Notes, Fake> {
    Schedule::new(notes, fake, now, DEADLINE, SHARE)
}

#[tokio::test]
async fn while_nothing_is_due_clickhouse_is_asked_nothing() {
    let (notes, fake) = (Notes::of(accounts(30), START + 9_000), Fake::default());
    let mut schedule = schedule(&notes, &fake);
    assert_eq!(schedule.pass(Who::All).await.unwrap(), Ended::Through(Some(START + 9_000)));
    assert_eq!(fake.asked.get(), 0);
    let nobody = Notes::default();
    let mut schedule = Schedule::new(&nobody, &fake, now, DEADLINE, SHARE);
    assert_eq!(schedule.pass(Who::All).await.unwrap(), Ended::Through(None));
    assert_eq!(fake.asked.get(), 0);
}

#[tokio::test]
async fn whatever_goes_wrong_with_one_account_the_others_are_worked_on() {
    let faults: [Fault; 7] = [
        || WarehouseError::Refused("code 43 ILLEGAL_TYPE_OF_ARGUMENT".to_owned()).into(),
        || WarehouseError::OverLimits("code 241 MEMORY_LIMIT_EXCEEDED".to_owned()).into(),
        || WarehouseError::Unavailable("code 202 TOO_MANY_SIMULTANEOUS_QUERIES".to_owned()).into(),
        || WarehouseError::TimedOut("no answer in time".to_owned()).into(),
        || WarehouseError::Unfit("code 497 ACCESS_DENIED".to_owned()).into(),
        || TableError::Corrupt("a metric cannot be read").into(),
        || RollupError::CutOff,
    ];
    for fault in faults {
        for is_seen_at_once in [false, true] {
            let faulty = Some((AccountId::stored("account-013"), fault));
            let (notes, fake) = (Notes::of(accounts(50), START), Fake { faulty, is_seen_at_once, ..Fake::default() });
            let mut schedule = schedule(&notes, &fake);
            schedule.pass(Who::All).await.unwrap();
            assert_eq!((fake.rolled(), schedule.done.failed), (49, 1), "{}", fault());
            // It is left alone for a while, and for longer if it fails again.
            let asked = fake.asked.get();
            schedule.pass(Who::All).await.unwrap();
            assert_eq!((fake.asked.get(), schedule.done.failed), (asked, 1), "{}", fault());
            let first = notes.works.borrow()["account-013"].leased_until;
            notes.change("account-013", |work| work.leased_until = 0);
            schedule.pass(Who::All).await.unwrap();
            let second = notes.works.borrow()["account-013"].leased_until;
            assert_eq!((first - START, second - START), (60_000, 120_000));
        }
    }
}

#[tokio::test]
async fn a_clickhouse_that_answers_nothing_ends_the_pass_and_nobody_is_put_off() {
    let (notes, fake) = (Notes::of(accounts(50), START), Fake { is_down: true, ..Fake::default() });
    let mut schedule = schedule(&notes, &fake);
    let ended = schedule.pass(Who::All).await;
    assert!(matches!(ended, Err(RollupError::Warehouse(WarehouseError::Unavailable(_)))), "{ended:?}");
    assert_eq!((fake.asked.get(), schedule.done.failed), (1, 0));
    assert!(notes.works.borrow().values().all(|work| work.due_at == START && work.leased_until < now()));
}

#[tokio::test]
async fn a_dead_process_holds_up_its_own_account_and_that_not_for_long() {
    let (notes, fake) = (Notes::of(accounts(50), START), Fake::default());
    notes.change("account-007", |work| work.leased_until = START + 1_000);
    let mut schedule = schedule(&notes, &fake);
    schedule.pass(Who::All).await.unwrap();
    assert_eq!(fake.rolled(), 49);
    assert!(schedule.done.elsewhere);
    NOW.set(START + 1_001);
    schedule.pass(Who::All).await.unwrap();
    assert_eq!(fake.rolled(), 50);
}

#[tokio::test]
async fn a_call_that_runs_out_of_time_is_gone_on_with_where_it_ended() {
    let (notes, fake) = (Notes::of(accounts(60), START), Fake { takes: 2_000, ..Fake::default() });
    let mut cursor = None;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let started = now();
        let mut schedule = Schedule::new(&notes, &fake, now, started + 50_000, SHARE);
        schedule.cursor = cursor;
        ended.push(schedule.pass(Who::All).await.unwrap() == Ended::Late);
        cursor = schedule.cursor;
        // What was worked on is due again at once: without a cursor, the same accounts would be first each time.
        let worked = fake.rolled.borrow().clone();
        notes.works.borrow_mut().extend(
            worked
                .into_iter()
                .map(|account_id| (account_id.clone(), Work { due_at: started, ..Work::new(account_id) })),
        );
    }
    assert!(ended[0], "one call has not time enough for all");
    assert_eq!(fake.rolled(), 60, "everybody has had a turn after {ended:?}");
}

#[tokio::test]
async fn what_is_noted_between_the_look_and_the_claim_is_looked_at() {
    let (notes, fake) = (Notes::of(accounts(9), START), Fake::default());
    let slots: BTreeSet<u32> = accounts(9).map(|account_id| slot_of(&account_id)).collect();
    notes.noted_late.set(Some("account-004"));
    schedule(&notes, &fake).pass(Who::All).await.unwrap();
    assert_eq!(fake.rolled(), 9);
    let (looks, looked_at) = (fake.looks.borrow().len(), fake.looks.borrow().iter().sum::<usize>());
    assert_eq!((looks, looked_at), (slots.len() + 1, 9 + 1), "of one account, nothing was seen by the first look");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_never_ends_counts_as_failed_and_the_others_are_worked_on() {
    let (notes, fake) = (Notes::of(accounts(9), START), Fake { hangs: Some("account-004"), ..Fake::default() });
    let mut schedule = schedule(&notes, &fake);
    let started = tokio::time::Instant::now();
    schedule.pass(Who::All).await.unwrap();
    assert!(started.elapsed() <= Duration::from_millis(SHARE.unsigned_abs()) + OVERTIME + Duration::from_secs(1));
    assert_eq!((fake.rolled(), schedule.done.failed), (8, 1));
    assert_eq!(notes.works.borrow()["account-004"].failures, 1, "fewer buckets are computed at once next time");
}

/// What noting something in a table takes at most: see `analytics_dynamo::client`.
const TABLE_TIME: Duration = Duration::from_secs(3);

#[test]
fn a_call_that_is_cut_off_has_time_to_note_it() {
    let (_, function) = include_str!("../../../../template.yaml").split_once("\n  RollupMetrics:\n").expect("is there");
    let timeout = function.lines().find_map(|line| line.trim().strip_prefix("Timeout: ")).expect("has a time-out");
    let timeout = Duration::from_secs(timeout.parse().expect("is a number of seconds"));
    // ClickHouse may be asked whether it answers. Then the account and the end of the call are noted.
    let longest = Duration::from_secs(PATIENCE_SECONDS) + OVERTIME + ANSWER_TIME + 2 * TABLE_TIME;
    assert!(longest + Duration::from_secs(5) <= timeout, "{longest:?} of {timeout:?}");
    assert!(2 * GRACE < OVERTIME, "the last statement has time to end");
}

#[tokio::test]
async fn one_account_can_be_asked_for() {
    let (notes, fake) = (Notes::of(accounts(50), START), Fake::default());
    let mut schedule = schedule(&notes, &fake);
    schedule.pass(Who::Account(&AccountId::stored("account-003"))).await.unwrap();
    assert_eq!(*fake.rolled.borrow(), BTreeSet::from([AccountId::stored("account-003")]));
    assert_eq!(schedule.pass(Who::Account(&AccountId::stored("nobody"))).await.unwrap(), Ended::Through(None));
}

#[tokio::test]
async fn accounts_that_wait_for_long_are_counted() {
    let (notes, fake) = (Notes::of(accounts(4), START), Fake::default());
    notes.change("account-001", |work| work.waiting_since = Some(START - 3_600_000));
    notes.change("account-002", |work| work.waiting_since = Some(START - 60_000));
    // It became due at the end of its day.
    notes.change("account-003", |work| work.due_at = START - 1_000_000);
    let mut schedule = schedule(&notes, &fake);
    schedule.pass(Who::All).await.unwrap();
    assert_eq!((schedule.done.behind, schedule.done.behind_seconds), (2, 3_600));
}

#[test]
fn the_schedule_is_told_from_a_person() {
    let scheduled = serde_json::from_str(include_str!("../../../../events/rollup-metrics.json")).expect("is JSON");
    assert_eq!(Call::of(&scheduled), Call::Routine);
    assert_eq!(Call::of(&serde_json::json!({})), Call::Everything);
    assert_eq!(Call::of(&serde_json::json!({"accountId": "a"})), Call::Account(AccountId::stored("a")));
}
