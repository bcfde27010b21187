//! Up, down, and up until Ctrl-C.

use std::fs::{self, File};
use std::thread;

use anyhow::{Result, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::keys::SigningKey;
use crate::steps::{step, step_async};
use crate::{artifacts, clickhouse, demo, deploy, emulator, environment, install, web};

/// Brings everything up; what is up already stays as it is.
pub async fn up(config: &Config) -> Result<()> {
    let _lock = lock(config)?;
    prepare(config)?;
    step_async("start ClickHouse", clickhouse::start(config)).await?;
    step("apply migrations", || clickhouse::migrate(config))?;
    step_async("start AWS emulator", emulator::start(config)).await?;
    let key = SigningKey::load_or_create(config)?;
    let outputs = step_async("deploy", deploy::deploy(config, &key)).await?;
    environment::write(config, &outputs, &key)?;
    let status = step_async("ask for its health", deploy::health(config, &outputs)).await?;
    if status != Some(200) {
        bail!("GET {}/health answers {status:?}: see {}", outputs.api_url(config), config.log("functions").display());
    }
    Ok(())
}

pub fn down(config: &Config) -> Result<()> {
    let _lock = lock(config)?;
    step("stop AWS emulator", || emulator::stop(config))?;
    step("stop ClickHouse", || clickhouse::stop(config))
}

/// Starts ClickHouse alone, for a stack that has lost it.
pub async fn start_clickhouse(config: &Config) -> Result<()> {
    let _lock = lock(config)?;
    step_async("start ClickHouse", clickhouse::start(config)).await
}

/// Up with demo data until Ctrl-C or a failure; then down.
pub async fn dev(config: &Config) -> Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let result = up_with_demo_data(config).await;
    if result.is_ok() {
        let _sending = demo::send_on(config)?;
        println!("\n{}", environment::describe(config)?);
        println!("Ctrl-C stops everything; data stays in {}.", config.state.display());
        tokio::select! {
            _ = interrupted.recv() => (),
            _ = terminated.recv() => (),
        }
        eprintln!();
    }
    result.and(down(config))
}

async fn up_with_demo_data(config: &Config) -> Result<()> {
    up(config).await?;
    step("send demo data", || demo::send_once(config))
}

/// Downloads and compiles side by side: one waits for the network, the other for the processor.
fn prepare(config: &Config) -> Result<()> {
    thread::scope(|scope| {
        let installing = scope.spawn(|| install::install(config));
        let built = web::build(config).and_then(|()| artifacts::build(config));
        let installed = installing.join().unwrap_or_else(|_| Err(anyhow!("the installation broke off")));
        built.and(installed)
    })
}

/// One command at a time works on a stack.
fn lock(config: &Config) -> Result<File> {
    fs::create_dir_all(&config.state)?;
    let lock = File::create(config.state.join("lock"))?;
    if lock.try_lock().is_err() {
        eprintln!("  waiting for another command on {}", config.state.display());
        lock.lock()?;
    }
    Ok(lock)
}
