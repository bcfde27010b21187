//! The stack that some figures need, in a folder and on ports of its own, as `make up` makes it.

use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;

use crate::{clickhouse::ClickHouse, input::tool};

const FOLDER: &str = ".local/bench";
const SETTINGS: [(&str, &str); 3] = [("STACK", FOLDER), ("PORT", "7566"), ("CLICKHOUSE_PORT", "21123")];

/// A running stack.
pub struct Local {
    settings: HashMap<String, String>,
    pub http: Client,
    pub clickhouse: ClickHouse,
    pub emulator_pid: u32,
}

impl Local {
    pub async fn up() -> Result<Self> {
        ensure!(stack(&["up"])?.stdout(Stdio::null()).status()?.success(), "the stack does not start");
        let text = fs::read_to_string(format!("{FOLDER}/env"))?;
        let settings: HashMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        let http = Client::builder().timeout(Duration::from_secs(120)).build()?;
        let url = settings.get("CLICKHOUSE_URL").context("no CLICKHOUSE_URL")?;
        let clickhouse = ClickHouse { url: url.clone(), http: http.clone(), pid: server_pid("clickhouse")? };
        Ok(Self { settings, http, clickhouse, emulator_pid: server_pid("emulator")? })
    }

    pub fn down(&self) -> Result<()> {
        ensure!(stack(&["down"])?.status()?.success(), "the stack does not stop");
        Ok(())
    }

    pub fn setting(&self, name: &str) -> Result<&str> {
        self.settings.get(name).map(String::as_str).with_context(|| format!("the stack has no {name}"))
    }

    /// All settings, for functions that are to run beside the stack's own.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    pub fn token(&self, account: &str, role: Role) -> Result<String> {
        let answer = stack(&["token", "--account", account, "--role", role.name()])?.output()?;
        ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
    }

    /// The path of a browser; empty if the tool that drives it knows better.
    pub fn browser(&self) -> Result<String> {
        let answer = stack(&["browser"])?.output()?;
        ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
    }

    /// Asks the API for events.
    pub async fn search(&self, token: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}/api/events/search", self.setting("API_URL")?);
        let answer = self.http.get(url).bearer_auth(token).query(query).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{status} {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

fn stack(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(tool("stack")?);
    // Another ClickHouse, for which a shell may be set up, has no place in a measurement.
    command.args(arguments).envs(SETTINGS).env_remove("CLICKHOUSE_URL");
    Ok(command)
}

fn server_pid(name: &str) -> Result<u32> {
    let record: Value = serde_json::from_slice(&fs::read(format!("{FOLDER}/run/{name}.json"))?)?;
    record["pid"].as_u64().and_then(|pid| pid.try_into().ok()).with_context(|| format!("{name} has no process"))
}
