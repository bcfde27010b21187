//! What an answer of the API says about a batch: a verdict on each event, or why there is none.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::clock;

/// What the API said about one event it did not take.
#[derive(Clone, Debug, Deserialize)]
pub struct Rejection {
    pub index: usize,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub pointer: String,
    #[serde(default)]
    pub detail: String,
}

/// An answer that settles what became of every event of a batch.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub rejections: Vec<Rejection>,
}

/// Why there is no verdict.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The HTTP status, `connection`, `timeout` or `bad_answer`.
    pub code: String,
    pub detail: String,
    /// The events may have been taken all the same.
    pub maybe_taken: bool,
    pub(crate) retry: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn unanswered(code: &str, detail: String) -> Self {
        Self { code: code.to_owned(), detail, maybe_taken: true, retry: true, retry_after: None }
    }

    /// Whether every other request of the run would meet the same refusal: a wrong token, role or address.
    pub fn concerns_all(&self) -> bool {
        matches!(self.code.as_str(), "401" | "403" | "404" | "405")
    }
}

#[derive(Deserialize)]
struct Taken {
    accepted: usize,
    rejected: usize,
    #[serde(default)]
    errors: Vec<Rejection>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    title: String,
    detail: String,
}

#[derive(Deserialize)]
struct NothingTaken {
    errors: Vec<Rejection>,
}

/// Judges an answer to a batch of `events` events.
pub(crate) fn read_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    events: usize,
) -> Result<Verdict, Failure> {
    let names_each = |errors: &[Rejection]| errors.iter().all(|error| error.index < events);
    if status.is_success() {
        return match serde_json::from_slice::<Taken>(body) {
            Ok(Taken { accepted, rejected, errors })
                if accepted + rejected == events && errors.len() == rejected && names_each(&errors) =>
            {
                Ok(Verdict { rejections: errors })
            }
            // Trying again would only bring the same answer.
            _ => Err(Failure { retry: false, ..Failure::unanswered("bad_answer", excerpt(body)) }),
        };
    }
    if status == StatusCode::UNPROCESSABLE_ENTITY
        && let Ok(NothingTaken { errors }) = serde_json::from_slice(body)
        && errors.len() == events
        && names_each(&errors)
    {
        return Ok(Verdict { rejections: errors });
    }
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let detail = [problem.code, problem.title, problem.detail].join(" ").trim().to_owned();
    Err(Failure {
        code: status.as_str().to_owned(),
        detail: if detail.is_empty() { excerpt(body) } else { detail },
        maybe_taken: status.is_server_error(),
        retry: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        retry_after: headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?)),
    })
}

/// Seconds, or an HTTP date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    clock::until(jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp())
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        let wait = retry_after("Fri, 31 Dec 2100 23:59:59 GMT").expect("a date");
        assert!(wait > Duration::from_secs(86_400));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn answer_that_does_not_add_up_is_no_verdict() {
        let read = |status, body: &str| read_answer(status, &HeaderMap::new(), body.as_bytes(), 3);
        assert!(read(StatusCode::ACCEPTED, r#"{"accepted":3,"rejected":0,"errors":[]}"#).is_ok());
        for body in [r#"{"accepted":2,"rejected":0}"#, r#"{"accepted":2,"rejected":1}"#, "OK"] {
            let failure = read(StatusCode::ACCEPTED, body).expect_err("no verdict");
            assert!(failure.maybe_taken && !failure.retry, "{body}");
        }
        let failure = read(StatusCode::UNPROCESSABLE_ENTITY, r#"{"code":"key_reused"}"#).expect_err("no verdict");
        assert!(!failure.maybe_taken && !failure.retry);
    }
}
