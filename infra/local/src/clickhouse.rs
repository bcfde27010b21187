//! The ClickHouse of the stack, and its migrations.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::config::Config;
use crate::process::{Server, isolated};
use crate::{install, run};

/// Starts it, unless the user has one.
pub async fn start(config: &Config) -> Result<()> {
    let Some((server, port)) = server(config) else {
        return Ok(());
    };
    let data = config.state.join("clickhouse");
    fs::create_dir_all(&data)?;
    let mut command = isolated(config.binary("local-clickhouse"));
    command.arg(install::clickhouse_library(config)?).arg(data).arg(port.to_string());
    command.arg(config.log("clickhouse-server"));
    server.start(command).await
}

pub fn stop(config: &Config) -> Result<()> {
    server(config).map_or(Ok(()), |(server, _)| server.stop())
}

fn server(config: &Config) -> Option<(Server<'_>, u16)> {
    let port = config.clickhouse.local_port?;
    let ready_url = format!("{}/ping", config.clickhouse.url);
    Some((Server { name: "clickhouse", port, port_setting: "CLICKHOUSE_PORT", ready_url, config }, port))
}

pub fn migrate(config: &Config) -> Result<()> {
    let mut migrate = Command::new(config.binary("migrate"));
    migrate
        .env("CLICKHOUSE_URL", &config.clickhouse.url)
        .env("CLICKHOUSE_USER", &config.clickhouse.user)
        .env("CLICKHOUSE_PASSWORD", &config.clickhouse.password)
        .env("CLICKHOUSE_DATABASE", &config.clickhouse.database)
        .env("RETENTION_DAYS", config.retention_days.to_string());
    run::quietly(&mut migrate, &config.log("migrate"))
}
