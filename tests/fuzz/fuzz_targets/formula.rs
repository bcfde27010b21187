#![no_main]

use std::sync::LazyLock;

use analytics_domain::metric::{
    Aggregation, Definition, Filter, Function, InputNode, Kind, Metric, Metrics, Node, Term, Vocabulary, check_kind,
    parse_formula, resolve,
};
use libfuzzer_sys::{Corpus, fuzz_target};

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new(Vec::new()));
static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| METRICS.vocabulary(["sms_sent", "webinar attended", "визит"].map(str::to_owned).to_vec(), None));

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    fuzz::check(text, check);
    Corpus::Keep
});

fn check(text: &str) {
    let parsed = parse_formula(text);
    assert_eq!(parsed, parse_formula(text));
    match parsed {
        Ok(formula) => {
            check_tree(text, &formula);
            check_meaning(text, &formula);
        }
        Err(error) => fuzz::check_error(text, &error),
    }
}

fn check_tree(text: &str, formula: &Node<InputNode>) {
    let inputs = formula.inputs();
    for input in &inputs {
        check_input(text, input);
    }
    assert_eq!(formula.constant().is_some(), inputs.is_empty());
    let copy = formula.clone();
    assert_eq!(copy.inputs(), inputs);
    drop(copy);
}

fn check_input(text: &str, input: &InputNode) {
    let name = &input.name;
    let from: String = text.chars().skip(name.at).collect();
    assert!(!name.text.is_empty());
    if name.quoted {
        assert!(from.starts_with(['"', '\'', '`']) && fuzz::comes_from(&from, &name.text), "{name:?}");
    } else {
        assert!(from.starts_with(&name.text), "{name:?}");
    }
    for path in input.property.iter().chain(&input.by) {
        fuzz::check_path_comes_from(&from, path);
    }
    if let Some(filter) = &input.filter {
        fuzz::check_filter(&from, filter);
    }
    if let Some(function) = input.function {
        assert!(text.contains(&function.name()), "{function:?}");
    }
}

fn check_meaning(text: &str, formula: &Node<InputNode>) {
    let (tree, names) = match resolve(formula, Aggregation(Function::Average), &Filter::EVERYTHING, &VOCABULARY) {
        Ok(resolved) => resolved,
        Err(problem) => {
            assert!(problem.at.is_some() || formula.inputs().is_empty());
            let at = problem.at;
            let problem = problem.into_problem("/formula", text);
            return at.into_iter().for_each(|at| fuzz::check_place(text, at, &problem.detail));
        }
    };
    assert_eq!(tree.inputs().len(), formula.inputs().len());
    assert!(names.iter().all(|name| formula.inputs().iter().any(|input| input.name.text == name.name)));
    check_storage(text, &tree);
    if let Ok(expanded) = METRICS.expand(&tree) {
        for kind in [Kind::Counter, Kind::Gauge, Kind::Histogram] {
            let _ = check_kind(&expanded, kind);
        }
        for input in expanded.inputs() {
            let _ = (input.measure(), input.describe());
        }
    }
}

/// A metric is read as it was written.
fn check_storage(text: &str, formula: &Node<Term>) {
    let definition = Definition {
        name: "a".to_owned(),
        kind: Kind::Gauge,
        formula: text.to_owned(),
        unit: String::new(),
        aggregation: Aggregation(Function::Average),
        filters: Vec::new(),
        dimensions: Vec::new(),
        description: String::new(),
    };
    let formula = formula.clone();
    let metric = Metric { id: "a".to_owned(), definition, formula, version: 1, created_at: 0, updated_at: 0 };
    let json = serde_json::to_string(&metric).expect("can be written");
    assert_eq!(Metric::from_json(&json).expect("can be read"), metric);
}
