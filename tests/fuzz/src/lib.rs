//! What holds of every text that is given to the parsers of formulas and filters.

use analytics_domain::metric::{
    Filter, SyntaxError, check_path,
    filter::{Literal, Test},
};

/// Trees are as deep as texts are long: what is long is checked with the stack of a usual thread, not of the main one.
const STACK: usize = 2 << 20;
const SHORT: usize = 400;

/// Checks a text. A panic ends the process, on whichever thread.
pub fn check(text: &str, check: fn(&str)) {
    if text.len() <= SHORT {
        return check(text);
    }
    let text = text.to_owned();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || check(&text));
    thread.expect("a thread starts").join().expect("the check ends");
}

/// An error says where in the text, and points at it.
pub fn check_error(text: &str, error: &SyntaxError) {
    assert!(!error.code.is_empty() && !error.message.is_empty(), "{error:?}");
    check_place(text, error.at, &error.explain(text));
}

/// An explanation ends with a line of the text and a caret under the place.
pub fn check_place(text: &str, at: usize, explanation: &str) {
    assert!(at <= text.chars().count(), "{at} lies behind the text");
    let mut lines = explanation.rsplit('\n');
    let (caret, excerpt) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let indent = caret.strip_suffix('^').expect("the last line is a caret");
    assert!(indent.chars().all(|character| character == ' '), "{explanation}");
    let there = text.chars().nth(at).map(|character| if character == '\n' { ' ' } else { character });
    assert_eq!(excerpt.chars().nth(indent.len()), there, "the caret is beside its place: {explanation}");
}

/// Every name, path and value of a filter stands in the text, and everything that can be asked of it has an answer.
pub fn check_filter(text: &str, filter: &Filter) {
    check_parts(text, filter);
    let paths = filter.paths();
    assert!(!paths.is_empty() && paths.len() <= filter.size(), "{filter:?}");
    for path in paths {
        assert!(
            check_path(path).is_ok_and(|()| !path.is_empty()) || check_path(path).is_err_and(|why| !why.is_empty())
        );
    }
    let once = filter.clone().and(&Filter::EVERYTHING);
    let twice = filter.clone().and(filter);
    assert_eq!((once.size(), twice.size()), (filter.size(), 2 * filter.size()));
    assert_eq!(once.paths(), filter.paths());
    assert_eq!(twice.paths(), [filter.paths(), filter.paths()].concat());
    for both in [once, twice] {
        assert_eq!(both.reads_text_only(), filter.reads_text_only());
    }
}

fn check_parts(text: &str, filter: &Filter) {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => {
            assert!(parts.len() > 1, "a list of one is written as the one");
            parts.iter().for_each(|part| check_parts(text, part));
        }
        Filter::Not(part) => check_parts(text, part),
        Filter::Test { path, test } => {
            check_path_comes_from(text, path);
            match test {
                Test::In(values) => {
                    assert!(!values.is_empty());
                    values.iter().for_each(|value| check_literal(text, value));
                }
                Test::Compare(_, value) => check_literal(text, value),
                Test::Contains(part) => assert!(comes_from(text, part), "{part:?}"),
                Test::Exists => {}
            }
        }
    }
}

fn check_literal(text: &str, literal: &Literal) {
    match literal {
        Literal::Text(part) => assert!(comes_from(text, part), "{part:?}"),
        Literal::Number(number) | Literal::Amount(number) => {
            assert!(number.as_f64().is_finite());
            assert!(number.compare(*number).is_eq(), "{number:?}");
        }
        Literal::Flag(_) => {}
    }
    let _ = literal.text();
}

/// A path is made of names that stand in the text one after the other.
pub fn check_path_comes_from(text: &str, path: &str) {
    assert!(!path.is_empty());
    assert!(is_subsequence(text, path), "{path:?}");
    assert!(has_escapes(text) || path.split('.').all(|name| text.contains(name)), "{path:?}");
}

/// What was in quotes stands there as it is, unless it held escaped quotes.
pub fn comes_from(text: &str, part: &str) -> bool {
    if has_escapes(text) { is_subsequence(text, part) } else { text.contains(part) }
}

fn has_escapes(text: &str) -> bool {
    ["\\", "\"\"", "''", "``"].iter().any(|escape| text.contains(escape))
}

fn is_subsequence(text: &str, part: &str) -> bool {
    let mut characters = text.chars();
    part.chars().all(|wanted| characters.any(|character| character == wanted))
}
