//! One look at what has changed, and the work that follows from it.

use std::collections::BTreeMap;

use analytics_domain::metric::{Grain, Input, Metrics, dimension_sets};
use analytics_warehouse::{
    WarehouseError,
    metric::{Due, Plan, SeriesState},
};

use crate::{App, Done, RollupError};

/// Buckets that are computed in one go, unless they hold too many events.
const CHUNK: usize = 500;

/// Computes all that is due. True if there is reason to look again soon: events that have come within the minute, or work
/// that time did not suffice for.
pub(crate) async fn pass(app: &App, deadline: i64, done: &mut Done) -> Result<bool, RollupError> {
    app.warehouse.take_in_mutations().await?;
    let now = app.warehouse.clock().await?;
    let mut by_account: BTreeMap<String, Vec<Due>> = BTreeMap::new();
    let mut is_busy = false;
    for mut stale in app.warehouse.stale(now).await? {
        let ended = stale.starts.partition_point(|start| start + stale.grain.length() <= now);
        is_busy |= stale.grain == Grain::Minute && ended < stale.starts.len();
        stale.starts.truncate(ended);
        by_account.entry(stale.account_id.clone()).or_default().push(stale);
    }
    let asked = app.warehouse.asked_for_build().await?;
    for account_id in &asked {
        by_account.entry(account_id.clone()).or_default();
    }
    let mut by_account: Vec<(String, Vec<Due>)> = by_account.into_iter().collect();
    // Another one is first each time, so that no account is always last.
    let turn = usize::try_from(now / 1_000).unwrap_or(0) % by_account.len().max(1);
    by_account.rotate_left(turn);
    for (account_id, mut due) in by_account {
        // Shortest first: recent answers gain most.
        due.sort_by_key(|due| due.grain);
        let account = Account::new(app, &account_id, deadline).await?;
        for due in &due {
            for starts in due.starts.chunks(CHUNK) {
                if !account.compute(&account.plan, due.grain, starts, Note::Computed, done).await? {
                    return Ok(true);
                }
            }
        }
        if !account.build(done).await? {
            return Ok(true);
        }
        if asked.contains(&account_id) {
            app.warehouse.note_answered(&account_id, now).await?;
        }
    }
    Ok(is_busy)
}

/// What the computing of buckets is noted as.
#[derive(Clone, Copy)]
enum Note {
    /// All series have seen all that had come.
    Computed,
    /// The series of the build begun then have.
    Built(i64),
}

/// An account with what is to be kept of it.
struct Account<'a> {
    app: &'a App,
    id: &'a str,
    deadline: i64,
    plan: Plan,
    /// Series that are not complete, by the time since when they are being built.
    building: BTreeMap<i64, Vec<u64>>,
}

impl<'a> Account<'a> {
    async fn new(app: &'a App, id: &'a str, deadline: i64) -> Result<Self, RollupError> {
        let kept = app.table.list(id).await?;
        let known = app.warehouse.series(id).await?;
        let is_wide = |id: u64| known.get(&id).is_some_and(|(state, _)| *state == SeriesState::Wide);
        let plan = plan(&Metrics::new(kept.metrics)).only(|id| !is_wide(id));
        let wanted = plan.series();
        // Before anything is computed without them, those that no metric needs any more stop to answer.
        let dropped: Vec<u64> = known
            .iter()
            .filter(|(id, (state, _))| *state == SeriesState::Ready && !wanted.contains_key(id))
            .map(|(id, _)| *id)
            .collect();
        app.warehouse.set_series(id, &dropped, SeriesState::Building).await?;
        let new: Vec<u64> = wanted.keys().copied().filter(|id| !known.contains_key(id)).collect();
        app.warehouse.set_series(id, &new, SeriesState::Building).await?;
        let known = if new.is_empty() { known } else { app.warehouse.series(id).await? };
        let mut building: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for id in wanted.keys() {
            if let Some((SeriesState::Building, since)) = known.get(id) {
                building.entry(*since).or_default().push(*id);
            }
        }
        Ok(Self { app, id, deadline, plan, building })
    }

    /// Computes buckets, in halves if that takes too much at once; false if time did not suffice for all.
    async fn compute(
        &self,
        plan: &Plan,
        grain: Grain,
        starts: &[i64],
        note: Note,
        done: &mut Done,
    ) -> Result<bool, RollupError> {
        let warehouse = &self.app.warehouse;
        // The latest first.
        let mut parts = vec![starts];
        while let Some(part) = parts.pop() {
            if (self.app.now)() >= self.deadline {
                return Ok(false);
            }
            let version = warehouse.clock().await?;
            let wide = match warehouse.roll(self.id, plan, grain, part, version).await {
                Err(WarehouseError::OverLimits(_)) if part.len() > 1 => {
                    let (earlier, later) = part.split_at(part.len() / 2);
                    parts.extend([earlier, later]);
                    continue;
                }
                rolled => rolled?,
            };
            if !wide.is_empty() {
                tracing::warn!(account.id = self.id, series = wide.len(), "series have too many keys to be kept");
                warehouse.set_series(self.id, &wide, SeriesState::Wide).await?;
            }
            match note {
                Note::Built(since) => warehouse.note_built(self.id, since, grain, part).await?,
                Note::Computed => {
                    warehouse.note_computed(self.id, grain, part, version).await?;
                    // The new series are part of the plan.
                    for since in self.building.keys() {
                        warehouse.note_built(self.id, *since, grain, part).await?;
                    }
                }
            }
            done.buckets += part.len();
        }
        Ok(true)
    }

    /// Computes the history of series that are new; false if time did not suffice.
    async fn build(&self, done: &mut Done) -> Result<bool, RollupError> {
        for (since, series) in &self.building {
            let plan = self.plan.only(|id| series.contains(&id));
            for complete in self.app.warehouse.complete(self.id, (self.app.now)()).await? {
                let missing = self.app.warehouse.missing(self.id, *since, &complete).await?;
                for starts in missing.rchunks(CHUNK) {
                    if !self.compute(&plan, complete.grain, starts, Note::Built(*since), done).await? {
                        return Ok(false);
                    }
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
}

/// What all metrics of an account need.
fn plan(metrics: &Metrics) -> Plan {
    let mut plan = Plan::default();
    for metric in metrics.all() {
        // A metric whose formula has lost its meaning answers with an error, not from rollups.
        let Ok(formula) = metrics.expand(&metric.formula) else { continue };
        let sets = dimension_sets(&metric.definition.dimensions);
        for measure in formula.inputs().into_iter().map(Input::measure) {
            plan.add(&measure, &sets);
        }
    }
    plan
}
