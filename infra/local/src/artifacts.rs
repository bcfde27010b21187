//! Builds the workspace and puts each function where `template.yaml` looks for it.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::{config::Config, run, steps::step};

/// Everything in one go: whole-workspace builds share their artefacts with `cargo test --workspace`.
pub fn build(config: &Config) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--workspace", "--bins"]).current_dir(&config.root);
    step("build", || run::openly(&mut cargo))
}

/// Copies the functions' binaries to `target/lambda/NAME/bootstrap`, and tells what those are now.
pub fn package(config: &Config) -> Result<String> {
    let mut versions = Vec::new();
    for name in functions(config)? {
        versions.push(format!("{name} {}", package_one(config, &name)?));
    }
    Ok(versions.join("\n"))
}

/// The names of all packages of functions, each with the names of its functions.
pub fn packages(config: &Config) -> Result<BTreeMap<String, Vec<String>>> {
    let mut packages = BTreeMap::new();
    for folder in fs::read_dir(config.root.join("functions"))? {
        let folder = folder?;
        let binaries = fs::read_dir(folder.path().join("src/bin"))?;
        let name = |entry: fs::DirEntry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let names = binaries.map(|entry| name(entry?).context("a file has a name")).collect::<Result<Vec<_>>>()?;
        packages.insert(folder.file_name().to_string_lossy().into_owned(), names);
    }
    Ok(packages)
}

/// The names of all functions.
pub fn functions(config: &Config) -> Result<Vec<String>> {
    let mut names: Vec<String> = packages(config)?.into_values().flatten().collect();
    if names.is_empty() {
        bail!("no functions in {}", config.root.display());
    }
    names.sort();
    Ok(names)
}

/// Makes the next [`package`] copy every function anew, because something else was put in its place.
pub fn forget(config: &Config) -> Result<()> {
    for name in functions(config)? {
        let stamp = config.root.join("target/lambda").join(name).with_extension("version");
        if stamp.exists() {
            fs::remove_file(stamp)?;
        }
    }
    Ok(())
}

fn package_one(config: &Config, name: &str) -> Result<String> {
    let source = config.binary(name);
    let version = version(&source)?;
    let folder = config.root.join("target/lambda").join(name);
    let (bootstrap, stamp) = (folder.join("bootstrap"), folder.with_extension("version"));
    if bootstrap.exists() && fs::read_to_string(&stamp).is_ok_and(|packaged| packaged == version) {
        return Ok(version);
    }
    fs::create_dir_all(&folder)?;
    // Moved into place, so that nobody ever reads half a file.
    let partial = folder.with_extension("partial");
    fs::copy(&source, &partial)?;
    // Symbols are half of the size, which the deploy compresses and carries. Without `strip` they stay.
    let _ = Command::new("strip").arg(&partial).output();
    fs::rename(&partial, &bootstrap)?;
    fs::write(stamp, &version)?;
    Ok(version)
}

/// Cargo writes a binary anew only when it changes.
fn version(binary: &Path) -> Result<String> {
    let metadata = fs::metadata(binary).with_context(|| format!("{} was not built", binary.display()))?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH)?;
    Ok(format!("{} {}", modified.as_nanos(), metadata.len()))
}
