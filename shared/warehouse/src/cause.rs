//! What logs and dead letters may say of ClickHouse's errors. Its own words quote the statement and the values in it, which
//! are the accounts' data; a code and its name tell as much to whoever looks into a failure.

use clickhouse::error::Error;

/// The code of an error that ClickHouse answers: `Code: 43. DB::Exception: … (ILLEGAL_TYPE_OF_ARGUMENT) (version …)`.
pub(crate) fn code(answer: &str) -> Option<u32> {
    answer.strip_prefix("Code: ")?.split('.').next()?.parse().ok()
}

/// `code 43 ILLEGAL_TYPE_OF_ARGUMENT`.
pub(crate) fn of_answer(answer: &str) -> String {
    match (code(answer), name(answer)) {
        (Some(code), Some(name)) => format!("code {code} {name}"),
        (Some(code), None) => format!("code {code}"),
        (None, _) => "an answer that is no error of ClickHouse".to_owned(),
    }
}

/// The name that ClickHouse writes behind its words, before its version. Whatever the words quote stands before it.
fn name(answer: &str) -> Option<&str> {
    let (words, _) = answer.rsplit_once(" (version ")?;
    let name = words.strip_suffix(')')?.rsplit_once('(')?.1;
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.len() <= 80 && name.bytes().all(is_name)).then_some(name)
}

/// What went wrong on this side, or between the two.
pub(crate) fn of_failure(error: &Error) -> String {
    match error {
        // None of these errors knows what was to be sent.
        Error::Network(cause) => format!("network error: {}", analytics_platform::causes(&**cause)),
        Error::TimedOut => "no answer in time".to_owned(),
        Error::BadResponse(answer) => of_answer(answer),
        Error::Compression(_) | Error::Decompression(_) => "what was sent or came could not be compressed".to_owned(),
        Error::SchemaMismatch(_) | Error::InvalidColumnsHeader(_) | Error::NotEnoughData => {
            "the columns are not those of the table".to_owned()
        }
        // Their words may quote a value.
        _ => "a row or a parameter that cannot be sent or read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{WarehouseError, classify};

    #[test]
    fn an_error_is_told_by_its_code_and_name() {
        for (answer, told) in [
            (
                "Code: 43. DB::Exception: Illegal type of 'hunter2': In scope SELECT x FROM events. \
                 (ILLEGAL_TYPE_OF_ARGUMENT) (version 26.7.3.1 (official build))",
                "code 43 ILLEGAL_TYPE_OF_ARGUMENT",
            ),
            ("Code: 241. DB::Exception: cut off in the mid", "code 241"),
            ("Code: 27. DB::Exception: at 'hunter2 (SECRET) (version 1)' (version 26)", "code 27"),
            ("<html>hunter2</html>", "an answer that is no error of ClickHouse"),
            ("", "an answer that is no error of ClickHouse"),
        ] {
            assert_eq!(of_answer(answer), told);
        }
    }

    proptest! {
        #[test]
        fn no_value_gets_into_an_error(value in "\\PC{0,40}", code in 0_u32..1_000) {
            let secret = format!("hunter2{value}");
            let answer = format!("Code: {code}. DB::Exception: Cannot parse '{secret}'. (CANNOT_PARSE_TEXT) (version 26.7)");
            let errors = [
                classify(Error::BadResponse(answer)),
                classify(Error::Custom(secret.clone())),
                classify(Error::InvalidParams(secret.clone().into())),
                classify(Error::SchemaMismatch(secret.clone())),
                classify(Error::Other(secret.clone().into())),
                classify(Error::Unsupported(secret)),
            ];
            for error in errors {
                prop_assert!(!error.to_string().contains("hunter2"), "{}", error);
                prop_assert!(!matches!(error, WarehouseError::InvalidCursor));
            }
        }
    }
}
