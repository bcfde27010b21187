//! The conditions of a search as SQL.

use analytics_domain::{
    event::canonical_number,
    search::{Comparison, Condition, Search, Test},
};

use crate::statement::Statement;

/// Adds the conditions of a search, but for account and time.
pub(crate) fn matching(statement: &mut Statement, search: &Search) {
    if !search.event_names.is_empty() {
        statement.push(" AND event_name IN ").texts(&search.event_names);
    }
    if !search.event_types.is_empty() {
        statement.push(" AND event_type IN ").texts(&search.event_types);
    }
    if let Some(event_id) = &search.event_id {
        statement.push(" AND event_id = ").text(event_id);
    }
    if let Some(session_id) = &search.session_id {
        statement.push(" AND session_id = ").text(session_id);
    }
    if let Some(user_id) = &search.user_id {
        statement.push(" AND user_id = ").text(user_id);
    }
    for phrase in &search.phrases {
        statement.push(" AND text LIKE ").text(like(phrase));
    }
    for condition in &search.properties {
        statement.push(" AND ");
        property(statement, condition);
    }
}

/// A pattern that matches whatever contains this text.
fn like(text: &str) -> String {
    format!("%{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"))
}

const TEXT: &str = "`String`";
const INTEGER: &str = "`Int64`";
const LARGE: &str = "`UInt64`";
const DECIMAL: &str = "`Float64`";
const FLAG: &str = "`Bool`";
const TEXTS: &str = "`Array(Nullable(String))`";
const INTEGERS: &str = "`Array(Nullable(Int64))`";

fn property(statement: &mut Statement, Condition { path, test }: &Condition) {
    match test {
        Test::Equals(value) => equals(statement, path, value),
        Test::Differs(value) => {
            statement.push("NOT ");
            equals(statement, path, value);
        }
        Test::Contains(value) => {
            statement.push("(text LIKE ").text(like(value)).push(" AND lowerUTF8(ifNull(");
            statement.property(path, TEXT).push(", '')) LIKE ").text(like(value)).push(")");
        }
        Test::Exists(true) => exists(statement, path),
        Test::Exists(false) => {
            statement.push("NOT ");
            exists(statement, path);
        }
        Test::Compare(comparison, value) => compare(statement, path, *comparison, value),
    }
}

fn exists(statement: &mut Statement, path: &str) {
    statement.push("(dynamicType(props.").identifier(path).push(") != 'None')");
}

fn equals(statement: &mut Statement, path: &str, value: &str) {
    statement.push("((");
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    // The value's words stand in the canonical JSON, as text or as a number: the index knows where.
    words(statement, &serde_json::Value::from(value).to_string());
    if let Some(number) = number {
        statement.push(" OR ");
        words(statement, &canonical_number(number));
    }
    statement.push(") AND (ifNull(").property(path, TEXT).push(" = ").text(value);
    statement.push(", 0) OR has(").property(path, TEXTS).push(", ").text(value).push(")");
    if let Ok(integer) = value.parse::<i64>() {
        statement.push(" OR ifNull(").property(path, INTEGER).push(" = ").integer(integer);
        statement.push(", 0) OR has(").property(path, INTEGERS).push(", ").integer(integer).push(")");
    } else if let Some(number) = number {
        statement.push(" OR ifNull(").property(path, INTEGER).push(" = ").number(number).push(", 0)");
        statement.push(" OR ifNull(").property(path, LARGE).push(" = ").number(number).push(", 0)");
    }
    if let Some(number) = number {
        statement.push(" OR ifNull(").property(path, DECIMAL).push(" = ").number(number).push(", 0)");
    }
    if let Some(flag) = match value {
        "true" => Some("true"),
        "false" => Some("false"),
        _ => None,
    } {
        statement.push(" OR ifNull(").property(path, FLAG).push(" = ").push(flag).push(", 0)");
    }
    statement.push("))");
}

/// Whether all words (runs of letters and digits) of this JSON text stand in the event's properties.
fn words(statement: &mut Statement, json: &str) {
    if json.bytes().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()) {
        statement.push("hasAllTokens(properties, ").text(json).push(")");
    } else {
        statement.push("1");
    }
}

fn compare(statement: &mut Statement, path: &str, comparison: Comparison, value: &str) {
    let operator = match comparison {
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
    };
    statement.push("(");
    match value.parse::<f64>().ok().filter(|number| number.is_finite()) {
        Some(number) => {
            for (place, kind) in [INTEGER, LARGE, DECIMAL].into_iter().enumerate() {
                statement.push(if place == 0 { "ifNull(" } else { " OR ifNull(" });
                statement.property(path, kind).push(operator).number(number).push(", 0)");
            }
        }
        None => {
            statement.push("ifNull(").property(path, TEXT).push(operator).text(value).push(", 0)");
        }
    }
    statement.push(")");
}

#[cfg(test)]
mod tests {
    use analytics_domain::search::Query;

    use super::*;

    #[test]
    fn nothing_that_a_user_says_becomes_part_of_the_statement() {
        let evil = "x' OR 1=1 --`{p0:String}?";
        let name = format!("property.{evil}");
        let operator = format!("property.{evil}[gte]");
        let parameters =
            [("eventName", evil), ("sessionId", evil), ("userId", evil), ("q", evil), (&name, evil), (&operator, evil)];
        let Ok(Query::Accepted(search)) = Query::parse(parameters) else { panic!("is a search") };
        let mut statement = Statement::default();
        matching(&mut statement, &search);
        assert!(!statement.sql().contains("1=1"), "{}", statement.sql());
        assert!(!statement.sql().contains("--"), "{}", statement.sql());
    }
}
