//! Demo data, sent over HTTP: a week of the past once per data folder, and the present for as long as somebody watches.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

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
    run::quietly(&mut demo(config, "history")?, &config.log("demo"))?;
    Ok(fs::write(sent, "")?)
}

/// Sends what happens now, until the answer is dropped.
pub fn send_on(config: &Config) -> Result<Sending> {
    let (output, errors) = run::log_files(&config.log("demo-live"))?;
    // A Ctrl-C in the terminal ends us, and then it.
    let mut live = demo(config, "live")?;
    Ok(Sending(live.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).spawn()?))
}

/// A generator that runs.
pub struct Sending(Child);

impl Drop for Sending {
    fn drop(&mut self) {
        // If it has ended by itself, it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn demo(config: &Config, what: &str) -> Result<Command> {
    let url = deploy::current(config)?.api_url(config);
    let token = SigningKey::load(config)?.token(&TokenRequest::new(DEMO_ACCOUNT, "ingest"))?;
    let mut demo = Command::new(config.binary("demo"));
    demo.arg(what).args(["--url", &url, "--token", &token]);
    Ok(demo)
}
