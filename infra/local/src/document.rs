//! Holds the API to its OpenAPI document: a linter reads the document, and Schemathesis makes requests of it.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    config::Config,
    install,
    keys::{SigningKey, TokenRequest},
    steps::step,
    web,
};

const REQUIREMENTS: &str = include_str!("../../../tests/document/requirements.txt");

/// The roles that send requests: one that may do everything, one that only reads, and no token.
const CALLERS: [Option<&str>; 3] = [Some("admin"), Some("viewer"), None];

/// The checks of the document that the running stack serves.
pub fn tests(config: &Config, variables: &[(&'static str, String)]) -> Result<Vec<Command>> {
    let folder = config.root.join("tests/document");
    let python = install_tools(config)?;
    web::install_packages(config, &folder)?;
    let api = variables.iter().find(|(name, _)| *name == "API_URL").map(|(_, url)| url).context("no API_URL")?;
    let key = SigningKey::load(config)?;
    let account = "document";
    let mut commands = Vec::new();
    let mut lint = Command::new("npm");
    lint.args(["test", "--silent"]).current_dir(&folder).env("DOCUMENT", format!("{api}/api/openapi.json"));
    commands.push(lint);
    for role in CALLERS {
        let mut run = Command::new(&python);
        run.arg("run.py").current_dir(&folder).env("ACCOUNT", account).env("API_URL", api);
        // Do not inherit TOKEN and ROLE from the shell.
        run.env_remove("TOKEN").env_remove("ROLE");
        if let Some(role) = role {
            let options = ["--account", account, "--role", role].map(str::to_owned);
            run.env("ROLE", role).env("TOKEN", key.token(&TokenRequest::parse(&options)?)?);
        }
        commands.push(run);
    }
    Ok(commands)
}

fn install_tools(config: &Config) -> Result<PathBuf> {
    let folder = config.tools.join("document");
    install::once(&folder, &format!("{REQUIREMENTS}{}", folder.display()), || {
        step("install Schemathesis", || install::python_environment(config, &folder, "tests/document/requirements.txt"))
    })?;
    Ok(folder.join("bin/python"))
}
