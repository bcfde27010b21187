//! The functions as they are deployed: optimised, for AWS's processors and its glibc, into `target/lambda`.

use std::{env, iter, process::Command};

use anyhow::{Result, ensure};

use crate::{artifacts, config::Config, install, web};

/// Builds every function with `cargo lambda build`, which links by zig so that the host's glibc does not matter.
pub fn package(config: &Config, architecture: &str) -> Result<()> {
    install::install_python_tools(config)?;
    web::build(config)?;
    let path = env::join_paths(iter::once(config.python_tool("")).chain(env::split_paths(&config.search_path)))?;
    let mut build = Command::new(config.python_tool("cargo-lambda"));
    build.args(["lambda", "build", "--release", if architecture == "arm64" { "--arm64" } else { "--x86-64" }]);
    for package in artifacts::packages(config)?.into_keys() {
        build.args(["--package", &package]);
    }
    artifacts::forget(config)?;
    ensure!(build.current_dir(&config.root).env("PATH", path).status()?.success(), "the build failed");
    println!("packaged for {architecture}: now `sam deploy --guided`, with Architecture={architecture}");
    Ok(())
}
