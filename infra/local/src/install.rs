//! Installs the pinned tools into the checkout, once: a Python environment, and ClickHouse as a library.

use std::env::consts;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::run;
use crate::steps::step;

const REQUIREMENTS: &str = include_str!("../requirements.txt");
const CLICKHOUSE_VERSION: &str = "26.7.3-stable.1";

pub fn install(config: &Config) -> Result<()> {
    install_python_tools(config)?;
    if config.clickhouse.local_port.is_some() {
        install_clickhouse(config)?;
    }
    Ok(())
}

/// The emulator, SAM, cargo-lambda and cfn-lint.
pub fn install_python_tools(config: &Config) -> Result<()> {
    let folder = config.tools.join("python");
    // An environment holds its own path, so a moved checkout needs a new one.
    once(&folder, &format!("{REQUIREMENTS}{}", folder.display()), || {
        step("install AWS emulator, SAM and cargo-lambda", || {
            let version = run::for_answer(Command::new("python3").args(["-c", PYTHON_VERSION]))
                .context("Python 3.10 or newer is needed: install `python3`")?;
            if version.trim() != "ok" {
                bail!("Python 3.10 or newer is needed, python3 is {}", version.trim());
            }
            python_environment(config, &folder, "infra/local/requirements.txt")
        })
    })
}

/// Makes a folder a Python environment with what a file of the checkout requires.
pub fn python_environment(config: &Config, folder: &Path, requirements: &str) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = config.tools.join(format!("log/{name}.log"));
    run::quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), &log)
        .context("the module `venv` is needed: install `python3-venv`")?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--disable-pip-version-check", "--no-input", "-r"]).arg(config.root.join(requirements));
    run::quietly(&mut pip, &log)
}

const PYTHON_VERSION: &str =
    "import sys; print('ok' if sys.version_info >= (3, 10) else '.'.join(map(str, sys.version_info[:3])))";

fn install_clickhouse(config: &Config) -> Result<()> {
    let folder = config.tools.join("clickhouse");
    let package = clickhouse_package()?;
    once(&folder, &format!("{package}@{CLICKHOUSE_VERSION}"), || {
        step("install ClickHouse", || {
            run::for_answer(Command::new("npm").arg("--version"))
                .context("Node is needed: install `nodejs` and `npm`")?;
            fs::create_dir_all(&folder)?;
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--prefix"]).arg(&folder);
            npm.arg(format!("{package}@{CLICKHOUSE_VERSION}"));
            run::quietly(&mut npm, &config.tools.join("log/clickhouse.log"))
        })
    })
}

/// Where `install` leaves ClickHouse.
pub fn clickhouse_library(config: &Config) -> Result<PathBuf> {
    Ok(config.tools.join("clickhouse/node_modules").join(clickhouse_package()?).join("libchdb.so"))
}

fn clickhouse_package() -> Result<&'static str> {
    Ok(match (consts::OS, consts::ARCH) {
        ("linux", "x86_64") => "@chdb/lib-linux-x64-gnu",
        ("linux", "aarch64") => "@chdb/lib-linux-arm64-gnu",
        ("macos", "x86_64") => "@chdb/lib-darwin-x64",
        ("macos", "aarch64") => "@chdb/lib-darwin-arm64",
        (system, processor) => {
            bail!("no ClickHouse package for {system} on {processor}: set CLICKHOUSE_URL to yours")
        }
    })
}

/// Installs a crate's program, for `stack check` only.
pub fn install_cargo_tool(config: &Config, name: &str, version: &str) -> Result<PathBuf> {
    let folder = config.tools.join(name);
    once(&folder, version, || {
        step(&format!("install {name}"), || {
            let mut cargo = Command::new("cargo");
            // Unoptimised: it is compiled for longer than it ever runs.
            cargo
                .args(["install", "--locked", "--debug", "--root"])
                .arg(&folder)
                .args(["--version", version, name])
                .env_remove("CARGO_TARGET_DIR");
            run::quietly(&mut cargo, &config.tools.join(format!("log/{name}.log")))
        })
    })?;
    Ok(folder.join("bin").join(name))
}

/// Installs into a folder, unless it was done for the same contents before.
pub fn once(folder: &Path, contents: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    once_at(&folder.with_extension("installed"), contents, install)
}

/// Makes something, unless the stamp says that it was made of the same contents before.
pub fn once_at(stamp: &Path, contents: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = hex(&Sha256::digest(contents));
    let done = || fs::read_to_string(stamp).is_ok_and(|made| made == wanted);
    if done() {
        return Ok(());
    }
    // A dev and a test stack may start at the same time: one makes it, the other waits and finds it done.
    fs::create_dir_all(stamp.parent().context("a stamp needs a folder")?)?;
    let lock = File::create(stamp.with_extension("lock"))?;
    lock.lock()?;
    if !done() {
        make()?;
        fs::write(stamp, &wanted)?;
    }
    Ok(())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
