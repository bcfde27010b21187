//! The live dashboard of `infra/web`: built when its sources have changed, and tried in a browser.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::geteuid;

use crate::config::Config;
use crate::install::once_at;
use crate::run;
use crate::steps::step;

/// Folders within `infra/web` that are made, not written.
const MADE: [&str; 2] = ["node_modules", "dist"];
/// Names that Chromium goes by.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Leaves the page in `infra/web/dist`, from where the function `get-dashboard` takes it.
pub fn build(config: &Config) -> Result<()> {
    let folder = config.root.join("infra/web");
    install_packages(config, &folder)?;
    let mut sources = String::new();
    read_all(&folder, &mut sources)?;
    once_at(&folder.join("dist/.built"), &sources, || {
        step("build dashboard", || {
            run::quietly(&mut npm(&folder, &["run", "build"]), &config.tools.join("log/web.log"))
        })
    })
}

/// The unit tests of the page, and it in a browser against the running stack whose variables are given.
pub fn tests(config: &Config, variables: &[(&'static str, String)]) -> Result<Vec<Command>> {
    let chromium = browser(config)?;
    let folder = config.root.join("tests/web");
    let mut units = Command::new("npm");
    units.args(["test", "--silent"]).current_dir(config.root.join("infra/web"));
    let mut browser = Command::new("npx");
    browser.args(["playwright", "test"]).current_dir(&folder);
    browser.envs(variables.iter().cloned()).env("BROWSER", chromium);
    Ok(vec![units, browser])
}

/// Installs the packages of a folder, as its lock file has them.
pub fn install_packages(config: &Config, folder: &Path) -> Result<()> {
    let lock = fs::read_to_string(folder.join("package-lock.json"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    once_at(&folder.join("node_modules/.installed"), &lock, || {
        step(&format!("install packages of {name}"), || {
            let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
            run::quietly(&mut npm(folder, &arguments), &config.tools.join(format!("log/npm-{name}.log")))
                .context("Node 20 or newer is needed: install `nodejs` and `npm`")
        })
    })
}

/// A Chromium with all it takes to drive it: the one that is installed, else Debian's, else Playwright's own, which has no path.
pub fn browser(config: &Config) -> Result<PathBuf> {
    let folder = config.root.join("tests/web");
    install_packages(config, &folder)?;
    let find = || {
        let folders = env::split_paths(&config.search_path).collect::<Vec<_>>();
        let found =
            folders.iter().flat_map(|folder| BROWSERS.map(|name| folder.join(name))).find(|path| path.is_file());
        found.or_else(|| {
            let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
            mac.is_file().then_some(mac)
        })
    };
    if let Some(browser) = find() {
        return Ok(browser);
    }
    let log = config.tools.join("log/browser.log");
    if geteuid().is_root() && Path::new("/usr/bin/apt-get").exists() {
        step("install Chromium", || {
            run::quietly(Command::new("apt-get").args(["update"]), &log)?;
            let packages = ["chromium", "fonts-noto-cjk"];
            let mut install = Command::new("apt-get");
            install
                .args(["install", "-y", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive");
            run::quietly(&mut install, &log)
        })?;
        return find().context("Debian's Chromium is installed, but not found");
    }
    step("install Chromium", || {
        run::quietly(Command::new("npx").args(["playwright", "install", "chromium"]).current_dir(&folder), &log)
    })?;
    Ok(PathBuf::new())
}

fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder);
    npm
}

/// Names and contents of all that is written in a folder.
fn read_all(folder: &Path, text: &mut String) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if path.is_dir() && !MADE.contains(&&*name) {
            read_all(&path, text)?;
        } else if path.is_file() {
            text.push_str(&name);
            text.push_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(())
}
