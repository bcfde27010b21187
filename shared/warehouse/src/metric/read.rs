//! How properties and conditions are read, from the events and from the keys of rollups.

use analytics_domain::metric::filter::{Comparison, Filter, Literal, Test};

use crate::statement::Statement;

/// Where a property's text is found.
#[derive(Clone, Copy)]
pub(super) enum Source<'s> {
    /// In the columns of `events`.
    Events,
    /// In the array `stored`, which holds the values of these dimensions.
    Key(&'s [String]),
}

/// The text of a property, or NULL.
pub(super) fn text(statement: &mut Statement, source: Source<'_>, path: &str) {
    match (source, path) {
        (Source::Key(dimensions), _) => {
            let place = dimensions.iter().position(|dimension| dimension == path).map_or(0, |place| place + 1);
            statement.push("stored[").integer(i64::try_from(place).unwrap_or(0)).push("]");
        }
        (Source::Events, "$userId") => drop(statement.push("nullIf(user_id, '')")),
        (Source::Events, "$sessionId") => drop(statement.push("nullIf(session_id, '')")),
        (Source::Events, "$locale") => drop(statement.push("nullIf(toString(locale), '')")),
        (Source::Events, "$eventType") => drop(statement.push("nullIf(toString(event_type), '')")),
        (Source::Events, _) => {
            statement.push("if(startsWith(dynamicType(props.").identifier(path);
            statement.push("), 'Array'), NULL, CAST(props.").identifier(path).push(", 'Nullable(String)'))");
        }
    }
}

/// The number that a property of an event is, or NULL.
pub(super) fn number(statement: &mut Statement, path: &str) {
    statement.push("coalesce(toFloat64(").property(path, "`Int64`");
    statement.push("), ").property(path, "`Float64`");
    statement.push(", toFloat64(").property(path, "`UInt64`").push("))");
}

/// The condition as an expression that is never NULL.
pub(super) fn condition(statement: &mut Statement, source: Source<'_>, filter: &Filter) {
    match filter {
        Filter::All(parts) => all(statement, source, parts, " AND ", "1"),
        Filter::Any(parts) => all(statement, source, parts, " OR ", "0"),
        Filter::Not(part) => {
            statement.push("NOT ");
            condition(statement, source, part);
        }
        Filter::Test { path, test } => {
            statement.push("(");
            self::test(statement, source, path, test);
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

fn test(statement: &mut Statement, source: Source<'_>, path: &str, test: &Test) {
    match test {
        Test::In(values) => {
            let texts: Vec<String> = values.iter().map(Literal::text).collect();
            statement.push("ifNull(has(").texts(&texts).push(", ");
            text(statement, source, path);
            statement.push("), 0)");
            for value in values {
                if let (Literal::Number(value), Source::Events) = (value, source)
                    && !path.starts_with('$')
                {
                    statement.push(" OR ifNull(");
                    number(statement, path);
                    statement.push(" = ").number(*value).push(", 0)");
                }
            }
        }
        Test::Compare(comparison, value) => {
            statement.push("ifNull(");
            match value {
                Literal::Number(_) if path.starts_with('$') => drop(statement.push("NULL")),
                Literal::Number(_) => number(statement, path),
                Literal::Text(_) | Literal::Flag(_) => text(statement, source, path),
            }
            statement.push(match comparison {
                Comparison::Less => " < ",
                Comparison::LessOrEqual => " <= ",
                Comparison::Greater => " > ",
                Comparison::GreaterOrEqual => " >= ",
            });
            match value {
                Literal::Number(value) => statement.number(*value),
                other => statement.text(other.text()),
            };
            statement.push(", 0)");
        }
        Test::Contains(part) => {
            statement.push("positionUTF8(lowerUTF8(ifNull(");
            text(statement, source, path);
            statement.push(", '')), ").text(part.to_lowercase()).push(") > 0");
        }
        Test::Exists if path.starts_with('$') => {
            text(statement, source, path);
            statement.push(" IS NOT NULL");
        }
        Test::Exists => {
            statement.push("dynamicType(props.").identifier(path).push(") != 'None'");
        }
    }
}
