//! Figures: their rounds, their opponents, what they must reach, and how they are shown and kept.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::stats::{Interval, median, paired_ratio};

/// A figure has fallen if the whole confidence interval of its ratio to the one before lies below this.
const FALLEN: f64 = 0.95;

/// What was measured, once a round.
#[derive(Clone, Debug)]
pub struct Rounds {
    pub name: String,
    pub values: Vec<f64>,
}

/// What a row must reach.
#[derive(Clone, Copy, Debug)]
pub enum Must {
    /// Of ours to the opponent's.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtLeast(f64),
    AtMost(f64),
    /// Not to have fallen against another checkout, with which it was measured in turns.
    NotFallen(Better),
    /// Nothing: it is shown for its own sake.
    Nothing,
}

/// Which of two values of a row is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

/// One line of a figure.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    pub ours: Vec<f64>,
    pub opponent: Option<Rounds>,
    pub must: Must,
}

/// One figure.
#[derive(Debug)]
pub struct Figure {
    pub name: &'static str,
    pub rows: Vec<Row>,
    pub notes: Vec<String>,
    /// Whether the numbers mean anything: those of a short run do not.
    pub is_judged: bool,
}

impl Row {
    pub fn new(name: impl Into<String>, unit: &'static str, ours: Vec<f64>, must: Must) -> Self {
        Self { name: name.into(), unit, ours, opponent: None, must }
    }

    pub fn beside(self, name: impl Into<String>, values: Vec<f64>) -> Self {
        Self { opponent: Some(Rounds { name: name.into(), values }), ..self }
    }

    /// How ours compares with another checkout's: over 1 is better. None where that is not asked, or not known.
    pub fn comparison(&self) -> Option<Interval> {
        let theirs = &self.opponent.as_ref()?.values;
        match self.must {
            Must::NotFallen(Better::More) => paired_ratio(&self.ours, theirs),
            Must::NotFallen(Better::Less) => paired_ratio(theirs, &self.ours),
            _ => None,
        }
    }

    /// The median of the rounds' ratios where both sides were measured in turns, else the ratio of the medians.
    pub fn ratio(&self) -> Option<f64> {
        let theirs = &self.opponent.as_ref()?.values;
        if theirs.len() == self.ours.len() {
            let ratios: Vec<f64> = self.ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
            return Some(median(&ratios));
        }
        Some(median(&self.ours) / median(theirs))
    }

    /// None where nothing must be reached.
    pub fn is_met(&self) -> Option<bool> {
        let (ours, ratio) = (median(&self.ours), self.ratio().unwrap_or(f64::NAN));
        match self.must {
            Must::RatioAtLeast(bound) => Some(ratio >= bound),
            Must::RatioAtMost(bound) => Some(ratio <= bound),
            Must::AtLeast(bound) => Some(ours >= bound),
            Must::AtMost(bound) => Some(ours <= bound),
            Must::NotFallen(_) => Some(self.comparison().is_some_and(|ratio| ratio.high >= FALLEN)),
            Must::Nothing => None,
        }
    }

    fn to_json(&self) -> Value {
        let opponent = self.opponent.as_ref();
        json!({
            "name": self.name, "unit": self.unit, "median": median(&self.ours), "rounds": self.ours,
            "opponent": opponent.map(|theirs| json!({
                "name": theirs.name, "median": median(&theirs.values), "rounds": theirs.values,
            })),
            "ratio": self.ratio(), "must": self.must.to_string(), "met": self.is_met(),
            "comparison": self.comparison().map(|ratio| json!({
                "ratio": ratio.middle, "low": ratio.low, "high": ratio.high,
            })),
        })
    }
}

impl Figure {
    pub fn new(name: &'static str) -> Self {
        Self { name, rows: Vec::new(), notes: Vec::new(), is_judged: true }
    }

    pub fn is_met(&self) -> bool {
        !self.is_judged || self.rows.iter().all(|row| row.is_met() != Some(false))
    }

    /// Keeps the figure as `NAME.json` in this folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let figure = json!({
            "figure": self.name, "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "notes": self.notes, "loadAverage": load_average(),
        });
        let file = folder.join(format!("{}.json", self.name));
        fs::write(&file, serde_json::to_vec_pretty(&figure)?).with_context(|| file.display().to_string())
    }
}

/// Of the last minute, five and fifteen: how busy the machine is with other things.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(bound) => write!(f, "at least {bound} x"),
            Self::RatioAtMost(bound) => write!(f, "at most {bound} x"),
            Self::AtLeast(bound) => write!(f, "at least {}", number(*bound)),
            Self::AtMost(bound) => write!(f, "at most {}", number(*bound)),
            Self::NotFallen(_) => write!(f, "not fallen below {FALLEN} x"),
            Self::Nothing => Ok(()),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (load average {})", self.name, load_average())?;
        for row in &self.rows {
            write!(f, "  {:<44}{:>12} {:<18}", row.name, number(median(&row.ours)), row.unit)?;
            if let (Some(theirs), Some(ratio)) = (&row.opponent, row.ratio()) {
                write!(f, " {}: {} = {ratio:.2} x", theirs.name, number(median(&theirs.values)))?;
            }
            if let Some(Interval { middle, low, high }) = row.comparison() {
                write!(f, ", as good as {middle:.3} x ({low:.3} to {high:.3})")?;
            }
            match row.is_met().filter(|_| self.is_judged) {
                Some(true) => writeln!(f, "   {}: met", row.must)?,
                Some(false) => writeln!(f, "   {}: MISSED", row.must)?,
                None => writeln!(f)?,
            }
        }
        if !self.is_judged {
            writeln!(f, "  a short run: the numbers mean nothing, and nothing is judged")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

/// With three significant digits at least, and groups of three.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: &[f64], before: &[f64], better: Better) -> Row {
        Row::new("figure", "unit", ours.to_vec(), Must::NotFallen(better)).beside("before", before.to_vec())
    }

    #[test]
    fn a_figure_has_fallen_if_all_of_its_interval_lies_below() {
        let before = [100.0, 101.0, 99.0, 100.0, 102.0];
        let scaled = |factor: f64| before.map(|value| value * factor);
        assert_eq!(row(&scaled(0.90), &before, Better::More).is_met(), Some(false));
        assert_eq!(row(&scaled(0.97), &before, Better::More).is_met(), Some(true));
        assert_eq!(row(&scaled(1.10), &before, Better::More).is_met(), Some(true));
        // Of times, more is worse.
        assert_eq!(row(&scaled(1.10), &before, Better::Less).is_met(), Some(false));
        assert_eq!(row(&scaled(0.90), &before, Better::Less).is_met(), Some(true));
    }

    #[test]
    fn noise_does_not_make_a_figure_fall() {
        let noisy = row(&[50.0, 140.0, 80.0, 60.0], &[100.0, 100.0, 100.0, 100.0], Better::More);
        assert!(noisy.comparison().is_some_and(|ratio| ratio.middle < FALLEN));
        assert_eq!(noisy.is_met(), Some(true));
    }

    #[test]
    fn a_figure_that_cannot_be_compared_is_not_met() {
        assert_eq!(row(&[100.0], &[100.0], Better::More).is_met(), Some(false));
        assert_eq!(row(&[100.0, 100.0], &[0.0, 0.0], Better::More).is_met(), Some(false));
    }

    #[test]
    fn short_figures_are_not_judged() {
        let mut figure = Figure::new("figure");
        figure.rows.push(Row::new("row", "ms", vec![10.0], Must::AtMost(1.0)));
        assert!(!figure.is_met());
        figure.is_judged = false;
        assert!(figure.is_met());
    }
}
