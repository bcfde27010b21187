//! Filters, and the texts and numbers that they look at, as SQL: over the events, and over the keys of rollups. It means the same
//! as `analytics_domain::metric::meets` in memory.

use analytics_domain::{
    event::{element, element_prefix},
    metric::{
        Aliases, FIELDS, GROUP,
        filter::{Comparison, Filter, Literal, Test},
        property_of,
    },
    number::Number,
    text::{DOTTED_I, fold},
};

use crate::{search_index, statement::Statement};

/// Where a property's text is found.
#[derive(Clone, Copy)]
pub(crate) enum Source<'s> {
    /// In the columns of `events`.
    Events,
    /// The same; few events meet the conditions, and the indexes know where they are.
    Indexed,
    /// In the array `stored`, which holds the values of these dimensions.
    Key(&'s [String]),
}

/// The text of a property, or NULL: lists and objects have none.
pub(crate) fn text(statement: &mut Statement, source: Source<'_>, path: &str) {
    match (source, path) {
        (Source::Key(dimensions), _) => {
            let place = dimensions.iter().position(|dimension| dimension == path).map_or(0, |place| place + 1);
            statement.push("stored[").integer(i64::try_from(place).unwrap_or(0)).push("]");
        }
        (_, "$userId") => drop(statement.push("nullIf(user_id, '')")),
        (_, "$sessionId") => drop(statement.push("nullIf(session_id, '')")),
        (_, "$locale") => drop(statement.push("nullIf(toString(locale), '')")),
        (_, "$eventType") => drop(statement.push("nullIf(toString(event_type), '')")),
        (_, path) => {
            let property = property_of(path);
            statement.push("if(dynamicType(").dynamic(property);
            statement.push(") IN ('String', 'Int64', 'UInt64', 'Float64', 'Bool'), CAST(").dynamic(property);
            statement.push(", 'Nullable(String)'), NULL)");
        }
    }
}

/// The text of a property; of a group the id that stands for it.
pub(crate) fn group_text(statement: &mut Statement, source: Source<'_>, path: &str, aliases: &Aliases) {
    if path != GROUP || aliases.is_empty() {
        return text(statement, source, path);
    }
    let (old, new): (Vec<&str>, Vec<&str>) = aliases.changed().unzip();
    statement.push("transform(");
    text(statement, source, path);
    for texts in [old, new] {
        statement.push(", CAST(").texts(texts).push(", 'Array(Nullable(String))')");
    }
    statement.push(")");
}

/// The text of a property for the key of a rollup. A list has `\0[]`: one text cannot stand for all elements, so a series with
/// such a key is not kept.
pub(super) fn key_text(statement: &mut Statement, path: &str) {
    if FIELDS.contains(&path) {
        return text(statement, Source::Events, path);
    }
    statement.push("if(startsWith(dynamicType(").dynamic(property_of(path)).push("), 'Array'), '\\0[]', ");
    text(statement, Source::Events, path);
    statement.push(")");
}

/// The number that a property of an event is, or NULL.
pub(super) fn number(statement: &mut Statement, path: &str) {
    let path = property_of(path);
    statement.push("coalesce(toFloat64(").property(path, "`Int64`");
    statement.push("), ").property(path, "`Float64`");
    statement.push(", toFloat64(").property(path, "`UInt64`").push("))");
}

/// The condition as an expression that is never NULL.
pub(crate) fn condition(statement: &mut Statement, source: Source<'_>, filter: &Filter) {
    match filter {
        Filter::All(parts) => all(statement, source, parts, " AND ", "1"),
        Filter::Any(parts) => all(statement, source, parts, " OR ", "0"),
        Filter::Not(part) => {
            statement.push("NOT ");
            condition(statement, source, part);
        }
        Filter::Test { path, test } => {
            statement.push("(");
            if FIELDS.contains(&path.as_str()) || matches!(source, Source::Key(_)) {
                text_test(statement, source, path, test);
            } else {
                if matches!(source, Source::Indexed) {
                    search_index::narrow(statement, test);
                }
                statement.push("(");
                property_test(statement, path, test);
                statement.push(")");
            }
            statement.push(")");
        }
    }
}

fn all(statement: &mut Statement, source: Source<'_>, parts: &[Filter], between: &'static str, none: &'static str) {
    statement.push("(");
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            statement.push(between);
        }
        condition(statement, source, part);
    }
    if parts.is_empty() {
        statement.push(none);
    }
    statement.push(")");
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
    }
}

/// A test of what has a text only: a field of the event, or a part of a rollup's key.
fn text_test(statement: &mut Statement, source: Source<'_>, path: &str, test: &Test) {
    match test {
        Test::In(values) => {
            let texts: Vec<String> = values.iter().filter_map(Literal::text).collect();
            statement.push("ifNull(has(").texts(&texts).push(", ");
            text(statement, source, path);
            statement.push("), 0)");
        }
        Test::Compare(comparison, value) => match (value.number(), value.text()) {
            (None, Some(value)) => {
                statement.push("ifNull(");
                text(statement, source, path);
                statement.push(operator(*comparison)).text(value).push(", 0)");
            }
            _ => drop(statement.push("0")),
        },
        Test::Contains(part) => {
            holds(statement, part, |statement| text(statement, source, path));
        }
        Test::Exists => {
            text(statement, source, path);
            statement.push(" IS NOT NULL");
        }
    }
}

/// Whether a text contains another text, whatever the case of both. NULL is no text and contains nothing, not even the empty text.
fn holds(statement: &mut Statement, part: &str, text: impl FnOnce(&mut Statement)) {
    statement.push("ifNull(position(replaceAll(caseFoldUTF8(");
    text(statement);
    statement.push("), ").text(DOTTED_I).push(", 'i'), ").text(fold(part)).push(") > 0, 0)");
}

/// A test of a property: of its value, or of an element of the list that it is.
fn property_test(statement: &mut Statement, path: &str, test: &Test) {
    let property = property_of(path);
    match test {
        Test::In(values) => is_one_of(statement, path, values),
        Test::Compare(comparison, value) => match (value.number(), value.text()) {
            (Some(wanted), _) => {
                for kind in ["`Int64`", "`UInt64`", "`Float64`"] {
                    statement.push("ifNull(").property(property, kind).push(operator(*comparison)).exactly(wanted);
                    statement.push(", 0) OR ");
                }
                let start = format!("{}n", element_prefix(property));
                of_elements(statement, start, 0, |statement, rest| {
                    for (place, kind) in
                        ["toInt64OrNull(", "toUInt64OrNull(", "toFloat64OrNull("].into_iter().enumerate()
                    {
                        statement.push(if place == 0 { "coalesce(" } else { ", " }).push(kind);
                        rest(statement);
                        statement.push(")").push(operator(*comparison)).exactly(wanted);
                    }
                    statement.push(", 0)");
                });
            }
            (None, wanted) => {
                let wanted = wanted.unwrap_or_default();
                statement.push("ifNull(");
                text(statement, Source::Events, path);
                statement.push(operator(*comparison)).text(wanted.clone()).push(", 0) OR ");
                of_elements(statement, element_prefix(property), 1, |statement, rest| {
                    rest(statement);
                    statement.push(operator(*comparison)).text(wanted);
                });
            }
        },
        Test::Contains(part) => {
            holds(statement, part, |statement| text(statement, Source::Events, path));
            statement.push(" OR ");
            of_elements(statement, element_prefix(property), 1, |statement, rest| holds(statement, part, rest));
        }
        Test::Exists => {
            statement.push("dynamicType(").dynamic(property).push(") != 'None' OR has(objects, ");
            statement.text(property).push(")");
        }
    }
}

fn is_one_of(statement: &mut Statement, path: &str, values: &[Literal]) {
    let property = property_of(path);
    let texts: Vec<String> = values.iter().filter_map(Literal::text).collect();
    statement.push("ifNull(has(").texts(&texts).push(", ");
    text(statement, Source::Events, path);
    statement.push("), 0)");
    // The text of a number that is an integer tells it.
    let needs_value = |value: &&Literal| !matches!(value, Literal::Number(Number::Integer(_)));
    for number in values.iter().filter(needs_value).filter_map(Literal::number) {
        for kind in ["`Int64`", "`UInt64`", "`Float64`"] {
            statement.push(" OR ifNull(").property(property, kind).push(" = ").exactly(number).push(", 0)");
        }
    }
    let mut found: Vec<String> = Vec::new();
    for value in values {
        if let Some(text) = value.text() {
            found.push(element(property, 't', &text));
            if Number::parse(&text).is_some_and(|number| number.to_string() == text) {
                found.push(element(property, 'n', &text));
            }
            if matches!(&*text, "true" | "false") {
                found.push(element(property, 'b', &text));
            }
        }
        found.extend(value.number().map(|number| element(property, 'n', &number.to_string())));
    }
    statement.push(" OR hasAny(elements, ").texts(&found).push(")");
}

/// Whether a condition holds for what is left of an element of a list behind `start`, which elements of the list start with, and
/// behind `skipped` more characters.
fn of_elements(
    statement: &mut Statement,
    start: String,
    skipped: usize,
    condition: impl FnOnce(&mut Statement, &dyn Fn(&mut Statement)),
) {
    let from = i64::try_from(start.len() + skipped + 1).unwrap_or(0);
    statement.push("arrayExists(one -> startsWith(one, ").text(start).push(") AND ");
    condition(statement, &|statement| {
        statement.push("substring(one, ").integer(from).push(")");
    });
    statement.push(", elements)");
}
