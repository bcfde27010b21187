//! What is to be measured: `bench [--short] [--against FOLDER] [FIGURE…]`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

/// Every figure, in the order in which they are measured.
pub const FIGURES: [&str; 10] =
    ["accept", "invoke", "start", "footprint", "dashboard", "live", "search", "metrics", "metrics-100m", "pipeline"];
/// Those that another checkout can be compared in.
pub const COMPARED: [&str; 5] = ["accept", "invoke", "search", "metrics", "pipeline"];

#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub figures: Vec<&'static str>,
    /// Another checkout that this one is compared with.
    pub against: Option<PathBuf>,
    /// Few rounds on little data, to see that everything works: the numbers mean nothing, and nothing is judged.
    pub is_short: bool,
}

impl Plan {
    pub fn from_arguments(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let (mut wanted, mut against, mut is_short) = (Vec::new(), None, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--short" => is_short = true,
                "--against" => against = Some(arguments.next().context("--against needs a folder")?.into()),
                option if option.starts_with('-') => {
                    bail!("no option {option}: there are --short and --against FOLDER")
                }
                _ => wanted.push(argument),
            }
        }
        let known = if against.is_some() { &COMPARED[..] } else { &FIGURES };
        let unknown = wanted.iter().find(|name| !known.contains(&name.as_str()));
        ensure!(unknown.is_none(), "no figure {}: there are {}", unknown.map_or("", |name| name), known.join(", "));
        let is_wanted = |name: &&str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        Ok(Self { figures: known.iter().copied().filter(is_wanted).collect(), against, is_short })
    }

    /// A number of rounds or events, by the length of the run.
    pub fn pick<T>(&self, whole: T, short: T) -> T {
        if self.is_short { short } else { whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Result<Plan> {
        Plan::from_arguments(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn measures_everything_unless_told_otherwise() -> Result<()> {
        assert_eq!(plan(&[])?, Plan { figures: FIGURES.to_vec(), against: None, is_short: false });
        assert_eq!(plan(&["search", "accept"])?.figures, ["accept", "search"]);
        assert_eq!(plan(&["--short", "live"])?.pick(10, 1), 1);
        Ok(())
    }

    #[test]
    fn compares_only_what_can_be_compared() -> Result<()> {
        let all = plan(&["--against", "../before"])?;
        assert_eq!((all.figures, all.against), (COMPARED.to_vec(), Some("../before".into())));
        let refused = |arguments| plan(arguments).map_err(|error| error.to_string());
        assert_eq!(
            refused(&["--against", "../before", "start"]),
            Err("no figure start: there are accept, invoke, search, metrics, pipeline".to_owned())
        );
        assert_eq!(refused(&["--against"]), Err("--against needs a folder".to_owned()));
        assert!(refused(&["--fast"]).is_err());
        Ok(())
    }
}
