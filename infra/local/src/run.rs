//! Runs other programs: quietly into a log that is shown when they fail, or with their output as it comes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Lines of a log that tell why a program failed.
const TAIL: usize = 40;

/// Output goes to `log`; its end is part of the error.
pub fn quietly(command: &mut Command, log: &Path) -> Result<()> {
    let (output, errors) = log_files(log)?;
    let status = command.stdin(Stdio::null()).stdout(output).stderr(errors).status().with_context(|| name(command))?;
    if !status.success() {
        bail!("{} failed ({status}):\n{}\n(all of it: {})", name(command), tail(log), log.display());
    }
    Ok(())
}

/// What it prints is the answer; what it complains of is part of the error.
pub fn for_answer(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| name(command))?;
    if !output.status.success() {
        bail!("{} failed ({}):\n{}", name(command), output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Output goes where ours goes.
pub fn openly(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| name(command))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// A fresh log, twice: for output and for errors.
pub fn log_files(log: &Path) -> Result<(File, File)> {
    fs::create_dir_all(log.parent().context("a log needs a folder")?)?;
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let second = file.try_clone()?;
    Ok((file, second))
}

pub fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
