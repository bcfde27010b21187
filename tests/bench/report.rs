//! Figures: their rounds, their opponents, what they must reach, and how they are shown and kept.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

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
    /// Nothing: it is shown for its own sake.
    Nothing,
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
}

/// The middle value; that of two middle ones which is their mean. None of nothing is not a number.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 0) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (middle, _) => sorted[middle],
    }
}

/// The smallest value that this share of all do not exceed (nearest rank).
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

impl Row {
    pub fn new(name: impl Into<String>, unit: &'static str, ours: Vec<f64>, must: Must) -> Self {
        Self { name: name.into(), unit, ours, opponent: None, must }
    }

    pub fn beside(self, name: impl Into<String>, values: Vec<f64>) -> Self {
        Self { opponent: Some(Rounds { name: name.into(), values }), ..self }
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
        })
    }
}

impl Figure {
    pub fn new(name: &'static str) -> Self {
        Self { name, rows: Vec::new(), notes: Vec::new() }
    }

    pub fn is_met(&self) -> bool {
        self.rows.iter().all(|row| row.is_met() != Some(false))
    }

    /// Keeps the figure as `target/bench/NAME.json`.
    pub fn write(&self) -> Result<()> {
        let folder = Path::new("target/bench");
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
            match row.is_met() {
                Some(true) => writeln!(f, "   {}: met", row.must)?,
                Some(false) => writeln!(f, "   {}: MISSED", row.must)?,
                None => writeln!(f)?,
            }
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
