//! Every setting of the local stack, read once.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub const REGION: &str = "us-east-1";
/// Root of the emulator's only account. Functions never see it: each runs as the role the template gives it.
pub const ACCESS_KEY: &str = "test";
pub const STACK_NAME: &str = "analytics";
pub const JWT_ISSUER: &str = "https://local.analytics.test";
pub const JWT_AUDIENCE: &str = "analytics";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The checkout: the folder of `template.yaml`.
    pub root: PathBuf,
    /// What this stack keeps: data, keys, logs, processes.
    pub state: PathBuf,
    /// Installed programs, shared by all stacks of the checkout.
    pub tools: PathBuf,
    /// Cargo's.
    pub target: PathBuf,
    /// Where programs are looked for.
    pub search_path: String,
    /// Port of the AWS emulator.
    pub port: u16,
    pub clickhouse: ClickHouse,
    /// `RetentionDays` of the template and of the migrations.
    pub retention_days: u16,
    /// Queues that are not the running stack's, for `stack redrive`.
    pub queues: Option<Queues>,
    /// The same for the stack that tests run against.
    test_state: PathBuf,
    test_port: u16,
    test_clickhouse_port: u16,
    /// Tests that take minutes run too.
    pub slow_tests: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouse {
    pub url: String,
    /// Port of the one to start here; none when the user has one.
    pub local_port: Option<u16>,
    pub user: String,
    pub password: String,
    pub database: String,
}

/// A queue and its dead-letter queue, with all it takes to reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queues {
    pub events: String,
    pub dead_letters: String,
    pub region: String,
    /// None for AWS itself.
    pub endpoint: Option<String>,
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
}

impl Queues {
    fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let Some(dead_letters) = get("DEAD_LETTER_QUEUE_URL") else {
            return Ok(None);
        };
        let need = |key: &str| get(key).with_context(|| format!("with DEAD_LETTER_QUEUE_URL set, {key} is needed too"));
        Ok(Some(Self {
            events: need("EVENTS_QUEUE_URL")?,
            dead_letters,
            region: need("AWS_REGION")?,
            endpoint: get("AWS_ENDPOINT_URL"),
            access_key: need("AWS_ACCESS_KEY_ID")?,
            secret_key: need("AWS_SECRET_ACCESS_KEY")?,
            session_token: get("AWS_SESSION_TOKEN"),
        }))
    }
}

impl Config {
    /// From the environment of this process, for the checkout that holds the working directory.
    #[expect(clippy::disallowed_methods, reason = "the one place of this tool that reads the environment")]
    pub fn from_env() -> Result<Self> {
        let here = env::current_dir()?;
        let root = here
            .ancestors()
            .find(|folder| folder.join("template.yaml").exists())
            .context("not inside a checkout: no template.yaml here or above")?;
        Self::from_lookup(root, |key| env::var(key).ok())
    }

    /// # Errors
    /// Names the setting that cannot be read.
    pub fn from_lookup(root: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |key: &str| lookup(key).filter(|value| !value.is_empty());
        let path = |key: &str, default: &str| root.join(get(key).unwrap_or_else(|| default.to_owned()));
        let number = |key: &str, default: u16| match get(key) {
            Some(text) => text.parse().with_context(|| format!("{key}: {text} is not a number below 65536")),
            None => Ok(default),
        };
        let clickhouse_port = number("CLICKHOUSE_PORT", 8123)?;
        let url = get("CLICKHOUSE_URL");
        let local_port = url.is_none().then_some(clickhouse_port);
        let config = Self {
            root: root.to_owned(),
            state: path("STACK", ".local"),
            tools: root.join(".local/tools"),
            target: path("CARGO_TARGET_DIR", "target"),
            search_path: get("PATH").unwrap_or_default(),
            port: number("PORT", 4566)?,
            clickhouse: ClickHouse {
                url: url.unwrap_or_else(|| local_url(clickhouse_port)),
                local_port,
                user: get("CLICKHOUSE_USER").unwrap_or_else(|| "default".to_owned()),
                password: get("CLICKHOUSE_PASSWORD").unwrap_or_default(),
                database: get("CLICKHOUSE_DATABASE").unwrap_or_else(|| "analytics".to_owned()),
            },
            retention_days: number("RETENTION_DAYS", 400)?,
            queues: Queues::from_lookup(get)?,
            test_state: path("TEST_STACK", ".local/test"),
            test_port: number("TEST_PORT", 14566)?,
            test_clickhouse_port: number("TEST_CLICKHOUSE_PORT", 18123)?,
            slow_tests: get("SLOW").is_some_and(|value| !value.is_empty()),
        };
        if config.test_state == config.state {
            bail!("TEST_STACK is the folder of the stack itself, which tests would empty");
        }
        Ok(config)
    }

    /// The settings of the stack that tests run against.
    pub fn for_tests(&self) -> Self {
        let mut config = self.clone();
        config.state.clone_from(&self.test_state);
        config.port = self.test_port;
        if config.clickhouse.local_port.is_some() {
            config.clickhouse.local_port = Some(self.test_clickhouse_port);
            config.clickhouse.url = local_url(self.test_clickhouse_port);
        }
        config
    }

    /// Where the emulated AWS answers.
    pub fn aws_url(&self) -> String {
        local_url(self.port)
    }

    /// Shell assignments: the addresses and credentials of the running stack.
    pub fn env_file(&self) -> PathBuf {
        self.state.join("env")
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    /// A program of the Python environment.
    pub fn python_tool(&self, name: &str) -> PathBuf {
        self.tools.join("python/bin").join(name)
    }

    /// A binary of the workspace, as `cargo build` leaves it.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

fn local_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<Config> {
        let lookup = |key: &str| settings.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        Config::from_lookup(Path::new("/checkout"), lookup)
    }

    #[test]
    fn test_stack_runs_beside_the_dev_stack() -> Result<()> {
        let dev = config(&[("PORT", "5000"), ("STACK", "elsewhere")])?;
        let test = dev.for_tests();
        assert_eq!((dev.port, dev.state.as_path()), (5000, Path::new("/checkout/elsewhere")));
        assert_eq!((test.port, test.clickhouse.local_port), (14566, Some(18123)));
        assert_eq!(test.tools, dev.tools);
        assert_ne!(test.state, dev.state);
        Ok(())
    }

    #[test]
    fn a_clickhouse_of_the_users_own_is_used_by_both() -> Result<()> {
        let dev = config(&[("CLICKHOUSE_URL", "https://example.test:8443")])?;
        assert_eq!(dev.clickhouse.local_port, None);
        assert_eq!(dev.for_tests().clickhouse, dev.clickhouse);
        Ok(())
    }

    #[test]
    fn queues_elsewhere_need_all_it_takes_to_reach_them() {
        let error = config(&[("DEAD_LETTER_QUEUE_URL", "https://queue")]).map_err(|error| error.to_string());
        assert_eq!(error, Err("with DEAD_LETTER_QUEUE_URL set, EVENTS_QUEUE_URL is needed too".to_owned()));
    }

    #[test]
    fn names_the_setting_that_is_wrong() {
        let error = config(&[("CLICKHOUSE_PORT", "99999")]).map_err(|error| error.to_string());
        assert_eq!(error, Err("CLICKHOUSE_PORT: 99999 is not a number below 65536".to_owned()));
        assert!(config(&[("TEST_STACK", ".local")]).is_err());
    }
}
