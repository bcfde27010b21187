//! The numbered migrations of ClickHouse, and how they are applied.

use anyhow::{Context, Result};
use clickhouse::Client;
use sha2::{Digest, Sha256};

/// One numbered file.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub name: &'static str,
    sql: &'static str,
}

/// All migrations, in the order in which they apply.
#[must_use]
pub const fn all() -> [Migration; 7] {
    [
        Migration { name: "0001_events", sql: include_str!("../0001_events.sql") },
        Migration { name: "0002_rejected_events", sql: include_str!("../0002_rejected_events.sql") },
        Migration { name: "0003_rollups", sql: include_str!("../0003_rollups.sql") },
        Migration { name: "0004_changed_buckets", sql: include_str!("../0004_changed_buckets.sql") },
        Migration { name: "0005_filters", sql: include_str!("../0005_filters.sql") },
        Migration { name: "0006_builds", sql: include_str!("../0006_builds.sql") },
        Migration { name: "0007_catalogue", sql: include_str!("../0007_catalogue.sql") },
    ]
}

impl Migration {
    /// Where the applied ones are noted.
    pub const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migrations \
        (name String, digest String, applied_at DateTime DEFAULT now()) \
        ENGINE = ReplacingMergeTree(applied_at) ORDER BY name";

    /// The file's statements.
    #[must_use]
    pub fn statements(&self, retention_days: u32) -> Vec<String> {
        let sql = self.sql.replace("{retention_days}", &retention_days.to_string());
        sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
    }

    /// Tells a changed file from the one that was applied.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.sql).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The tables that keep data for a limited time, with the time until which they keep a row.
const LIMITED: [(&str, &str); 4] = [
    ("events", "toDateTime(timestamp) + toIntervalDay({days})"),
    ("rejected_events", "toDateTime(received_at) + toIntervalDay({days})"),
    ("rollup_buckets", "bucket + toIntervalDay(multiIf(grain = 10, 1, grain = 60, 8, {days}))"),
    (
        "rollups",
        "bucket + toIntervalHour(multiIf(grain = 10, 1, (grain = 60) OR ((grain = 900) AND notEmpty(keys[1])), 120, 24 * {days}))",
    ),
];

/// Makes the tables keep this many days; gives those that kept another number.
///
/// # Errors
/// If ClickHouse does not answer or refuses.
pub async fn set_retention(client: &Client, database: &str, days: u32) -> Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    for (table, until) in LIMITED {
        let until = until.replace("{days}", &days.to_string());
        let definition: String = client
            .query("SELECT create_table_query FROM system.tables WHERE database = {database:String} AND name = {table:String}")
            .param("database", database)
            .param("table", table)
            .fetch_one()
            .await
            .with_context(|| format!("the table {table} is missing"))?;
        if definition.contains(&format!("TTL {until}")) {
            continue;
        }
        let alter = format!("ALTER TABLE {table} MODIFY TTL {until}");
        client.query_raw(&alter).execute().await?;
        changed.push(table);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_in_order_and_can_run_twice() {
        let folder = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("is a folder");
        let mut files: Vec<String> = folder
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".sql").map(str::to_owned))
            .collect();
        files.sort();
        assert_eq!(files, all().map(|migration| migration.name));
        assert!(all().iter().all(|migration| !migration.statements(400).is_empty()), "a file is empty");
        for statement in all().iter().flat_map(|migration| migration.statements(400)) {
            // Marking what is there marks it again.
            let marks = statement.contains("INSERT INTO rollup_buckets ");
            assert!(marks || statement.contains(" IF NOT EXISTS ") || statement.contains(" IF EXISTS "), "{statement}");
        }
    }
}
