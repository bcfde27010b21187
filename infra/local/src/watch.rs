//! `cargo lambda watch` against the running stack: functions are rebuilt and served on every change.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, iter};

use anyhow::Result;

use crate::config::Config;
use crate::keys::SigningKey;
use crate::{deploy, environment, web};

/// Becomes `cargo lambda watch`; answers only when that cannot be started.
pub fn watch(config: &Config) -> Result<()> {
    web::build(config)?;
    let (outputs, key) = (deploy::current(config)?, SigningKey::load(config)?);
    let tools = config.python_tool("");
    let path = env::join_paths(iter::once(tools).chain(env::split_paths(&config.search_path)))?;
    let error = Command::new(config.python_tool("cargo-lambda"))
        .args(["lambda", "watch"])
        .current_dir(&config.root)
        .env("PATH", path)
        .envs(environment::variables(config, &outputs, &key)?)
        .env("LOG_LEVEL", "info")
        .exec();
    Err(error.into())
}
