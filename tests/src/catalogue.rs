//! The catalogue of events and the built-in metrics as the documentation tells them.

use std::{collections::BTreeMap, fs};

use analytics_domain::{
    catalogue::{COMMON, EVENTS},
    metric::builtin::METRICS,
};

/// The words in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn page(name: &str) -> String {
    let file = format!("{}/../docs/api/{name}.md", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(file).expect("is there")
}

#[test]
fn the_documentation_has_every_event_with_its_properties() {
    let page = page("events");
    let (_, page) = page.split_once("### Events\n").expect("has a table of events");
    let (table, _) = page.split_once("\n### ").expect("the table ends");
    let mut event_type = "";
    let mut told = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('_')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        event_type = quoted(cells[1]).first().copied().unwrap_or(event_type);
        let name = quoted(cells[2])[0];
        // Properties of all events may be named too.
        let own: Vec<&str> = quoted(cells[3]).into_iter().filter(|word| !COMMON.contains(word)).collect();
        told.insert(name, (event_type, own));
    }
    let known = EVENTS.iter().map(|known| (known.name, (known.event_type, known.properties.to_vec()))).collect();
    assert_eq!(told, known);
}

#[test]
fn the_documentation_has_every_property_of_all_events() {
    let page = page("events");
    let (_, page) = page.split_once("### Properties of all events\n").expect("has such a part");
    let (part, _) = page.split_once("\nNumbers must").expect("the part ends");
    for property in COMMON {
        assert!(quoted(part).contains(&property), "{property}");
    }
}

#[test]
fn the_documentation_has_every_built_in_metric() {
    let page = page("metrics");
    let (_, page) = page.split_once("## Built-in metrics\n").expect("has such a part");
    let (table, _) = page.split_once("\n### ").expect("the part ends");
    let told: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |metric: &analytics_domain::metric::builtin::BuiltIn| {
        format!("| `{}` | {} | {}<br>`{}` |", metric.id, metric.unit, metric.description, metric.formula)
    };
    assert_eq!(told, METRICS.iter().map(row).collect::<Vec<_>>());
}
