//! Deploys `template.yaml` to the emulator, when it or what it deploys has changed.

use std::{env::consts, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    artifacts,
    config::{ACCESS_KEY, Config, JWT_AUDIENCE, JWT_ISSUER, REGION, STACK_NAME},
    http, install,
    keys::SigningKey,
    private, run,
};

/// What a deployment answers with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outputs {
    api_id: String,
    live_api_id: String,
    pub live_queue_url: String,
    pub connections_table_name: String,
    pub events_queue_url: String,
    pub events_dead_letter_queue_url: String,
    pub idempotency_table_name: String,
    pub metrics_table_name: String,
    pub rollups_table_name: String,
    pub rollup_metrics_name: String,
}

#[derive(Serialize, Deserialize)]
struct Deployment {
    /// Of everything that was deployed.
    version: String,
    outputs: Outputs,
}

impl Outputs {
    pub fn api_url(&self, config: &Config) -> String {
        format!("{}/_aws/execute-api/{}", config.aws_url(), self.api_id)
    }

    /// Address of the WebSocket.
    pub fn live_url(&self, config: &Config) -> String {
        format!("{}/_aws/execute-api/{}/ws", config.aws_url().replacen("http", "ws", 1), self.live_api_id)
    }

    /// As the functions are told it.
    pub fn sockets_url(&self) -> String {
        format!("https://{}.execute-api.{REGION}.amazonaws.com/ws", self.live_api_id)
    }
}

/// The deployment that is in place, if the stack was ever deployed.
pub fn current(config: &Config) -> Result<Outputs> {
    let text = fs::read(record(config)).context("the stack was never started: try `make up`")?;
    Ok(serde_json::from_slice::<Deployment>(&text)?.outputs)
}

pub async fn deploy(config: &Config, key: &SigningKey) -> Result<Outputs> {
    let parameters = parameters(config, key, &secret(config)?)?;
    let version = version(config, &parameters)?;
    let deployed = fs::read(record(config)).ok().and_then(|text| serde_json::from_slice::<Deployment>(&text).ok());
    if let Some(deployment) = deployed.filter(|deployment| deployment.version == version)
        // An emulator that was killed has forgotten it, or is back at an older one.
        && health(config, &deployment.outputs).await? == Some(200)
    {
        return Ok(deployment.outputs);
    }
    let outputs = deploy_now(config, &parameters)?;
    private::write(&record(config), serde_json::to_vec_pretty(&Deployment { version, outputs: outputs.clone() })?)?;
    Ok(outputs)
}

fn deploy_now(config: &Config, parameters: &str) -> Result<Outputs> {
    // JSON is YAML, and as a file it needs no quoting on the command line.
    let parameter_file = config.state.join("parameters.yaml");
    private::write(&parameter_file, parameters)?;
    let mut sam = Command::new(config.python_tool("sam"));
    sam.args(["deploy", "--template-file", "template.yaml", "--stack-name", STACK_NAME, "--region", REGION])
        .args(["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-progressbar"])
        .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--parameter-overrides"])
        .arg(format!("file://{}", parameter_file.display()))
        .current_dir(&config.root)
        .env("SAM_CLI_TELEMETRY", "0")
        .envs(credentials(config));
    run::quietly(&mut sam, &config.log("deploy"))?;
    let mut routes = Command::new(config.python_tool("python"));
    routes.arg(config.root.join("infra/local/routes.py")).arg(STACK_NAME).envs(credentials(config));
    Ok(serde_json::from_str(&run::for_answer(&mut routes)?)?)
}

/// Status of the deployed `GET /health`, none when nobody answers.
pub async fn health(config: &Config, outputs: &Outputs) -> Result<Option<u16>> {
    http::status(&format!("{}/health", outputs.api_url(config))).await
}

/// What AWS tools need to talk to the emulator, and to nobody else.
pub fn credentials(config: &Config) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", config.aws_url()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("AWS_SESSION_TOKEN", String::new()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ]
}

/// Keeps the login of ClickHouse as a secret; its ARN.
fn secret(config: &Config) -> Result<String> {
    let clickhouse = &config.clickhouse;
    let secret = json!({"username": clickhouse.user, "password": clickhouse.password});
    let mut keep = Command::new(config.python_tool("python"));
    keep.arg(config.root.join("infra/local/secret.py")).arg(format!("{STACK_NAME}/clickhouse"));
    keep.env("SECRET", secret.to_string()).envs(credentials(config));
    Ok(run::for_answer(&mut keep)?.trim().to_owned())
}

fn parameters(config: &Config, key: &SigningKey, secret: &str) -> Result<String> {
    let clickhouse = &config.clickhouse;
    let parameters = json!({
        "Architecture": if consts::ARCH == "aarch64" { "arm64" } else { "x86_64" },
        "RetentionDays": config.retention_days.to_string(),
        "ClickHouseUrl": clickhouse.url,
        "ClickHouseSecretArn": secret,
        "ClickHouseDatabase": clickhouse.database,
        "JwtIssuer": JWT_ISSUER,
        "JwtAudience": JWT_AUDIENCE,
        "JwtKeys": key.public_keys()?,
    });
    Ok(serde_json::to_string_pretty(&parameters)?)
}

fn version(config: &Config, parameters: &str) -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["template.yaml", "infra/local/routes.py"] {
        hash.update(fs::read(config.root.join(file))?);
    }
    hash.update(parameters);
    hash.update(artifacts::package(config)?);
    Ok(install::hex(&hash.finalize()))
}

fn record(config: &Config) -> PathBuf {
    config.state.join("deployed.json")
}
