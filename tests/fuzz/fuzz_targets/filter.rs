#![no_main]

use analytics_domain::metric::{LONGEST, Node, parse_filter, parse_formula};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    fuzz::check(text, check);
    Corpus::Keep
});

fn check(text: &str) {
    let parsed = parse_filter(text);
    assert_eq!(parsed, parse_filter(text));
    match parsed {
        Ok(filter) => {
            fuzz::check_filter(text, &filter);
            // In braces behind a name it says the same.
            let formula = format!("sent{{{text}}}");
            if formula.chars().count() <= LONGEST {
                let Ok(Node::Input(input)) = parse_formula(&formula) else { panic!("not the same in braces") };
                assert_eq!(input.filter, Some(filter));
            }
        }
        Err(error) => fuzz::check_error(text, &error),
    }
}
