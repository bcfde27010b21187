//! Programs that run in the background: started apart from the terminal, found again by a later command.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::{http, run};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A server of the stack.
pub struct Server<'a> {
    pub name: &'static str,
    pub port: u16,
    /// The setting that moves it to another port.
    pub port_setting: &'static str,
    /// Answers with a 200 once the server is ready.
    pub ready_url: String,
    pub config: &'a Config,
}

/// What is written down about a process, so that nobody else's is ever stopped after its number was given away again.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Record {
    pid: i32,
    started: String,
    /// What it was started with.
    command: String,
}

impl Server<'_> {
    /// Starts it unless it runs already; one that was started otherwise is started anew. Returns when it is ready.
    pub async fn start(&self, mut command: Command) -> Result<()> {
        let description = format!("{command:?}");
        if let Some(record) = self.running() {
            if record.command == description {
                return self.wait(Pid::from_raw(record.pid)).await;
            }
            self.stop()?;
        }
        if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            bail!("port {} is in use by another program: set {} to a free one", self.port, self.port_setting);
        }
        let (output, errors) = run::log_files(&self.log())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A Ctrl-C in the terminal is ours to handle: it must not reach the servers before us.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        let pid = i32::try_from(child.id())?;
        let started = start_time(pid).with_context(|| format!("{} ended at once", self.name))?;
        let file = self.record_file();
        fs::create_dir_all(file.parent().context("a record needs a folder")?)?;
        fs::write(file, serde_json::to_vec(&Record { pid, started, command: description })?)?;
        self.wait(Pid::from_raw(pid)).await
    }

    /// Asks it to end, and makes it when it doesn't in time.
    pub fn stop(&self) -> Result<()> {
        if let Some(pid) = self.running().and_then(|record| Pid::from_raw(record.pid)) {
            // It may end by itself at any moment, so a failing signal is no failure.
            let _ = kill_process(pid, Signal::TERM);
            let patience = Instant::now() + STOP_LIMIT;
            while self.running().is_some() && Instant::now() < patience {
                thread::sleep(Duration::from_millis(50));
            }
            // Itself, when it had no ears, and whatever it started.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        match fs::remove_file(self.record_file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn wait(&self, pid: Option<Pid>) -> Result<()> {
        let patience = Instant::now() + START_LIMIT;
        loop {
            if http::status(&self.ready_url).await? == Some(200) {
                return Ok(());
            }
            if pid.is_none() || self.running().is_none() {
                bail!("{} has ended:\n{}", self.name, run::tail(&self.log()));
            }
            if Instant::now() > patience {
                bail!("{} is not ready after {} s:\n{}", self.name, START_LIMIT.as_secs(), run::tail(&self.log()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn running(&self) -> Option<Record> {
        let record: Record = serde_json::from_slice(&fs::read(self.record_file()).ok()?).ok()?;
        (start_time(record.pid)? == record.started).then_some(record)
    }

    fn record_file(&self) -> PathBuf {
        self.config.state.join("run").join(format!("{}.json", self.name))
    }

    fn log(&self) -> PathBuf {
        self.config.log(self.name)
    }
}

/// When a living process was started; with its number, this names it for good.
fn start_time(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state …`, the 22nd field is the start; a name may hold spaces and parentheses.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        return (state != "Z").then(|| fields.nth(18).map(str::to_owned))?;
    }
    let answer = run::for_answer(Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()])).ok()?;
    let (state, started) = answer.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// A command that gets nothing from our own environment.
pub fn isolated(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_living_process_from_an_ended_one() -> Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let pid = i32::try_from(child.id())?;
        let first = start_time(pid);
        assert!(first.is_some());
        assert_eq!(first, start_time(pid));
        child.kill()?;
        let patience = Instant::now() + Duration::from_secs(10);
        while start_time(pid).is_some() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(start_time(pid), None, "a zombie is not alive");
        child.wait()?;
        Ok(())
    }
}
