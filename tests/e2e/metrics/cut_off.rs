//! A computation of rollups that is cut off, over and over, comes to its end although nothing more arrives.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use analytics_platform::{config::environment, now_millis};
use anyhow::Result;
use rollup_metrics::App;
use tests::stack::{PATIENCE, Stack, within};

/// How often the present call may still look at the clock until it finds that its time is up.
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// At its start, and once before it computes buckets.
const LOOKS_OF_A_CALL: u32 = 2;

fn impatient() -> i64 {
    let is_up = LOOKS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| looks.checked_sub(1)).is_err();
    now_millis() + if is_up { 3_600_000 } else { 0 }
}

/// With tables of its own, where the stack's function does not do the work.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_is_gone_on_with() -> Result<()> {
    let stack = Stack::shared().await;
    let database = stack.database("cut_off", std::convert::identity).await?;
    let events = "INSERT INTO events (account_id, timestamp, event_name, event_id, properties) SELECT 'a', now() - \
                  toIntervalHour(number + 2), 'message_sent', toString(number), '{}' FROM numbers(100)";
    let marks = "INSERT INTO rollup_buckets (account_id, grain, bucket) SELECT 'a', if(timestamp >= today() - 3, 60, 900) AS \
                 length, if(length = 60, toStartOfMinute(timestamp), toStartOfFifteenMinutes(timestamp)) FROM events";
    for statement in [events, marks] {
        stack.clickhouse_in(&database, statement, &[]).await?;
    }
    let lookup = |key: &str| if key == "CLICKHOUSE_DATABASE" { Some(database.clone()) } else { environment(key) };
    let mut app = App::from_lookup(&lookup)?;
    (app.rest, app.pause, app.now) = (Duration::ZERO, app.patience, impatient);
    // Of the buckets that have ended: the present day has not.
    let open = "SELECT count() > 0, countIf(NOT ready), (SELECT count() FROM (SELECT 1 FROM rollup_buckets WHERE bucket + \
                toIntervalSecond(grain) <= now() GROUP BY grain, bucket HAVING max(computed_at) <= max(changed_at))) FROM \
                rollup_series FINAL";
    let mut calls = 0;
    // Only one computes at a time: the stack's function may be at it for most of a minute.
    within(5 * PATIENCE, "all is computed", async || {
        LOOKS.store(LOOKS_OF_A_CALL, Ordering::Relaxed);
        calls += u32::from(!rollup_metrics::handle(&app).await?.elsewhere);
        Ok(stack.clickhouse_in(&database, open, &[]).await? == "1\t0\t0")
    })
    .await?;
    assert!(calls > 5, "only {calls} calls: they were not cut off");
    stack.clickhouse("DROP DATABASE {d:Identifier} SYNC", &[("d", &database)]).await.map(drop)
}
