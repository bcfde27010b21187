//! The AWS emulator: IAM enforced, functions as processes, everything kept between runs.

use std::fs;

use anyhow::Result;

use crate::config::{Config, REGION};
use crate::process::{Server, isolated};

pub async fn start(config: &Config) -> Result<()> {
    let data = config.state.join("aws");
    let scratch = config.state.join("tmp");
    fs::create_dir_all(&data)?;
    fs::create_dir_all(&scratch)?;
    // Functions inherit this environment, so it has nothing in it that could help them: above all no credentials.
    let mut python = isolated(config.python_tool("python"));
    python
        .arg(config.root.join("infra/local/emulator.py"))
        .arg(config.log("functions"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GATEWAY_PORT", config.port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("MINISTACK_REGION", REGION)
        .env("AWS_ENDPOINT_URL", config.aws_url())
        .env("AUTH", "true")
        .env("LAMBDA_EXECUTOR", "local")
        .env("PERSIST_STATE", "1")
        .env("STATE_DIR", &data)
        .env("S3_PERSIST", "1")
        .env("S3_DATA_DIR", data.join("s3"))
        .env("TMPDIR", &scratch)
        // Servers on further ports, of services that are not used.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0");
    server(config).start(python).await
}

pub fn stop(config: &Config) -> Result<()> {
    server(config).stop()?;
    match fs::remove_dir_all(config.state.join("tmp")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn server(config: &Config) -> Server<'_> {
    let ready_url = format!("{}/_ministack/ready", config.aws_url());
    Server { name: "emulator", port: config.port, port_setting: "PORT", ready_url, config }
}
