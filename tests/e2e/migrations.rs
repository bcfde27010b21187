//! Migrations may run twice, at the same time, and with another retention.

use std::process::Stdio;

use anyhow::{Result, ensure};
use tests::stack::Stack;
use tokio::process::{Child, Command};

fn migrate(stack: &Stack, database: &str, retention_days: &str) -> Result<Child> {
    Ok(Command::new(stack.function("migrate"))
        .env("CLICKHOUSE_DATABASE", database)
        .env("RETENTION_DAYS", retention_days)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?)
}

async fn finish(child: Child) -> Result<String> {
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn migrations_run_at_the_same_time_and_again() -> Result<()> {
    let stack = Stack::shared().await;
    let database = stack.account("migrations").id.replace('-', "_");
    let at_once = [(); 4].map(|()| migrate(&stack, &database, "400"));
    for child in at_once {
        finish(child?).await?;
    }
    assert_eq!(finish(migrate(&stack, &database, "400")?).await?, format!("{database} is up to date\n"));
    let changed = finish(migrate(&stack, &database, "30")?).await?;
    let expected = ["events", "rejected_events", "rollup_buckets", "rollups"];
    assert_eq!(changed, expected.map(|table| format!("{table} now keeps 30 days\n")).concat());
    let kept = "SELECT count() FROM system.tables WHERE database = {d:String} AND (create_table_query LIKE '%Day(30)%' OR \
         create_table_query LIKE '% 30))%')";
    assert_eq!(stack.clickhouse(kept, &[("d", &database)]).await?, "4");
    let fresh = "INSERT INTO {d:Identifier}.events (account_id, timestamp, event_name, properties) VALUES \
        ('a', now64(3), 'new', '{}'), ('a', now64(3) - INTERVAL 31 DAY, 'old', '{}')";
    stack.clickhouse(fresh, &[("d", &database)]).await?;
    stack.clickhouse("OPTIMIZE TABLE {d:Identifier}.events FINAL", &[("d", &database)]).await?;
    let left = stack.clickhouse("SELECT event_name FROM {d:Identifier}.events", &[("d", &database)]).await?;
    assert_eq!(left, "new", "what is older than the retention goes");
    stack.clickhouse("DROP DATABASE {d:Identifier} SYNC", &[("d", &database)]).await.map(drop)
}
