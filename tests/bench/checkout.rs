//! The checkouts whose programs are measured: this one and, for a comparison, another one of the project.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// A checkout that is built.
#[derive(Clone, Debug)]
pub struct Checkout {
    pub root: PathBuf,
    /// Cargo's build folder.
    pub target: PathBuf,
    /// The folder in it with the functions that are measured.
    profile: OsString,
}

impl Checkout {
    /// The checkout of this program: `target/<profile>/bench`, started in the checkout's folder.
    pub fn here() -> Result<Self> {
        let program = env::current_exe()?;
        let programs = program.parent().context("a program has a folder")?;
        Ok(Self {
            root: env::current_dir()?,
            target: programs.parent().context("no build folder")?.to_owned(),
            profile: programs.file_name().context("no profile")?.to_owned(),
        })
    }

    /// Another one, whose functions were built in its own `target` with the profile of this program.
    pub fn at(folder: &Path) -> Result<Self> {
        let root = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let checkout = Self { target: root.join("target"), root, profile: Self::here()?.profile };
        for program in [checkout.binary("bench"), checkout.binary("track-events"), checkout.tool("stack")] {
            ensure!(program.is_file(), "{} is not built", program.display());
        }
        Ok(checkout)
    }

    /// A function, or the benchmark, of the profile that is measured.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join(&self.profile).join(name)
    }

    /// A tool of the dev profile, as the stack uses it.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

/// A function of this checkout.
pub fn binary(name: &str) -> Result<PathBuf> {
    Ok(Checkout::here()?.binary(name))
}

/// A tool of this checkout.
pub fn tool(name: &str) -> Result<PathBuf> {
    Ok(Checkout::here()?.tool(name))
}
