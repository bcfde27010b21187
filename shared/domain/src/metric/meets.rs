//! Filters evaluated in memory: what live streams show. The event store's SQL means the same.

use std::borrow::Cow;

use super::{
    FIELDS,
    filter::{Filter, Literal, Test},
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

/// Whether an event meets a filter.
#[must_use]
pub fn meets(event: &impl Filtered, filter: &Filter) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(|part| meets(event, part)),
        Filter::Any(parts) => parts.iter().any(|part| meets(event, part)),
        Filter::Not(part) => !meets(event, part),
        Filter::Test { path, test } if FIELDS.contains(&path.as_str()) => {
            let text = event.field(path);
            !text.is_empty()
                && (*test == Test::Exists || passes(Value { text: Cow::Borrowed(text), number: None }, test))
        }
        Filter::Test { path, test } => {
            let (properties, path) = (event.properties(), property_of(path));
            let leaf = properties.leaf(path);
            match (test, leaf) {
                (Test::Exists, leaf) => leaf.is_some() || properties.has_object(path),
                (_, Some(Tree::List(items))) => items.iter().filter_map(value).any(|value| passes(value, test)),
                (_, leaf) => leaf.and_then(value).is_some_and(|value| passes(value, test)),
            }
        }
    }
}

struct Value<'v> {
    text: Cow<'v, str>,
    number: Option<Number>,
}

fn value(tree: &Tree) -> Option<Value<'_>> {
    let number = match tree {
        Tree::Number(number) => Some(*number),
        _ => None,
    };
    Some(Value { text: tree.text()?, number })
}

fn passes(value: Value<'_>, test: &Test) -> bool {
    let is = |literal: &Literal| {
        let is_number = |wanted: Number| value.number.is_some_and(|number| number.compare(wanted).is_eq());
        literal.text().is_some_and(|text| text == value.text) || literal.number().is_some_and(is_number)
    };
    match test {
        Test::In(literals) => literals.iter().any(is),
        Test::Compare(comparison, literal) => {
            let order = match (literal.number(), literal.text()) {
                (Some(wanted), _) => value.number.map(|number| number.compare(wanted)),
                (None, text) => text.map(|text| value.text.as_bytes().cmp(text.as_bytes())),
            };
            order.is_some_and(|order| comparison.holds(order))
        }
        Test::Contains(part) => fold(&value.text).contains(&*fold(part)),
        Test::Exists => true,
    }
}
