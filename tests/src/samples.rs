//! The functions of the project, and a sample trigger of each: the files of `events/`.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn stems(folder: PathBuf) -> Result<BTreeSet<String>> {
    let stem = |entry: fs::DirEntry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    fs::read_dir(folder)?.map(|entry| stem(entry?).context("a file has a name")).collect()
}

/// The names of all functions: those of their binaries.
///
/// # Errors
/// If the folders cannot be read.
pub fn functions() -> Result<BTreeSet<String>> {
    let mut functions = BTreeSet::new();
    for package in fs::read_dir(folder("functions"))? {
        functions.extend(stems(package?.path().join("src/bin"))?);
    }
    Ok(functions)
}

/// The names of all samples.
///
/// # Errors
/// If the folder cannot be read.
pub fn names() -> Result<BTreeSet<String>> {
    stems(folder("events"))
}

/// A function's sample with a token, as if it came at a minute such as `2026-11-24T09:30`.
///
/// # Errors
/// If there is none.
pub fn sample(function: &str, token: &str, minute: &str) -> Result<String> {
    let text = fs::read_to_string(folder("events").join(function).with_extension("json"))
        .with_context(|| format!("no sample of {function}"))?;
    Ok(text.replace("TOKEN", token).replace("2026-11-24T09:30", minute))
}
