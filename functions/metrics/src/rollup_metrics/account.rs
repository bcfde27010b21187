//! Computing an account's buckets.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use analytics_domain::{
    account::AccountId,
    metric::{Freshness, Grain, Kept, Metrics},
};
use analytics_dynamo::Work;
use analytics_warehouse::{
    WarehouseError,
    metric::{Noted, Plan, SeriesState, Span},
};

use crate::rollup_metrics::{App, Done, GRACE, RollupError, millis, portion::PortionKey};

/// Bytes of a metric that is read. Metrics of before the present limits may have more: they are answered from events.
const METRIC_BYTES: usize = 65_536;

/// Bytes of all metrics of an account that are read.
const ACCOUNT_BYTES: usize = 2 * 1_048_576;

/// Ticks of so many milliseconds are built beyond those that answer.
const TICKS_MARGIN: i64 = 1_800_000;

/// What the computing of buckets is noted as.
#[derive(Clone, Copy)]
enum Note {
    /// All series have seen all that had come.
    Computed,
    /// The series of the build begun then have.
    Built(i64),
}

/// A claimed account with what is to be kept of it.
pub(crate) struct Account<'a> {
    app: &'a App,
    id: &'a AccountId,
    owner: &'a str,
    kept: Kept,
    /// When no more computing is begun, in epoch milliseconds.
    deadline: i64,
    /// How often computing has failed before.
    failures: u32,
    plan: Plan,
    /// Series that are not complete, by the time since when they are being built.
    building: BTreeMap<i64, Vec<u64>>,
    /// When the claim was last renewed.
    held_at: Cell<i64>,
}

impl<'a> Account<'a> {
    pub(crate) async fn new(
        app: &'a App,
        work: &'a Work,
        owner: &'a str,
        now: i64,
        deadline: i64,
    ) -> Result<Self, RollupError> {
        let id = &work.account_id;
        let held_at = Cell::new((app.now)());
        let defined = app.table.list_within(id, METRIC_BYTES, ACCOUNT_BYTES).await?;
        let (plan, left_out) = Plan::of(&Metrics::new(defined.definitions));
        if left_out + defined.skipped > 0 {
            let metrics = left_out + defined.skipped;
            tracing::warn!(account.id = id.as_str(), metrics, "metrics are too large to be kept in rollups");
        }
        let known = app.warehouse.series(id).await?;
        let is_wide = |id: u64| known.get(&id).is_some_and(|(state, _)| *state == SeriesState::Wide);
        let plan = plan.only(|id| !is_wide(id));
        let wanted: BTreeSet<u64> = plan.ids().collect();
        // Before anything is computed without them, those that no metric needs any more stop to answer.
        let dropped: Vec<u64> = known
            .iter()
            .filter(|(id, (state, _))| *state == SeriesState::Ready && !wanted.contains(id))
            .map(|(id, _)| *id)
            .collect();
        app.warehouse.set_series(id, &dropped, SeriesState::Building).await?;
        let new: Vec<u64> = wanted.iter().copied().filter(|id| !known.contains_key(id)).collect();
        if !new.is_empty() {
            // So that their history is computed even if this process dies and nothing arrives any more.
            app.work.ask(id, (app.now)()).await?;
        }
        app.warehouse.set_series(id, &new, SeriesState::Building).await?;
        let known = if new.is_empty() { known } else { app.warehouse.series(id).await? };
        let mut building: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for id in wanted {
            if let Some((SeriesState::Building, since)) = known.get(&id) {
                building.entry(*since).or_default().push(id);
            }
        }
        let failures = work.failures;
        Ok(Self { app, id, owner, kept: Kept::at(now), deadline, failures, plan, building, held_at })
    }

    /// Whether there are series whose history is to be computed.
    pub(crate) fn is_building(&self) -> bool {
        !self.building.is_empty()
    }

    /// Computes buckets of all series; false if time did not suffice for all.
    pub(crate) async fn compute(&self, grain: Grain, starts: &[i64], done: &mut Done) -> Result<bool, RollupError> {
        self.compute_all(&self.plan, Span { grain, starts }, Note::Computed, done).await
    }

    /// Computes buckets, the latest first, in portions that take a few seconds; false if time did not suffice for all.
    async fn compute_all(&self, plan: &Plan, span: Span<'_>, note: Note, done: &mut Done) -> Result<bool, RollupError> {
        let warehouse = &self.app.warehouse;
        let Span { grain, starts: mut rest } = span;
        let built_since = match note {
            Note::Computed => None,
            Note::Built(since) => Some(since),
        };
        let key = PortionKey { account_id: self.id.clone(), grain, built_since };
        let portions = &self.app.portions;
        while !rest.is_empty() {
            let begun = (self.app.now)();
            if begun >= self.deadline || !self.hold().await? {
                return Ok(false);
            }
            let (earlier, part) = rest.split_at(rest.len().saturating_sub(portions.next(&key, self.failures)));
            let version = warehouse.clock().await?;
            let span = Span { grain, starts: part };
            let is_aged = |start: &i64| grain == Grain::Minute && *start < self.kept.since(Grain::Minute, 0);
            if part.iter().all(is_aged) {
                // Minutes of this age, and all before them, are no longer kept. The longer buckets around them are.
                warehouse.note_computed(self.id, Span { grain, starts: rest }, version).await?;
                return Ok(true);
            }
            portions.begin(&key, part.len());
            let rolled = warehouse.roll(self.id, plan, span, &self.kept, version, async || self.goes_on().await).await;
            let wide = match rolled {
                // Fewer are tried next.
                Err(WarehouseError::OverLimits(_)) if part.len() > 1 => continue,
                rolled => rolled?.ok_or(RollupError::CutOff)?,
            };
            if !wide.is_empty() {
                tracing::warn!(account.id = self.id.as_str(), series = wide.len(), "series cannot be kept");
                warehouse.set_series(self.id, &wide, SeriesState::Wide).await?;
            }
            match note {
                Note::Built(since) => warehouse.note_built(self.id, since, span).await?,
                Note::Computed => {
                    warehouse.note_computed(self.id, span, version).await?;
                    // The new series are part of the plan, but shorter buckets may not have them yet.
                    if part.first().is_some_and(|start| self.kept.made_of(grain, *start).is_none()) {
                        for since in self.building.keys() {
                            warehouse.note_built(self.id, *since, span).await?;
                        }
                    }
                }
            }
            done.buckets += part.len();
            portions.took(&key, part.len(), (self.app.now)() - begun);
            rest = earlier;
        }
        Ok(true)
    }

    /// Holds the claim for longer than the next statement may take; false if it is lost.
    async fn hold(&self) -> Result<bool, RollupError> {
        let now = (self.app.now)();
        if now - self.held_at.get() < self.app.lease() / 7 {
            return Ok(true);
        }
        let held = self.app.work.claim(self.id, self.owner, now, now + self.app.lease()).await?;
        self.held_at.set(now);
        Ok(held.is_some())
    }

    /// Whether another statement of the same buckets may begin.
    async fn goes_on(&self) -> bool {
        (self.app.now)() < self.deadline + millis(GRACE) && self.hold().await.unwrap_or(false)
    }

    /// Computes the history of series that are new; false if time did not suffice.
    pub(crate) async fn build(&self, done: &mut Done) -> Result<bool, RollupError> {
        for (since, series) in &self.building {
            let plan = self.plan.only(|id| series.contains(&id));
            for (grain, starts) in self.complete().await? {
                let missing = self.app.warehouse.missing(self.id, *since, grain, &starts).await?;
                let span = Span { grain, starts: &missing };
                if !self.compute_all(&plan, span, Note::Built(*since), done).await? {
                    return Ok(false);
                }
            }
            let known = self.app.warehouse.series(self.id).await?;
            let narrow = |id: &&u64| known.get(id).is_none_or(|(state, _)| *state != SeriesState::Wide);
            let ready: Vec<u64> = series.iter().filter(narrow).copied().collect();
            self.app.warehouse.set_series(self.id, &ready, SeriesState::Ready).await?;
            done.series += ready.len();
        }
        Ok(true)
    }

    /// The buckets that lack nothing, shortest first: the old and the recent ones of each length by themselves.
    async fn complete(&self) -> Result<Vec<(Grain, Vec<i64>)>, RollupError> {
        let mut noted = self.app.warehouse.buckets(self.id).await?;
        noted.sort_by_key(|noted| noted.grain);
        let changed = noted.iter().flat_map(|Noted { grain, buckets, .. }| {
            buckets.iter().filter(|bucket| bucket.is_stale()).map(|bucket| (*grain, bucket.start))
        });
        let freshness = Freshness::new(changed, self.kept);
        let mut complete = Vec::new();
        for Noted { grain, buckets, .. } in noted {
            let starts = buckets.iter().map(|bucket| bucket.start);
            let starts: Vec<i64> = starts.filter(|start| !freshness.is_stale(grain, *start)).collect();
            let [old, recent] = sides(&self.kept, &starts);
            match grain {
                // The latest only, and some more, so that clocks may differ.
                Grain::Tick => {
                    let since = self.kept.since(grain, 0) - TICKS_MARGIN;
                    complete.push((grain, recent.iter().copied().filter(|start| *start >= since).collect()));
                }
                Grain::Minute => complete.push((grain, recent.to_vec())),
                _ => complete.extend([(grain, old.to_vec()), (grain, recent.to_vec())]),
            }
        }
        Ok(complete)
    }
}

/// Ascending buckets as the old ones and the recent ones, which are made of something else.
fn sides<'s>(kept: &Kept, starts: &'s [i64]) -> [&'s [i64]; 2] {
    starts.split_at(starts.partition_point(|start| *start < kept.since(Grain::Minute, 0))).into()
}
