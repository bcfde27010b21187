//! How large an answer is where it is carried: a function's answer is a JSON text that holds the body as a string.

use analytics_http::ApiError;
use http::StatusCode;

/// Bytes of a body, as carried. Lambda takes 6 MB, headers and all:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MOST: usize = 6_000_000;

/// Bytes of a text within a JSON text, with a comma.
pub(crate) fn carried(text: &str) -> usize {
    text.len() + text.bytes().map(escape).sum::<usize>() + 1
}

/// Bytes that a byte takes more within a JSON text.
const fn escape(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    }
}

/// Refuses a text that is too large to be carried.
///
/// # Errors
/// If it is, with how to ask for less.
pub fn fitting(text: String) -> Result<String, ApiError> {
    let bytes = carried(&text);
    if bytes <= MOST {
        return Ok(text);
    }
    let detail = format!(
        "the answer would have {bytes} bytes, of {MOST} that can be carried: take a shorter range, a longer interval, fewer groups \
         (limit), fewer formulas, or a groupBy with shorter texts"
    );
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_count() {
        for text in ["", "plain", "\"quoted\"\r\n\t\\", "限时 \u{1} \u{1f}"] {
            let json = serde_json::to_string(text).expect("is JSON");
            assert_eq!(carried(text) + 1, json.len(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_carried_is_refused_with_how_to_ask_for_less() {
        assert!(fitting("x".repeat(MOST - 1)).is_ok());
        let error = fitting("\"".repeat(MOST / 2)).expect_err("refused");
        assert_eq!((error.status.as_u16(), error.code), (422, "query_too_large"));
        assert!(error.detail.contains("longer interval"), "{}", error.detail);
    }
}
