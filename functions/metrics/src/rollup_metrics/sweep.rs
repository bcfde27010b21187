//! Finding accounts with work of which nothing is noted: after a note was lost, a deletion, or a deployment that keeps other series.

use std::collections::BTreeSet;

use analytics_domain::{
    account::AccountId,
    metric::{Filter, Measure, Of, Series},
};
use analytics_dynamo::Progress;

use crate::rollup_metrics::{App, RollupError};

/// All accounts are looked for again after so many milliseconds of work.
const SWEEP_EVERY: i64 = 3_600_000;

/// Marks of so many milliseconds before the last time are looked for again.
const OVERLAP: i64 = 600_000;

/// Tells kinds of series apart: all are built anew when their ids change.
fn generation() -> i64 {
    let measure = Measure { event_name: String::new(), filter: Filter::EVERYTHING, of: Of::Events };
    let id = Series { measure, dimensions: Vec::new() }.id();
    // A table's number holds all digits of it.
    i64::try_from(id >> 1).unwrap_or(0)
}

/// Whether series must be built again: none were built yet, or this version has other ones.
pub(crate) fn series_have_changed(progress: &Progress) -> bool {
    progress.generation != generation()
}

/// Looks for all accounts, if that is due; `everything` if a person asks for it.
pub(crate) async fn sweep(app: &App, progress: &mut Progress, everything: bool) -> Result<(), RollupError> {
    let now = (app.now)();
    let is_new = series_have_changed(progress);
    if !everything && !is_new && now - progress.swept_at < SWEEP_EVERY {
        return Ok(());
    }
    let since = if everything || is_new { 0 } else { progress.swept_at - OVERLAP };
    let lagging = note_lagging(app, since, now).await?;
    if everything || is_new {
        let mut after = String::new();
        loop {
            let found = app.warehouse.with_series(&after).await?;
            let Some(last) = found.last() else { break };
            last.as_str().clone_into(&mut after);
            let found: Vec<_> = found.into_iter().map(|account_id| (account_id, now - OVERLAP)).collect();
            app.work.note_found(&found, true, now).await?;
        }
    }
    (progress.swept_at, progress.generation) = (now, generation());
    app.work.set_progress(progress).await?;
    tracing::info!(accounts = lagging, "accounts with stale buckets noted");
    Ok(())
}

/// Notes the accounts with stale buckets, and how many there are.
async fn note_lagging(app: &App, since: i64, now: i64) -> Result<usize, RollupError> {
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let found = app.warehouse.lagging(since, &after).await?;
        let Some((last, _)) = found.last() else { return Ok(count) };
        last.as_str().clone_into(&mut after);
        count += found.len();
        app.work.note_found(&found, false, now).await?;
    }
}

/// After deletions and other changes of stored events, marks the buckets of their accounts as changed; those of all accounts if
/// a condition does not begin with one. They count as taken in once the accounts are noted.
pub(crate) async fn take_in_mutations(app: &App) -> Result<(), RollupError> {
    let mutations = app.warehouse.new_mutations().await?;
    if mutations.is_empty() {
        return Ok(());
    }
    let now = (app.now)();
    // None if one of them may concern any account.
    let account_ids: Option<BTreeSet<AccountId>> =
        mutations.iter().map(|mutation| mutation.account_id.clone()).collect();
    app.warehouse.mark_all(account_ids.as_ref()).await?;
    match account_ids {
        None => drop(note_lagging(app, now - OVERLAP, now).await?),
        Some(account_ids) => {
            let found: Vec<_> = account_ids.into_iter().map(|account_id| (account_id, now - OVERLAP)).collect();
            app.work.note_found(&found, false, now).await?;
        }
    }
    app.warehouse.take_in(&mutations).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_upgrade_everything_is_looked_for_once() {
        assert!(series_have_changed(&Progress::default()));
        assert!(series_have_changed(&Progress { generation: generation() + 1, ..Progress::default() }));
        assert!(!series_have_changed(&Progress { generation: generation(), ..Progress::default() }));
    }
}
