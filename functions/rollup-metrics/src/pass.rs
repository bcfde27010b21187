//! One look at what has changed, and the work that follows from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use analytics_domain::metric::{Freshness, Grain, Input, Kept, Metrics, dimension_sets};
use analytics_warehouse::{
    WarehouseError,
    metric::{Bucket, Noted, Plan, SeriesState, Span},
};

use crate::{App, Done, RollupError};

/// Buckets that are computed in one go, unless they hold too many events.
const CHUNK: usize = 500;

/// Ticks of so many milliseconds are built beyond those that answer.
const TICKS_MARGIN: i64 = 1_800_000;

/// Where events come late all the time, a bucket is waited for so many times as long.
const MOST_DELAYS: i64 = 6;

/// Changes of so many milliseconds may become visible after later ones.
const IN_FLIGHT: i64 = 60_000;

/// How a pass has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There is nothing to do that could not wait for the next call.
    Idle,
    /// Minutes have changed that have not ended, or were computed just before.
    Waiting,
    /// What was computed makes more computable.
    Again,
    /// Time did not suffice.
    Late,
}

/// Computes what is due of what has changed since `since` (epoch milliseconds), and says since when what is left has.
pub(crate) async fn pass(app: &App, since: i64, deadline: i64, done: &mut Done) -> Result<(Ended, i64), RollupError> {
    app.warehouse.take_in_mutations().await?;
    let now = app.warehouse.clock().await?;
    let mut by_account: BTreeMap<String, Vec<Noted>> = BTreeMap::new();
    let (mut oldest, mut ended) = (now - IN_FLIGHT, Ended::Idle);
    for stale in app.warehouse.stale(since).await? {
        oldest = stale.buckets.iter().map(|bucket| bucket.changed_at).fold(oldest, i64::min);
        if stale.grain == Grain::Minute {
            ended = Ended::Waiting;
        }
        by_account.entry(stale.account_id.clone()).or_default().push(stale);
    }
    let asked = app.warehouse.asked_for_build().await?;
    for account_id in &asked {
        by_account.entry(account_id.clone()).or_default();
    }
    let mut by_account: Vec<(String, Vec<Noted>)> = by_account.into_iter().collect();
    // Another one is first each time, so that no account is always last.
    let turn = usize::try_from(now / 1_000).unwrap_or(0) % by_account.len().max(1);
    by_account.rotate_left(turn);
    for (account_id, stale) in by_account {
        let is_asked = asked.contains(&account_id);
        let mut due = due(&stale, now, app);
        if let Some((Grain::Tick, ticks)) = due.first()
            && !pay(app, &account_id, ticks).await?
        {
            due.remove(0);
        }
        if due.is_empty() && !is_asked {
            continue;
        }
        match work_on(app, &account_id, due, now, deadline, done).await {
            Ok(true) => ended = Ended::Again,
            Ok(false) => return Ok((Ended::Late, oldest)),
            // What is wrong with one account is no reason to leave the others alone.
            Err(RollupError::Warehouse(error @ (WarehouseError::Refused(_) | WarehouseError::OverLimits(_)))) => {
                tracing::error!(account.id = account_id, %error, "the rollups of an account fail");
                continue;
            }
            Err(error) => return Err(error),
        }
        if is_asked {
            app.warehouse.note_answered(&account_id, now).await?;
        }
    }
    Ok((ended, oldest))
}

/// Computes what is due of an account, and what is new to it; false if time did not suffice.
async fn work_on(
    app: &App,
    account_id: &str,
    due: Vec<(Grain, Vec<i64>)>,
    now: i64,
    deadline: i64,
    done: &mut Done,
) -> Result<bool, RollupError> {
    let account = Account::new(app, account_id, now, deadline).await?;
    for (grain, starts) in due {
        for starts in starts.chunks(CHUNK) {
            if !account.compute(&account.plan, Span { grain, starts }, Note::Computed, done).await? {
                return Ok(false);
            }
        }
    }
    account.build(done).await
}

/// Whether these ticks hold so many events that computing them is worth more than looking through the events.
async fn pay(app: &App, account_id: &str, ticks: &[i64]) -> Result<bool, RollupError> {
    let events = app.warehouse.events_in(account_id, Span { grain: Grain::Tick, starts: ticks }).await?;
    Ok(events >= app.tick_events * u64::try_from(ticks.len()).unwrap_or(u64::MAX))
}

/// Of an account's stale buckets, those to compute now, shortest first: recent answers gain most.
///
/// Most of their events have come, the shorter ones that they are made of lack nothing, and they were not computed just before:
/// where late events come all the time, a bucket takes in many of them at once.
fn due(stale: &[Noted], now: i64, app: &App) -> Vec<(Grain, Vec<i64>)> {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(0);
    let (rest, delay) = (millis(app.rest), millis(app.delay));
    let rest = |grain| match grain {
        Grain::Tick | Grain::Minute | Grain::Quarter => rest,
        Grain::Hour => 3 * rest,
        Grain::Day => 30 * rest,
    };
    let kept = Kept::at(now);
    let starts = |wanted: Grain| {
        stale
            .iter()
            .filter(move |noted| noted.grain == wanted)
            .flat_map(|noted| &noted.buckets)
            .map(|bucket| bucket.start)
    };
    let minutes: BTreeSet<i64> = starts(Grain::Minute).collect();
    let mut lacking: BTreeSet<(Grain, i64)> = BTreeSet::new();
    let mut due = Vec::new();
    let mut stale: Vec<&Noted> = stale.iter().collect();
    stale.sort_by_key(|stale| stale.grain);
    for Noted { grain, buckets, .. } in stale {
        let grain = *grain;
        let is_due = |bucket: &&Bucket| {
            let Bucket { start, computed_at, .. } = **bucket;
            let has_come = has_come(bucket, grain, now, delay);
            let is_whole = kept.made_of(grain, start).is_none() || !lacking.contains(&(grain, start));
            // A tick of a minute that is computed is of no use.
            let is_used = grain != Grain::Tick
                || (start >= kept.since(grain, 0) && minutes.contains(&Grain::Minute.floor(start)));
            is_whole && is_used && has_come && computed_at + rest(grain) <= now
        };
        let starts: Vec<i64> = buckets.iter().filter(is_due).map(|bucket| bucket.start).collect();
        for longer in grain.longer() {
            lacking.extend(buckets.iter().map(|bucket| (longer, longer.floor(bucket.start))));
        }
        let [old, recent] = sides(&kept, &starts);
        due.extend(
            [recent, old].into_iter().filter(|starts| !starts.is_empty()).map(|starts| (grain, starts.to_vec())),
        );
    }
    due
}

/// Whether most of a bucket's events have come: it has ended, and nothing new has come for `delay` milliseconds. Events take the
/// longer to be stored the more there is to do; what is computed too early is of no use until it is computed again.
fn has_come(bucket: &Bucket, grain: Grain, now: i64, delay: i64) -> bool {
    let ended = now - bucket.start - grain.length();
    ended >= delay && (now - bucket.changed_at >= delay || ended >= MOST_DELAYS * delay)
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
    kept: Kept,
    deadline: i64,
    plan: Plan,
    /// Series that are not complete, by the time since when they are being built.
    building: BTreeMap<i64, Vec<u64>>,
}

impl<'a> Account<'a> {
    async fn new(app: &'a App, id: &'a str, now: i64, deadline: i64) -> Result<Self, RollupError> {
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
        if !new.is_empty() {
            // So that their history is computed even if this call is cut off and nothing comes any more.
            app.warehouse.ask_for_build(id).await?;
        }
        app.warehouse.set_series(id, &new, SeriesState::Building).await?;
        let known = if new.is_empty() { known } else { app.warehouse.series(id).await? };
        let mut building: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for id in wanted.keys() {
            if let Some((SeriesState::Building, since)) = known.get(id) {
                building.entry(*since).or_default().push(*id);
            }
        }
        Ok(Self { app, id, kept: Kept::at(now), deadline, plan, building })
    }

    /// Computes buckets, in halves if that takes too much at once; false if time did not suffice for all.
    async fn compute(&self, plan: &Plan, span: Span<'_>, note: Note, done: &mut Done) -> Result<bool, RollupError> {
        let warehouse = &self.app.warehouse;
        let Span { grain, starts } = span;
        // The latest first.
        let mut parts = vec![starts];
        while let Some(part) = parts.pop() {
            if (self.app.now)() >= self.deadline {
                return Ok(false);
            }
            let version = warehouse.clock().await?;
            let span = Span { grain, starts: part };
            let is_aged = |start: &i64| grain == Grain::Minute && *start < self.kept.since(Grain::Minute, 0);
            if part.iter().all(is_aged) {
                // Not kept any more; what they are a part of is.
                warehouse.note_computed(self.id, span, version).await?;
                continue;
            }
            let wide = match warehouse.roll(self.id, plan, span, &self.kept, version).await {
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
        }
        Ok(true)
    }

    /// Computes the history of series that are new; false if time did not suffice.
    async fn build(&self, done: &mut Done) -> Result<bool, RollupError> {
        for (since, series) in &self.building {
            let plan = self.plan.only(|id| series.contains(&id));
            for (grain, starts) in self.complete().await? {
                let missing = self.app.warehouse.missing(self.id, *since, grain, &starts).await?;
                for starts in missing.rchunks(CHUNK) {
                    if !self.compute(&plan, Span { grain, starts }, Note::Built(*since), done).await? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_computed_once_its_events_have_come() {
        let told = |ended: i64, changed: i64| {
            let bucket = Bucket { start: 0, changed_at: 10_000 + changed, computed_at: 0 };
            has_come(&bucket, Grain::Tick, 10_000 + ended, 1_500)
        };
        assert!(told(1_500, -3_000) && told(3_000, 1_500), "it was quiet for long enough");
        assert!(!told(1_499, -3_000), "it has hardly ended");
        assert!(!told(4_000, 3_000), "some came just before");
        assert!(told(9_000, 8_999), "some come all the time");
    }
}
