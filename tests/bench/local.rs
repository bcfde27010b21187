//! The stacks that some figures need, in folders and on ports of their own, as `make up` makes them.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use analytics_domain::access::Role;
use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;

use crate::{checkout::Checkout, clickhouse::ClickHouse};

/// Where a stack is: a folder of its checkout, and two ports.
#[derive(Clone, Debug)]
pub struct Site {
    folder: String,
    port: u16,
    clickhouse_port: u16,
}

impl Site {
    /// The stack of this checkout's figures. That of short runs holds less.
    pub fn bench(is_short: bool) -> Self {
        Self::new("bench", is_short, 7_566, 21_123)
    }

    /// The two that are compared, apart from the one above, so that both have the same history.
    pub fn compared(is_short: bool) -> [Self; 2] {
        [Self::new("bench-ours", is_short, 7_567, 21_124), Self::new("bench-theirs", is_short, 7_568, 21_125)]
    }

    fn new(name: &str, is_short: bool, port: u16, clickhouse_port: u16) -> Self {
        Self { folder: format!(".local/{name}{}", if is_short { "-short" } else { "" }), port, clickhouse_port }
    }
}

/// A running stack.
pub struct Local {
    pub checkout: Checkout,
    site: Site,
    settings: HashMap<String, String>,
    pub http: Client,
    pub clickhouse: ClickHouse,
    pub emulator_pid: u32,
}

impl Local {
    /// Builds the checkout's functions of the dev profile and deploys them.
    pub async fn up(checkout: &Checkout, site: Site) -> Result<Self> {
        let mut up = stack(checkout, &site, &["up"]);
        ensure!(up.stdout(Stdio::null()).status()?.success(), "the stack does not start");
        let folder = checkout.root.join(&site.folder);
        let text = fs::read_to_string(folder.join("env"))?;
        let settings: HashMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        let http = Client::builder().timeout(Duration::from_secs(120)).build()?;
        let url = settings.get("CLICKHOUSE_URL").context("no CLICKHOUSE_URL")?;
        let pid = server_pid(&folder, "clickhouse")?;
        let clickhouse = ClickHouse { url: url.clone(), http: http.clone(), pid };
        let emulator_pid = server_pid(&folder, "emulator")?;
        Ok(Self { checkout: checkout.clone(), site, settings, http, clickhouse, emulator_pid })
    }

    pub fn down(&self) -> Result<()> {
        ensure!(self.stack(&["down"]).status()?.success(), "the stack does not stop");
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
        let answer = self.stack(&["token", "--account", account, "--role", role.name()]).output()?;
        ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
    }

    fn stack(&self, arguments: &[&str]) -> Command {
        stack(&self.checkout, &self.site, arguments)
    }

    /// The path of a browser; empty if the tool that drives it knows better.
    pub fn browser(&self) -> Result<String> {
        let answer = self.stack(&["browser"]).output()?;
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

fn stack(checkout: &Checkout, site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(checkout.tool("stack"));
    command.args(arguments).current_dir(&checkout.root);
    command.env("STACK", &site.folder);
    command.env("PORT", site.port.to_string()).env("CLICKHOUSE_PORT", site.clickhouse_port.to_string());
    // Another ClickHouse, for which a shell may be set up, has no place in a measurement.
    command.env_remove("CLICKHOUSE_URL");
    // Of another checkout, what the shell says is not where it builds.
    command.env("CARGO_TARGET_DIR", &checkout.target);
    command
}

fn server_pid(folder: &Path, name: &str) -> Result<u32> {
    let record: Value = serde_json::from_slice(&fs::read(folder.join(format!("run/{name}.json")))?)?;
    record["pid"].as_u64().and_then(|pid| pid.try_into().ok()).with_context(|| format!("{name} has no process"))
}
