//! Names in formulas: which event or metric each means. Settled once, when a metric is saved, so that events of a new name
//! never change what an old metric says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    builtin,
    definition::{Aggregation, Kind},
    filter::Filter,
    input::Input,
    syntax::{Function, InputNode, Node, Operator},
};
use crate::catalogue;

/// Tests of one filter, values of sets counted.
pub const MOST_TESTS: usize = 200;
/// Properties that together tell objects apart.
const MOST_OBJECT_PATHS: usize = 4;

/// What a name in a formula stands for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Term {
    Events(Input),
    /// Another metric by its id, over the events that meet the filter.
    Metric {
        id: String,
        filter: Filter,
    },
}

/// What an account's formulas can name.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Of each metric its id and its name, built-in ones included.
    pub metrics: Vec<(String, String)>,
    /// Names of events that have come.
    pub events: Vec<String>,
    /// Id of the metric that is being changed: its name means an event of that name rather than itself.
    pub own: Option<String>,
}

/// The meaning of a name in the formula.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// As written.
    pub name: String,
    pub kind: ResolvedKind,
    /// Name of the event, id of the metric.
    pub means: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ResolvedKind {
    Event,
    Metric,
}

/// Why a formula that can be read has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaningless {
    /// Characters before the place, where it is one place.
    pub at: Option<usize>,
    pub code: &'static str,
    pub message: String,
}

impl Meaningless {
    fn new(at: impl Into<Option<usize>>, code: &'static str, message: impl Into<String>) -> Self {
        Self { at: at.into(), code, message: message.into() }
    }
}

/// Finds out what the names in a formula mean.
///
/// # Errors
/// Names the first that means nothing, or several things, or is used as what it is not.
pub fn resolve(
    formula: &Node<InputNode>,
    aggregation: Aggregation,
    filters: &Filter,
    vocabulary: &Vocabulary,
) -> Result<(Node<Term>, Vec<Resolved>), Meaningless> {
    let mut resolved = Vec::new();
    let tree = formula.try_replace(&mut |input: &InputNode| {
        let term = term(input, aggregation, filters, vocabulary)?;
        let entry = match &term {
            Term::Events(events) => Resolved {
                name: input.name.text.clone(),
                kind: ResolvedKind::Event,
                means: events.event_name.clone(),
                aggregation: Some(events.function.name()),
                property: events.property.clone(),
            },
            Term::Metric { id, .. } => Resolved {
                name: input.name.text.clone(),
                kind: ResolvedKind::Metric,
                means: id.clone(),
                aggregation: None,
                property: None,
            },
        };
        if !resolved.contains(&entry) {
            resolved.push(entry);
        }
        Ok(Node::Input(term))
    })?;
    if resolved.is_empty() {
        return Err(Meaningless::new(None, "no_events", "the formula takes nothing from events: name one"));
    }
    Ok((tree, resolved))
}

fn term(
    input: &InputNode,
    aggregation: Aggregation,
    filters: &Filter,
    vocabulary: &Vocabulary,
) -> Result<Term, Meaningless> {
    let at = input.name.at;
    let filter = match &input.filter {
        Some(own) => own.clone().and(filters),
        None => filters.clone(),
    };
    if filter.size() > MOST_TESTS {
        let detail = format!("an input has at most {MOST_TESTS} tests; each value of a list is one");
        return Err(Meaningless::new(at, "too_many", detail));
    }
    if let Some(problem) = check_paths(input, &filter) {
        return Err(Meaningless::new(at, "invalid_name", problem));
    }
    let name = &input.name.text;
    let named = vocabulary.metrics.iter().find(|(id, metric)| id == name || metric == name);
    let is_event = |id: &String| {
        vocabulary.own.as_ref() == Some(id) && event_name(name, input.name.quoted, at, vocabulary).is_ok()
    };
    if let Some((id, _)) = named.filter(|(id, _)| !is_event(id)) {
        if input.function.is_some() || input.property.is_some() {
            let message = format!("`{name}` is a metric: it stands by its name alone, without function or property");
            return Err(Meaningless::new(at, "metric_misused", message));
        }
        return Ok(Term::Metric { id: id.clone(), filter });
    }
    let event_name = event_name(name, input.name.quoted, at, vocabulary)?;
    let function = match (input.function, &input.property) {
        (Some(function), _) => function,
        (None, Some(_)) => aggregation.0,
        (None, None) => Function::Count,
    };
    if input.property.is_none() && function != Function::Count {
        let call = Input::call(function, &format!("{name}.property"));
        let message = format!("{} needs a property: {call}", function.name());
        return Err(Meaningless::new(at, "property_needed", message));
    }
    let is_of_objects = matches!(function, Function::First | Function::Last | Function::Gain | Function::MeanLast);
    if !input.by.is_empty() && !is_of_objects && function != Function::Unique {
        let message = "only unique, first, last and gain tell objects apart: leave out `by`";
        return Err(Meaningless::new(at, "unexpected_by", message));
    }
    if input.by.len() + input.within.len() > MOST_OBJECT_PATHS {
        let message = format!("{MOST_OBJECT_PATHS} properties at most tell objects apart");
        return Err(Meaningless::new(at, "too_many", message));
    }
    let own = if is_of_objects && input.by.is_empty() { builtin::objects(&event_name) } else { input.by.clone() };
    // In whatever order they were written, they tell the same objects apart.
    let in_order = |mut paths: Vec<String>| {
        paths.sort_unstable();
        paths.dedup();
        paths
    };
    let within = in_order(input.within.clone());
    let objects = in_order([own, within.clone()].concat());
    // How many events have the property at all.
    let (property, filter) = match (function, input.property.clone()) {
        (Function::Count, Some(path)) => (None, filter.and(&Filter::Test { path, test: super::filter::Test::Exists })),
        (_, property) => (property, filter),
    };
    Ok(Term::Events(Input { event_name, function, property, objects, within, filter }))
}

/// What is wrong with the names of properties.
fn check_paths(input: &InputNode, filter: &Filter) -> Option<String> {
    let own = input.property.iter().chain(&input.by).chain(&input.within).map(String::as_str);
    own.chain(filter.paths()).find_map(|path| super::path::check_path(path).err())
}

/// The event that a name means.
fn event_name(name: &str, quoted: bool, at: usize, vocabulary: &Vocabulary) -> Result<String, Meaningless> {
    let known = || {
        let catalogue = catalogue::EVENTS.iter().map(|known| known.name);
        catalogue.chain(vocabulary.events.iter().map(String::as_str))
    };
    // In quotes, a name is meant as it stands, whether or not such an event has come yet.
    if quoted || known().any(|event| event == name) {
        return Ok(name.to_owned());
    }
    let ending = format!("_{name}");
    let mut endings: Vec<&str> = known().filter(|event| event.ends_with(&ending)).collect();
    endings.sort_unstable();
    endings.dedup();
    match endings.as_slice() {
        [event] => return Ok((*event).to_owned()),
        [] => {}
        several => {
            let message = format!("`{name}` may mean {}: write which", several.join(" or "));
            return Err(Meaningless::new(at, "ambiguous_name", message));
        }
    }
    let metrics = vocabulary.metrics.iter().map(|(id, _)| id.as_str());
    let nearest = nearest(name, known().chain(metrics));
    let suggestion = match nearest.as_slice() {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(" or ")),
    };
    let message = format!(
        "no event or metric is called `{name}`{suggestion} (an event that has yet to come goes in quotes: \"{name}\")"
    );
    Err(Meaningless::new(at, "unknown_name", message))
}

/// The names most like this one, up to three.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let likeness = |other: &str| {
        let short = other.split_once('_').map_or(other, |(_, end)| end);
        strsim::jaro_winkler(name, other).max(strsim::jaro_winkler(name, short))
    };
    let mut near: Vec<(f64, &str)> =
        names.map(|other| (likeness(other), other)).filter(|(likeness, _)| *likeness > 0.8).collect();
    near.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    near.dedup_by_key(|(_, name)| *name);
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Whether a formula, its metrics already put in, keeps to the rules of its kind.
///
/// # Errors
/// Says which rule it breaks.
pub fn check_kind(formula: &Node<Input>, kind: Kind) -> Result<(), Meaningless> {
    match kind {
        Kind::Counter if !adds_up(formula) => Err(Meaningless::new(
            None,
            "not_additive",
            "a counter adds up over time: its formula holds counts and sums only, added, subtracted, or multiplied by \
             constants; use type gauge for ratios, averages and the like",
        )),
        Kind::Histogram => match formula {
            Node::Input(Input {
                function:
                    Function::Average
                    | Function::Smallest
                    | Function::Largest
                    | Function::First
                    | Function::Last
                    | Function::Percentile(_),
                ..
            }) => Ok(()),
            _ => Err(Meaningless::new(
                None,
                "not_a_distribution",
                "a histogram is one property of one event, as in p95(message_sent.latencyMs); use type gauge for others",
            )),
        },
        _ => Ok(()),
    }
}

fn adds_up(node: &Node<Input>) -> bool {
    match node {
        Node::Number(_) => false,
        Node::Input(input) => matches!(input.function, Function::Count | Function::Sum),
        Node::Negate(node) => adds_up(node),
        Node::Binary(Operator::Add | Operator::Subtract, left, right) => adds_up(left) && adds_up(right),
        Node::Binary(Operator::Multiply, left, right) => {
            (left.constant().is_some() && adds_up(right)) || (adds_up(left) && right.constant().is_some())
        }
        Node::Binary(Operator::Divide, left, right) => adds_up(left) && right.constant().is_some(),
    }
}

impl Meaningless {
    /// As a problem of the field that holds the formula.
    #[must_use]
    pub fn into_problem(self, pointer: &str, formula: &str) -> super::definition::Problem {
        let detail = match self.at {
            Some(at) => super::syntax::SyntaxError { at, code: self.code, message: self.message }.explain(formula),
            None => self.message,
        };
        super::definition::Problem::new(pointer, self.code, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parser::parse_formula, *};

    fn resolved(formula: &str, events: &[&str]) -> Result<(Node<Term>, Vec<Resolved>), Meaningless> {
        let events = events.iter().map(|name| (*name).to_owned()).collect();
        let metrics = vec![("delivery_rate".to_owned(), "Delivery rate".to_owned())];
        let formula = parse_formula(formula).expect("can be read");
        resolve(
            &formula,
            Aggregation(Function::Average),
            &Filter::EVERYTHING,
            &Vocabulary { metrics, events, own: None },
        )
    }

    fn means(formula: &str, events: &[&str]) -> Vec<String> {
        resolved(formula, events).expect("has a meaning").1.into_iter().map(|entry| entry.means).collect()
    }

    #[test]
    fn short_names_mean_the_event_that_ends_with_them() {
        assert_eq!(means("(delivered / sent) * 100", &[]), ["message_delivered", "message_sent"]);
        assert_eq!(means("sent", &["sent"]), ["sent"], "an event of the very name comes first");
        assert_eq!(means("\"Delivery rate\" + delivery_rate", &[]), ["delivery_rate", "delivery_rate"]);
        assert_eq!(means("\"webinar attended\"", &[]), ["webinar attended"]);
        assert_eq!(means("\"sent\"", &[]), ["sent"], "in quotes a name is meant as it stands");
    }

    #[test]
    fn several_meanings_are_refused_and_named() {
        let error = resolved("sent", &["sms_sent"]).expect_err("refused");
        assert_eq!(error.code, "ambiguous_name");
        assert!(error.message.contains("message_sent or sms_sent"), "{}", error.message);
    }

    #[test]
    fn the_nearest_names_are_suggested() {
        let error = resolved("delivred / sent", &[]).expect_err("refused");
        assert_eq!((error.code, error.at), ("unknown_name", Some(0)));
        assert!(error.message.contains("did you mean message_delivered"), "{}", error.message);
        assert_eq!(resolved("xyzzy", &[]).expect_err("refused").code, "unknown_name");
    }

    #[test]
    fn kinds_have_their_rules() {
        let check = |formula: &str, kind| {
            let (tree, _) = resolved(formula, &[]).expect("has a meaning");
            let tree = tree
                .try_replace(&mut |term| match term {
                    Term::Events(input) => Ok::<_, ()>(Node::Input(input.clone())),
                    Term::Metric { .. } => Err(()),
                })
                .expect("holds events only");
            check_kind(&tree, kind).map_err(|error| error.code)
        };
        assert_eq!(check("2 * (sent - failed) / 3 + sum(message_sent.latencyMs)", Kind::Counter), Ok(()));
        for formula in ["sent / failed", "sent + 1", "max(message_sent.latencyMs)", "unique(message_sent.senderId)"] {
            assert_eq!(check(formula, Kind::Counter), Err("not_additive"), "{formula}");
        }
        assert_eq!(check("p50(message_sent.latencyMs)", Kind::Histogram), Ok(()));
        assert_eq!(check("2 * p50(message_sent.latencyMs)", Kind::Histogram), Err("not_a_distribution"));
    }

    #[test]
    fn samples_are_told_apart_by_their_object() {
        let objects = |formula: &str| match resolved(formula, &[]).expect("has a meaning").0 {
            Node::Input(Term::Events(input)) => input.objects,
            other => panic!("{other:?}"),
        };
        assert_eq!(objects("last(post_stats_sampled.views)"), ["groupId", "postId"]);
        assert_eq!(objects("last(post_stats_sampled.views by postId)"), ["postId"]);
        assert_eq!(objects("last(post_stats_sampled.views by postId, groupId, postId)"), ["groupId", "postId"]);
        assert_eq!(objects("first(message_sent.left{open} by a.b,`c d`)"), ["a.b", "c d"]);
        assert_eq!(objects("last(message_sent.latencyMs)"), [""; 0]);
        let refused = |formula: &str| match parse_formula(formula) {
            Err(error) => error.code,
            Ok(_) => resolved(formula, &[]).expect_err("refused").code,
        };
        assert_eq!(refused("last(message_sent.latencyMs by a, b, c, d, e)"), "too_many");
        assert_eq!(refused("last(message_sent.latencyMs by a,)"), "syntax");
        assert_eq!(refused("last(message_sent.latencyMs by a b)"), "syntax");
        assert_eq!(refused("sum(message_sent.latencyMs by a, b)"), "unexpected_by");
        assert_eq!(refused("last(message_sent.latencyMs by a, $b)"), "invalid_name");
    }
}
