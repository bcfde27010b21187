//! Whether an answer fits what carries it. Lambda takes 6 MB of an answer, as JSON in which the body is a string: with its
//! escapes, or as base64. A larger one never arrives; the client would get a gateway's 502 in its place.

use http::StatusCode;
use lambda_http::Body;

use crate::{ApiError, Reply};

/// Bytes of an answer that Lambda carries.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const CARRIED: usize = 6_000_000;
/// What stands around the body: a status, and headers, of which API Gateway passes on 10 KB.
const ENVELOPE: usize = 64 * 1024;
/// Bytes that a body may have as it is carried.
pub const BODY_LIMIT: usize = CARRIED - ENVELOPE;

/// The answer as it is.
///
/// # Errors
/// If the answer is too large: a problem in its place, which says how to get a smaller one.
pub fn fitting(reply: Reply) -> Result<Reply, ApiError> {
    let size = carried(reply.body());
    if size <= BODY_LIMIT {
        return Ok(reply);
    }
    let status = match reply.status() {
        status if status.is_success() => StatusCode::UNPROCESSABLE_ENTITY,
        // What was refused stays refused.
        status => status,
    };
    let detail = format!(
        "the answer has {size} bytes as it is sent, {BODY_LIMIT} are possible: ask for less at once, by a smaller limit, a \
         shorter time (from, to), a longer interval, fewer groups or fewer formulas"
    );
    Err(ApiError::new(status, "answer_too_large", detail))
}

/// Bytes of a body within the JSON that Lambda carries, as lambda_http writes it.
fn carried(body: &Body) -> usize {
    match body {
        Body::Text(text) => escaped(text),
        Body::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        _ => 0,
    }
}

/// Bytes of a text as a JSON string, without its quotes.
#[must_use]
pub fn escaped(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn reply(status: StatusCode, body: Body) -> Reply {
        let mut reply = Response::new(body);
        *reply.status_mut() = status;
        reply
    }

    #[test]
    fn escapes_count_as_they_are_written() {
        let all: String = (0..0x250).filter_map(char::from_u32).chain("限时😀".chars()).collect();
        let written = serde_json::to_string(&all).expect("serialises");
        assert_eq!(escaped(&all), written.len() - 2);
    }

    #[test]
    fn an_answer_over_the_limit_says_how_to_get_a_smaller_one() {
        for (name, fits, over) in [
            ("plain", "x".repeat(BODY_LIMIT), "x".repeat(BODY_LIMIT + 1)),
            ("quotes", "\"".repeat(BODY_LIMIT / 2), "\"".repeat(BODY_LIMIT / 2 + 1)),
            ("escapes", "\u{1}".repeat(BODY_LIMIT / 6), "\u{1}".repeat(BODY_LIMIT / 6 + 1)),
        ] {
            let kept = fitting(reply(StatusCode::OK, Body::Text(fits.clone()))).expect("fits");
            assert_eq!(kept.body().as_ref(), fits.as_bytes(), "{name}");
            let refused = fitting(reply(StatusCode::OK, Body::Text(over))).expect_err("does not fit");
            let expected = (StatusCode::UNPROCESSABLE_ENTITY, "answer_too_large");
            assert_eq!((refused.status, refused.code), expected, "{name}");
            assert!(refused.detail.contains("limit"), "{name}");
        }
        let fits = |bytes: usize| fitting(reply(StatusCode::OK, Body::Binary(vec![0; bytes]))).is_ok();
        assert!(fits(BODY_LIMIT / 4 * 3));
        assert!(!fits(BODY_LIMIT / 4 * 3 + 1));
    }

    #[test]
    fn a_refusal_that_is_too_long_stays_a_refusal() {
        let refused = fitting(reply(StatusCode::CONFLICT, Body::Text("x".repeat(CARRIED)))).expect_err("does not fit");
        assert_eq!(refused.status, StatusCode::CONFLICT);
    }
}
