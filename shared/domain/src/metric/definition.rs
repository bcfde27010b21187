//! What a metric is: its definition as users write it, and what may not be one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    path::{self, check_path},
    syntax::Function,
    token,
};
use crate::{event::pointer_segment, text::nfc};

/// Characters of a name, and of a unit.
pub const NAME_CHARS: usize = 120;
pub const DESCRIPTION_CHARS: usize = 2_000;
pub const DIMENSIONS: usize = 4;
pub const FILTERS: usize = 10;
/// Metrics of one account.
pub const METRICS: usize = 500;

/// Type of a metric: which formulas it allows, and the value of an empty bucket.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Adds up: counts and sums, added, subtracted, and multiplied by constants. An empty bucket is 0; the total is the sum of
    /// the buckets.
    Counter,
    /// A level or a ratio. Each bucket, and the total, is the formula over the inputs of that time: a mean of means is never
    /// taken. An empty bucket has no value, unless the formula has one; levels (`last`, `first`) go on.
    Gauge,
    /// A distribution: one aggregation of one property. An empty bucket has no value.
    Histogram,
}

impl Kind {
    const NAMES: [(&str, Self); 3] =
        [("counter", Self::Counter), ("gauge", Self::Gauge), ("histogram", Self::Histogram)];
}

/// A metric as its account defines it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Arithmetic over events, their properties and other metrics.
    pub formula: String,
    pub unit: String,
    /// How a property without a function in the formula is aggregated.
    #[schemars(with = "String")]
    pub aggregation: Aggregation,
    /// Conditions that every event must meet.
    pub filters: Vec<String>,
    /// Properties that it is often split by.
    pub dimensions: Vec<String>,
    pub description: String,
}

/// An aggregation by name: `sum`, `avg`, `p95`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation(pub Function);

impl Serialize for Aggregation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.name())
    }
}

impl<'de> Deserialize<'de> for Aggregation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Function::parse(&name).map(Self).ok_or_else(|| serde::de::Error::custom("no aggregation of this name"))
    }
}

/// What is wrong with one field of a definition or query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer.
    pub pointer: String,
    pub code: &'static str,
    pub detail: String,
}

impl Problem {
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

impl Definition {
    /// Names of the fields.
    pub const FIELDS: [&'static str; 8] =
        ["name", "type", "formula", "unit", "aggregation", "filters", "dimensions", "description"];

    /// Reads a definition from the body of a request, which may hold fields of these other names `beside` it.
    ///
    /// # Errors
    /// Names every field that is missing, unknown or makes no sense.
    pub fn from_json(body: &Map<String, Value>, beside: &[&str]) -> Result<Self, Vec<Problem>> {
        let mut fields = Fields { body, problems: Vec::new() };
        let known = [&Self::FIELDS[..], beside].concat();
        fields.problems.extend(body.keys().filter_map(|name| unknown_field(name, &known)));
        let name = fields.text("name", NAME_CHARS).map(|name| name.trim().to_owned());
        if name.as_deref().is_none_or(str::is_empty) && fields.has_no_problem("/name") {
            fields.refuse("/name", "required", "a metric needs a name");
        }
        let formula = fields.text("formula", token::LONGEST);
        if formula.as_deref().is_none_or(|formula| formula.trim().is_empty()) && fields.has_no_problem("/formula") {
            fields.refuse("/formula", "required", "a metric needs a formula, such as (delivered / sent) * 100");
        }
        let kind = fields.kind();
        let aggregation = fields.aggregation(kind);
        let unit = fields.text("unit", NAME_CHARS).unwrap_or_default();
        let description = fields.text("description", DESCRIPTION_CHARS).unwrap_or_default();
        let filters = fields.texts("filters", FILTERS, token::LONGEST);
        let dimensions = fields.texts("dimensions", DIMENSIONS, path::LONGEST);
        for (at, dimension) in dimensions.iter().enumerate() {
            if let Err(detail) = check_path(dimension) {
                fields.refuse(&format!("/dimensions/{at}"), "invalid_name", detail);
            } else if dimensions[..at].contains(dimension) {
                fields.refuse(&format!("/dimensions/{at}"), "duplicate", "stands in the list already");
            }
        }
        match (fields.problems.is_empty(), name, kind, formula) {
            (true, Some(name), Some(kind), Some(formula)) => {
                Ok(Self { name, kind, formula, unit, aggregation, filters, dimensions, description })
            }
            _ => Err(fields.problems),
        }
    }
}

/// Refuses a field of a body if its name is none of these.
#[must_use]
pub fn unknown_field(name: &str, known: &[&str]) -> Option<Problem> {
    if known.contains(&name) {
        return None;
    }
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let nearest = known.iter().map(|known| (likeness(known), *known)).max_by(|one, other| one.0.total_cmp(&other.0));
    let meant = match nearest {
        Some((likeness, nearest)) if likeness > 0.75 => format!("did you mean {nearest}? "),
        _ => String::new(),
    };
    let detail = format!("{meant}The fields are {}", known.join(", "));
    Some(Problem::new(format!("/{}", pointer_segment(name)), "unknown_field", detail))
}

struct Fields<'b> {
    body: &'b Map<String, Value>,
    problems: Vec<Problem>,
}

impl Fields<'_> {
    fn refuse(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.problems.push(Problem::new(pointer, code, detail));
    }

    fn has_no_problem(&self, pointer: &str) -> bool {
        self.problems.iter().all(|problem| problem.pointer != pointer)
    }

    /// None if it is not there, or null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str, most: usize) -> Option<String> {
        let value = self.get(name)?;
        let pointer = format!("/{name}");
        match value.as_str() {
            None => self.refuse(&pointer, "wrong_type", "must be a string"),
            Some(text) if text.chars().count() > most => {
                self.refuse(&pointer, "too_long", format!("has at most {most} characters"));
            }
            // The parser of formulas says where one stands, and takes those of quoted names.
            Some(text) if name != "formula" && text.chars().any(|at| at.is_control() && at != '\n') => {
                self.refuse(&pointer, "invalid_value", "holds control characters");
            }
            Some(text) => return Some(text.to_owned()),
        }
        None
    }

    fn texts(&mut self, name: &str, most: usize, chars: usize) -> Vec<String> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let Some(list) = value.as_array().cloned() else {
            self.refuse(&format!("/{name}"), "wrong_type", "must be a list of strings");
            return Vec::new();
        };
        if list.len() > most {
            self.refuse(&format!("/{name}"), "too_many", format!("has at most {most} entries"));
        }
        let mut texts = Vec::new();
        for (at, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(text) if text.chars().count() <= chars => texts.push(nfc(text).into_owned()),
                Some(_) => self.refuse(&format!("/{name}/{at}"), "too_long", format!("has at most {chars} characters")),
                None => self.refuse(&format!("/{name}/{at}"), "wrong_type", "must be a string"),
            }
        }
        texts
    }

    fn kind(&mut self) -> Option<Kind> {
        let named = match self.get("type") {
            None => {
                self.refuse("/type", "required", "must be counter, gauge or histogram");
                return None;
            }
            Some(value) => value.as_str().unwrap_or_default(),
        };
        let kind = Kind::NAMES.iter().find(|(name, _)| *name == named).map(|(_, kind)| *kind);
        if kind.is_none() {
            self.refuse("/type", "invalid_value", "must be counter, gauge or histogram");
        }
        kind
    }

    fn aggregation(&mut self, kind: Option<Kind>) -> Aggregation {
        let usual = match kind {
            Some(Kind::Counter) => Function::Sum,
            Some(Kind::Gauge) | None => Function::Average,
            Some(Kind::Histogram) => Function::Percentile(95),
        };
        let Some(value) = self.get("aggregation") else { return Aggregation(usual) };
        match value.as_str().and_then(Function::parse) {
            None => {
                let known = "must be sum, avg, min, max, unique, count, first, last, gain, or p1 to p99";
                self.refuse("/aggregation", "invalid_value", known);
                Aggregation(usual)
            }
            Some(function) => {
                if kind == Some(Kind::Counter) && !matches!(function, Function::Sum | Function::Count) {
                    let detail = "a counter adds up: its aggregation is sum or count; use type gauge for others";
                    self.refuse("/aggregation", "unfit_aggregation", detail);
                }
                Aggregation(function)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metric::{parse_formula, syntax::Node};

    fn refused(body: &Value, beside: &[&str]) -> Vec<Problem> {
        Definition::from_json(body.as_object().expect("is an object"), beside).expect_err("refused")
    }

    #[test]
    fn names_of_any_spelling_are_taken_in_formulas() {
        let body = json!({"name": "a", "type": "gauge", "formula": "sum(e.\"a\tb\")", "dimensions": ["и\u{306}"]});
        let definition = Definition::from_json(body.as_object().expect("is an object"), &[]).expect("is taken");
        assert_eq!(definition.dimensions, ["й"]);
        assert!(parse_formula(&definition.formula).is_ok());
        let Ok(Node::Input(input)) = parse_formula("\"и\u{306}\"") else { panic!("an input") };
        assert_eq!(input.name.text, "й");
        let body = json!({"name": "a\tb", "type": "gauge", "formula": "sent"});
        assert_eq!(refused(&body, &[])[0].code, "invalid_value");
    }

    #[test]
    fn unknown_fields_are_refused_with_the_nearest_name() {
        let body = json!({"name": "a", "type": "gauge", "formula": "sent", "dimension": ["a"], "colour": 1});
        let problems = refused(&body, &["metricId"]);
        let found: Vec<_> = problems.iter().map(|one| (one.pointer.as_str(), one.code)).collect();
        assert_eq!(found, [("/colour", "unknown_field"), ("/dimension", "unknown_field")]);
        assert!(problems[1].detail.starts_with("did you mean dimensions?"), "{}", problems[1].detail);
        assert!(problems[0].detail.starts_with("The fields are name, type"), "{}", problems[0].detail);
        let problems =
            refused(&json!({"name": "a", "type": "gauge", "formula": "sent", "metricID": "a"}), &["metricId"]);
        assert!(problems[0].detail.starts_with("did you mean metricId?"), "{}", problems[0].detail);
    }
}
