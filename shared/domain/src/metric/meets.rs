//! Filters evaluated in memory: what live streams show. The event store's SQL means the same.

use std::{borrow::Cow, cell::OnceCell};

use memchr::memmem::Finder;

use super::{
    FIELDS,
    filter::{Comparison, Filter, Literal, Test},
    path::property_of,
};
use crate::{event::Tree, number::Number, text::fold};

/// An event as filters look at it.
pub trait Filtered {
    /// One of the event's [own fields](FIELDS); empty where it has none.
    fn field(&self, name: &str) -> &str;
    /// The event's properties, an object.
    fn properties(&self) -> &Tree;
}

/// Whether an event meets a filter. To evaluate a filter for many events, use [`Filter::judge`].
#[must_use]
pub fn meets(event: &impl Filtered, filter: &Filter) -> bool {
    filter.judge()(event)
}

impl Filter {
    /// The filter, ready to be evaluated for many events. Each text in the filter is folded once. Of an event, each path is
    /// looked up once and each value is folded once, however many tests read them.
    pub fn judge(&self) -> impl Fn(&dyn Filtered) -> bool + Send + Sync + use<> {
        let mut paths = Vec::new();
        let judge = Judge::new(self, &mut paths);
        move |event: &dyn Filtered| judge.holds(&Facts::new(event, &paths))
    }
}

/// A filter whose tests name their paths by index.
enum Judge {
    All(Vec<Judge>),
    Any(Vec<Judge>),
    Not(Box<Judge>),
    Exists(usize),
    /// One of the values at a path passes.
    Has(usize, Check),
}

impl Judge {
    fn new(filter: &Filter, paths: &mut Vec<Path>) -> Self {
        match filter {
            Filter::All(parts) => Self::All(parts.iter().map(|part| Self::new(part, paths)).collect()),
            Filter::Any(parts) => Self::Any(parts.iter().map(|part| Self::new(part, paths)).collect()),
            Filter::Not(part) => Self::Not(Box::new(Self::new(part, paths))),
            Filter::Test { path, test } => {
                let path = Path::new(path);
                let index = paths.iter().position(|known| *known == path).unwrap_or(paths.len());
                if index == paths.len() {
                    paths.push(path);
                }
                Check::new(test).map_or(Self::Exists(index), |check| Self::Has(index, check))
            }
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(part) => !part.holds(facts),
            Self::Exists(path) => facts.at(*path).is_there,
            Self::Has(path, check) => facts.at(*path).values.iter().any(|value| check.passes(value)),
        }
    }
}

/// A test of a value.
enum Check {
    In {
        texts: Vec<String>,
        numbers: Vec<Number>,
    },
    CompareNumber(Comparison, Number),
    CompareText(Comparison, String),
    /// Finds a folded text in folded texts.
    Contains(Box<Finder<'static>>),
}

impl Check {
    /// None of the test whether there is a value at all.
    fn new(test: &Test) -> Option<Self> {
        Some(match test {
            Test::In(literals) => Self::In {
                texts: literals.iter().filter_map(Literal::text).collect(),
                numbers: literals.iter().filter_map(Literal::number).collect(),
            },
            Test::Compare(comparison, literal) => match literal.number() {
                Some(number) => Self::CompareNumber(*comparison, number),
                None => Self::CompareText(*comparison, literal.text()?),
            },
            Test::Contains(part) => Self::Contains(Box::new(Finder::new(&*fold(part)).into_owned())),
            Test::Exists => return None,
        })
    }

    fn passes(&self, value: &Value<'_>) -> bool {
        match self {
            Self::In { texts, numbers } => {
                let is = |number: Number| numbers.iter().any(|wanted| number.compare(*wanted).is_eq());
                texts.iter().any(|text| *text == value.text) || value.number.is_some_and(is)
            }
            Self::CompareNumber(comparison, wanted) => {
                value.number.is_some_and(|number| comparison.holds(number.compare(*wanted)))
            }
            Self::CompareText(comparison, wanted) => comparison.holds(value.text.as_bytes().cmp(wanted.as_bytes())),
            Self::Contains(part) => part.find(value.folded().as_bytes()).is_some(),
        }
    }
}

/// What a test reads.
#[derive(PartialEq)]
enum Path {
    Field(String),
    Property(String),
}

impl Path {
    fn new(path: &str) -> Self {
        if FIELDS.contains(&path) { Self::Field(path.to_owned()) } else { Self::Property(property_of(path).to_owned()) }
    }
}

/// What an event has at the paths of a filter, each looked up when it is first read.
struct Facts<'e> {
    event: &'e dyn Filtered,
    paths: &'e [Path],
    found: Vec<OnceCell<Found<'e>>>,
}

impl<'e> Facts<'e> {
    fn new(event: &'e dyn Filtered, paths: &'e [Path]) -> Self {
        Self { event, paths, found: paths.iter().map(|_| OnceCell::new()).collect() }
    }

    fn at(&self, path: usize) -> &Found<'e> {
        self.found[path].get_or_init(|| Found::new(self.event, &self.paths[path]))
    }
}

/// What an event has at a path.
struct Found<'e> {
    is_there: bool,
    /// Several of a list; none of an object.
    values: Vec<Value<'e>>,
}

impl<'e> Found<'e> {
    fn new(event: &'e dyn Filtered, path: &Path) -> Self {
        match path {
            Path::Field(name) => {
                let text = Some(event.field(name)).filter(|text| !text.is_empty());
                let values = text.map(|text| Value::new(Cow::Borrowed(text), None)).into_iter().collect();
                Self { is_there: text.is_some(), values }
            }
            Path::Property(name) => {
                let properties = event.properties();
                let leaf = properties.leaf(name);
                let values = match leaf {
                    Some(Tree::List(items)) => items.iter().filter_map(Value::of).collect(),
                    leaf => leaf.and_then(Value::of).into_iter().collect(),
                };
                Self { is_there: leaf.is_some() || properties.has_object(name), values }
            }
        }
    }
}

struct Value<'e> {
    text: Cow<'e, str>,
    number: Option<Number>,
    folded: OnceCell<String>,
}

impl<'e> Value<'e> {
    const fn new(text: Cow<'e, str>, number: Option<Number>) -> Self {
        Self { text, number, folded: OnceCell::new() }
    }

    fn of(tree: &'e Tree) -> Option<Self> {
        let number = match tree {
            Tree::Number(number) => Some(*number),
            _ => None,
        };
        Some(Self::new(tree.text()?, number))
    }

    fn folded(&self) -> &str {
        self.folded.get_or_init(|| fold(&self.text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::metric::parse_filter;

    /// Counts how often it is looked at.
    struct Event {
        properties: Tree,
        looks: Cell<usize>,
    }

    impl Filtered for Event {
        fn field(&self, _: &str) -> &str {
            ""
        }

        fn properties(&self) -> &Tree {
            self.looks.set(self.looks.get() + 1);
            &self.properties
        }
    }

    fn event(properties: &str) -> Event {
        Event { properties: Tree::object(properties), looks: Cell::new(0) }
    }

    #[test]
    fn a_property_is_read_once_however_many_tests_it_takes() {
        let tests: Vec<String> = (0..100).map(|number| format!("a contains \"x{number}\"")).collect();
        let filter = parse_filter(&tests.join(" or ")).expect("is a filter");
        let event = event(r#"{"a": "СКИДКА"}"#);
        assert!(!meets(&event, &filter));
        assert_eq!(event.looks.get(), 1);
    }

    #[test]
    fn one_filter_judges_many_events() {
        let text = "(a contains \"straße\" or a in (7, \"y\")) and not (b exists) and a != \"STRASSEN\"";
        let judge = parse_filter(text).expect("is a filter").judge();
        for (properties, holds) in [
            (r#"{"a": "Hauptstrasse"}"#, true),
            (r#"{"a": ["x", "Y", "y"]}"#, true),
            (r#"{"a": 7.0}"#, true),
            (r#"{"a": "7"}"#, true),
            (r#"{"a": "STRASSEN"}"#, false),
            (r#"{"a": "strasse", "b": {}}"#, false),
            (r#"{"a": {"c": "strasse"}}"#, false),
        ] {
            assert_eq!(judge(&event(properties)), holds, "{properties}");
        }
    }
}
