//! Conditions of searches that the indexes of `events` can tell: where a value, or a text, can be at all.

use analytics_domain::{
    event::canonical_number,
    metric::filter::{Literal, Test},
    number::Number,
    text::fold,
};

use crate::statement::Statement;

/// Adds a condition, and `AND` behind it, that holds wherever the test does, if the indexes know of one.
pub(crate) fn narrow(statement: &mut Statement, test: &Test) {
    match test {
        Test::In(values) => {
            let spellings: Vec<String> = values.iter().flat_map(spellings).collect();
            // Without a word in it, an index does not know where a value is.
            if spellings.is_empty() || !spellings.iter().all(|json| has_word(json)) {
                return;
            }
            for (place, json) in spellings.into_iter().enumerate() {
                statement.push(if place == 0 { "(" } else { " OR " });
                statement.push("hasAllTokens(properties, ").text(json).push(")");
            }
            statement.push(") AND ");
        }
        // Numbers and flags are not among the texts.
        Test::Contains(part) if !is_of_numbers_or_flags(part) => {
            text_holds(statement, part);
            statement.push(" AND ");
        }
        Test::Contains(_) | Test::Compare(..) | Test::Exists => {}
    }
}

/// How a value stands in canonical JSON.
fn spellings(literal: &Literal) -> Vec<String> {
    let text = literal.text().map(|text| serde_json::Value::from(text).to_string());
    let number = literal.number().map(json_of);
    // A text that reads like a number stands for it too.
    let read = match literal {
        Literal::Text(text) => Number::parse(text).filter(|number| number.to_string() == *text),
        _ => None,
    };
    text.into_iter().chain(number).chain(read.map(json_of)).collect()
}

fn json_of(number: Number) -> String {
    match number {
        Number::Integer(integer) => integer.to_string(),
        Number::Double(double) => canonical_number(double),
    }
}

fn has_word(json: &str) -> bool {
    json.bytes().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
}

/// Whether the text of a number or a flag may hold this.
fn is_of_numbers_or_flags(part: &str) -> bool {
    let part = part.to_ascii_lowercase();
    part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e'))
        || "true".contains(&part)
        || "false".contains(&part)
}

/// Whether an event's strings hold a text. Events that were stored before case was folded as Unicode does are in lower case.
pub(crate) fn text_holds(statement: &mut Statement, part: &str) {
    let (folded, lower) = (fold(part), part.to_lowercase());
    if folded == lower {
        statement.push("text LIKE ").text(like(&folded));
    } else {
        statement.push("(text LIKE ").text(like(&folded)).push(" OR text LIKE ").text(like(&lower)).push(")");
    }
}

/// A pattern that matches whatever contains this text.
fn like(text: &str) -> String {
    format!("%{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"))
}
