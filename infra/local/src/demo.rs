//! Demo data, sent over HTTP once per data folder.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::config::Config;
use crate::environment::DEMO_ACCOUNT;
use crate::keys::{SigningKey, TokenRequest};
use crate::{deploy, run};

pub fn send_once(config: &Config) -> Result<()> {
    let sent = config.state.join("demo-data-sent");
    if sent.exists() {
        return Ok(());
    }
    let url = deploy::current(config)?.api_url(config);
    let token = SigningKey::load(config)?.token(&TokenRequest::new(DEMO_ACCOUNT, "ingest"))?;
    let mut demo = Command::new(config.binary("demo"));
    demo.arg("history").args(["--url", &url, "--token", &token]);
    run::quietly(&mut demo, &config.log("demo"))?;
    Ok(fs::write(sent, "")?)
}
