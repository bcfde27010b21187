//! `env`, the file that tells other programs about the running stack, and what people are told.

use std::fmt::Write;

use anyhow::Result;

use crate::config::{ACCESS_KEY, Config, JWT_AUDIENCE, JWT_ISSUER, REGION};
use crate::deploy::{self, Outputs};
use crate::keys::{SigningKey, TokenRequest};
use crate::private;

/// The account of the demo data.
pub const DEMO_ACCOUNT: &str = "demo";

/// Every setting in the file, in its order.
pub fn variables(config: &Config, outputs: &Outputs, key: &SigningKey) -> Result<Vec<(&'static str, String)>> {
    let clickhouse = &config.clickhouse;
    Ok(vec![
        ("API_URL", outputs.api_url(config)),
        ("LIVE_URL", outputs.live_url(config)),
        ("CLICKHOUSE_URL", clickhouse.url.clone()),
        ("CLICKHOUSE_USER", clickhouse.user.clone()),
        ("CLICKHOUSE_PASSWORD", clickhouse.password.clone()),
        ("CLICKHOUSE_DATABASE", clickhouse.database.clone()),
        ("AWS_ENDPOINT_URL", config.aws_url()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("EVENTS_QUEUE_URL", outputs.events_queue_url.clone()),
        ("LIVE_QUEUE_URL", outputs.live_queue_url.clone()),
        ("CONNECTIONS_TABLE", outputs.connections_table_name.clone()),
        ("SOCKETS_URL", outputs.sockets_url()),
        ("DEAD_LETTER_QUEUE_URL", outputs.events_dead_letter_queue_url.clone()),
        ("IDEMPOTENCY_TABLE", outputs.idempotency_table_name.clone()),
        ("METRICS_TABLE", outputs.metrics_table_name.clone()),
        ("ROLLUPS_TABLE", outputs.rollups_table_name.clone()),
        ("ROLLUP_METRICS", outputs.rollup_metrics_name.clone()),
        ("RETENTION_DAYS", config.retention_days.to_string()),
        ("JWT_ISSUER", JWT_ISSUER.to_owned()),
        ("JWT_AUDIENCE", JWT_AUDIENCE.to_owned()),
        ("JWT_KEYS", key.public_keys()?),
        ("SIGNING_KEY", SigningKey::file(config).display().to_string()),
    ])
}

/// Writes the file, to be read with `set -a; . .local/env`.
pub fn write(config: &Config, outputs: &Outputs, key: &SigningKey) -> Result<()> {
    let mut text = String::new();
    for (name, value) in variables(config, outputs, key)? {
        writeln!(text, "{name}={}", quoted(&value))?;
    }
    private::write(&config.env_file(), text)
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// What to try next.
pub fn describe(config: &Config) -> Result<String> {
    let outputs = deploy::current(config)?;
    let key = SigningKey::load(config)?;
    let url = outputs.api_url(config);
    let viewer = key.token(&TokenRequest::new(DEMO_ACCOUNT, "viewer"))?;
    let mut text = format!("API       {url}\nSettings  {}\n", config.env_file().display());
    writeln!(text, "\nDashboard of account {DEMO_ACCOUNT}:\n{url}/#token={viewer}")?;
    writeln!(text, "\nTokens of account {DEMO_ACCOUNT}, for 30 days:")?;
    for role in ["ingest", "viewer", "analyst", "admin"] {
        writeln!(text, "{role:10}{}", key.token(&TokenRequest::new(DEMO_ACCOUNT, role))?)?;
    }
    let token = key.token(&TokenRequest::new(DEMO_ACCOUNT, "admin"))?;
    writeln!(text, "\nTry:\ncurl -H 'authorization: Bearer {token}' '{url}/api/events/search?limit=3'")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        assert_eq!(quoted(r#"{"a":"b c"}"#), r#"'{"a":"b c"}'"#);
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
