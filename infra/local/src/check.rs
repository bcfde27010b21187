//! Everything that can be found wrong without running the system.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::config::{Config, REGION};
use crate::steps::step;
use crate::{install, run, web};

const DENY_VERSION: &str = "0.20.2";
const MACHETE_VERSION: &str = "0.9.2";
/// What cargo-deny says where its list of advisories cannot be had.
const NO_NETWORK: &str = "failed to fetch advisory database";

/// Runs every check, whatever the others say.
pub fn check(config: &Config) -> Result<ExitCode> {
    install::install_python_tools(config)?;
    web::build(config)?;
    let machete = install::install_cargo_tool(config, "cargo-machete", MACHETE_VERSION)?;
    let deny = install::install_cargo_tool(config, "cargo-deny", DENY_VERSION)?;
    let mut passed = true;
    for (name, mut command) in checks(config, &machete, &deny) {
        let log = config.tools.join("log").join(format!("check-{}.log", name.replace([' ', ','], "-")));
        command.current_dir(&config.root);
        match step(name, || run::quietly(&mut command, &log)) {
            Err(error) if format!("{error:#}").contains(NO_NETWORK) => {
                eprintln!("    left out: the list of advisories needs network");
            }
            Err(error) => {
                eprintln!("{error:#}");
                passed = false;
            }
            Ok(()) => (),
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn checks(config: &Config, machete: &Path, deny: &Path) -> Vec<(&'static str, Command)> {
    let mut docs = command("cargo", &["doc", "--workspace", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    let mut sam = command(config.python_tool("sam"), &["validate", "--lint", "--region", REGION]);
    sam.env("SAM_CLI_TELEMETRY", "0");
    vec![
        ("format", command("cargo", &["fmt", "--all", "--check"])),
        ("lints", command("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        ("docs", docs),
        ("unused dependencies", command(machete, &[])),
        ("licences, duplicates, sources", command(deny, &["--workspace", "check", "licenses", "bans", "sources"])),
        ("advisories", command(deny, &["--workspace", "check", "advisories"])),
        ("template by cfn-lint", command(config.python_tool("cfn-lint"), &["template.yaml"])),
        ("template by sam validate", sam),
    ]
}

fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
