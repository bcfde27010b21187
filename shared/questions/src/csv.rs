//! Answers as comma-separated values (RFC 4180): a row for each point, or for each series where only totals were asked for.

use analytics_answers::{Answer, Key, Reason};
use analytics_domain::time;

/// The answer as a table that spreadsheets open.
#[must_use]
pub fn csv(answer: &Answer) -> String {
    let is_compared = answer.series.iter().any(|series| series.previous.is_some());
    // Spreadsheets take UTF-8 for what it is only behind this mark.
    let mut text = "\u{feff}time".to_owned();
    for name in &answer.group_by {
        field(&mut text, name);
    }
    text += if is_compared { ",value,reason,previous\r\n" } else { ",value,reason\r\n" };
    for series in &answer.series {
        let mut row = |time: &str, value: Result<f64, Reason>, previous: Option<f64>| {
            text.push_str(time);
            key(&mut text, &series.key, answer.group_by.len());
            text.push(',');
            number(&mut text, value.ok());
            text.push(',');
            text.push_str(value.err().map_or("", Reason::name));
            if is_compared {
                text.push(',');
                number(&mut text, previous);
            }
            text.push_str("\r\n");
        };
        let previous = series.previous.as_ref();
        for (index, point) in series.points.iter().enumerate() {
            let previous = previous.and_then(|previous| previous.points.get(index)?.value.ok());
            row(&time::format(point.time), point.value, previous);
        }
        if series.points.is_empty() {
            row("total", series.total, previous.and_then(|previous| previous.total.ok()));
        }
    }
    text
}

fn key(text: &mut String, key: &Key, dimensions: usize) {
    for dimension in 0..dimensions {
        match key {
            Key::Other => mark(text, OTHER),
            Key::Group(values) => match values.get(dimension) {
                Some(Some(value)) => field(text, value),
                _ => mark(text, NONE),
            },
            Key::All => mark(text, NONE),
        }
    }
}

fn number(text: &mut String, value: Option<f64>) {
    text.push_str(&value.map_or_else(String::new, |value| value.to_string()));
}

/// In the place of a text: that events have none, and all groups that are not shown by themselves.
const NONE: &str = "(none)";
const OTHER: &str = "(other)";

fn mark(text: &mut String, mark: &str) {
    text.push(',');
    text.push_str(mark);
}

/// A comma and a text behind it. An apostrophe stands before what would be taken for something else.
fn field(text: &mut String, value: &str) {
    text.push(',');
    let is_mark = value == NONE || value == OTHER;
    let value = match is_mark || is_formula(value) {
        true => format!("'{value}"),
        false => value.to_owned(),
    };
    // Some spreadsheets part fields at semicolons or tabs.
    if value.contains([',', ';', '"', '\n', '\r', '\t']) {
        text.push('"');
        text.push_str(&value.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(&value);
    }
}

/// Whether a spreadsheet would compute this: <https://owasp.org/www-community/attacks/CSV_Injection>. Numbers and ids made
/// of digits behind a sign are what they are.
fn is_formula(value: &str) -> bool {
    let begins = |character: char| matches!(character, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let is_unseen = |character: char| character.is_whitespace() || character.is_control() || character == '\u{feff}';
    let shown = value.trim_start_matches(is_unseen);
    if !shown.starts_with(begins) {
        return false;
    }
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or_default();
    let is_number =
        unsigned.starts_with(|character: char| character.is_ascii_digit()) && unsigned.parse::<f64>().is_ok();
    !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut text = String::new();
        field(&mut text, value);
        text.split_off(1)
    }

    #[test]
    fn plain_numbers_and_ids_stay_as_they_are() {
        for value in [
            "-1001234567890",
            "+79990001122",
            "-7",
            "+0.5",
            "-1.5e3",
            "+1e999",
            "42",
            "g-7",
            "a=b",
            "限时",
            "'quoted'",
            "",
        ] {
            assert_eq!(written(value), value);
        }
    }

    #[test]
    fn formulas_are_kept_from_being_computed() {
        for value in [
            "=1+1",
            "=HYPERLINK(A1)",
            "+1+1",
            "-1-1",
            "-A1",
            "+",
            "-",
            "@SUM(A1)",
            "+7 999",
            "-0x10",
            "-1e",
            "-.5",
            "+inf",
            "-nan",
            "--1",
            "+-1",
            " =1+1",
            "\u{feff}=1+1",
            "＝1+1",
            "＠x",
        ] {
            let found = written(value);
            assert_eq!(found, format!("'{value}"));
        }
        assert_eq!(written("\t=1+1"), "\"'\t=1+1\"");
        assert_eq!(written("=cmd|'/C calc'!A0,\"x\""), "\"'=cmd|'/C calc'!A0,\"\"x\"\"\"");
        assert_eq!(written("a;=1+1"), "\"a;=1+1\"");
    }

    #[test]
    fn nothing_an_empty_text_and_texts_that_look_like_marks_differ() {
        let mut none = String::new();
        mark(&mut none, NONE);
        assert_eq!((none.as_str(), written("").as_str()), (",(none)", ""));
        assert_eq!((written("(none)").as_str(), written("(other)").as_str()), ("'(none)", "'(other)"));
    }
}
