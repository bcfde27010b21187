//! Metrics: defining, reading, and agreeing with the events whatever happens.

pub mod built_in;
mod cut_off;
mod define;
mod deletions;
mod differential;
mod marks;
mod migrated;
mod money;
pub mod people;
pub mod plain;
mod posts;
mod random;
mod schema;
mod telegram;
mod together;

use std::time::Duration;

use analytics_domain::account::AccountId;
use analytics_platform::config::environment;
use anyhow::Result;
use metrics::rollup_metrics::{App, Call};
use tests::stack::{Account, PATIENCE, within};

/// Waits until every bucket of an account that has ended is computed and all of its series answer; works on it itself
/// whenever the stack's own function does not.
pub async fn until_rolled_up(account: &Account<'_>) -> Result<()> {
    const OPEN: &str = "SELECT (SELECT count() FROM (SELECT bucket FROM rollup_buckets WHERE account_id = {account:String} \
                        AND bucket + toIntervalSecond(grain) <= now() AND grain > 10 GROUP BY grain, bucket HAVING max(computed_at) <= max(changed_at))) + (SELECT countIf(NOT ready AND \
                        NOT wide) FROM rollup_series FINAL WHERE account_id = {account:String}) + (SELECT count() = 0 FROM \
                        rollup_series WHERE account_id = {account:String}) + (SELECT count() FROM system.mutations WHERE \
                        table = 'events' AND database = currentDatabase() AND mutation_id NOT IN (SELECT mutation_id FROM \
                        rollup_mutations))";
    let mut app = App::from_lookup(&environment)?;
    // One pass at a time.
    app.pause = app.patience;
    app.rest = Duration::ZERO;
    app.delay = Duration::ZERO;
    // So that ticks have their part in answers.
    app.tick_events = 1;
    let call = Call::Account(AccountId::stored(&account.id));
    // The function of the stack may be at the account for most of a minute, and is at those of other tests too.
    within(5 * PATIENCE, "rollups are up to date", async || {
        metrics::rollup_metrics::handle(&app, &call).await?;
        Ok(account.stack.clickhouse(OPEN, &[("account", &account.id)]).await? == "0")
    })
    .await
}
