//! `cargo lambda invoke` with a sample of `events/`, against a running `stack watch`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::config::Config;
use crate::environment::DEMO_ACCOUNT;
use crate::keys::{SigningKey, TokenRequest};
use crate::private;

/// What stands in a sample where a token belongs.
const PLACE: &str = "TOKEN";

/// Hands the function its sample, with a token that counts here; answers only when that cannot be done.
pub fn invoke(config: &Config, function: &str) -> Result<()> {
    let sample = config.root.join("events").join(format!("{function}.json"));
    let text = fs::read_to_string(&sample).with_context(|| format!("no sample for {function} in events/"))?;
    let token = SigningKey::load(config)?.token(&TokenRequest::new(DEMO_ACCOUNT, "admin"))?;
    let filled = config.state.join("events").join(format!("{function}.json"));
    fs::create_dir_all(config.state.join("events"))?;
    private::write(&filled, text.replace(PLACE, &token))?;
    let error = Command::new(config.python_tool("cargo-lambda"))
        .args(["lambda", "invoke", function, "--data-file"])
        .arg(&filled)
        .current_dir(&config.root)
        .exec();
    Err(error.into())
}
