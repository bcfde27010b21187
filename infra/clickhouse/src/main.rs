//! Brings a ClickHouse to the state that the functions expect: `migrate`.
//!
//! Reads CLICKHOUSE_URL, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD, CLICKHOUSE_DATABASE and RETENTION_DAYS. Safe to run again
//! and at the same time: every statement changes nothing where it has been applied already.

#![expect(clippy::print_stdout, reason = "a tool talks to people")]

use anyhow::{Context, Result, ensure};
use clickhouse::Client;
use clickhouse_migrations::{Migration, all, set_retention};

use analytics_platform::config::{Lookup, environment};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let or = |key: &str, default: &str| environment.find(key).unwrap_or_else(|| default.to_owned());
    let database = or("CLICKHOUSE_DATABASE", "analytics");
    let retention_days: u32 = environment.parsed("RETENTION_DAYS", 400, "a number of days")?;
    let server = Client::default()
        .with_url(environment.url("CLICKHOUSE_URL")?)
        .with_user(or("CLICKHOUSE_USER", "default"))
        .with_password(or("CLICKHOUSE_PASSWORD", ""))
        .with_validation(false);
    server
        .query("CREATE DATABASE IF NOT EXISTS {name:Identifier}")
        .param("name", &database)
        .execute()
        .await
        .context("the database could not be created")?;
    let client = server.with_database(&database);
    client.query(Migration::LEDGER).execute().await.context("the list of migrations could not be created")?;
    let mut applied = 0;
    for migration in all() {
        let known: Vec<String> = client
            .query("SELECT digest FROM migrations FINAL WHERE name = {name:String}")
            .param("name", migration.name)
            .fetch_all()
            .await?;
        if let Some(digest) = known.first() {
            ensure!(
                *digest == migration.digest(),
                "{} was changed after it was applied: add a new one",
                migration.name
            );
            continue;
        }
        for statement in migration.statements(retention_days) {
            client.query_raw(&statement).execute().await.with_context(|| migration.name.to_owned())?;
        }
        client
            .query("INSERT INTO migrations (name, digest) SELECT {name:String}, {digest:String}")
            .param("name", migration.name)
            .param("digest", migration.digest())
            .execute()
            .await?;
        applied += 1;
        println!("applied {}", migration.name);
    }
    let changed = set_retention(&client, &database, retention_days).await?;
    for table in &changed {
        println!("{table} now keeps {retention_days} days");
    }
    if applied == 0 && changed.is_empty() {
        println!("{database} is up to date");
    }
    Ok(())
}
