//! The one error type of the HTTP functions: a status, a stable code and words for the client, a cause for the log.
//!
//! Errors of domain and adapters become one of these where they are met, by the constructor that fits. A 5xx never
//! carries its cause to the client.

use analytics_domain::{
    event::{Code, Rejection},
    search::ParameterError,
};
use http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Reply;

/// How many errors an answer lists; of more it gives the number only, since it has to fit what carries it.
pub const LISTED_ERRORS: usize = 100;

/// One bad field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// Place of the event in the batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Stable name of what is wrong.
    #[schemars(extend("examples" = Code::ALL.map(Code::name)))]
    pub code: String,
    /// JSON pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    pub detail: String,
}

impl FieldError {
    /// What is wrong with the events of a request. `list` is the pointer to the list of them, if it has one.
    #[must_use]
    pub fn of_events(list: Option<&str>, rejections: Vec<(usize, Vec<Rejection>)>) -> Vec<Self> {
        let of_event = |(index, reasons): (usize, Vec<Rejection>)| {
            let (index, place) = match list {
                None => (None, String::new()),
                Some(list) => (Some(index), format!("{list}/{index}")),
            };
            reasons.into_iter().map(move |reason| Self {
                index,
                code: reason.code.name().to_owned(),
                pointer: Some(format!("{place}{}", reason.pointer)),
                parameter: None,
                detail: reason.detail,
            })
        };
        rejections.into_iter().flat_map(of_event).collect()
    }
}

/// What went wrong, in a form for programs and people (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem<'a> {
    title: &'a str,
    status: u16,
    /// Stable name of what went wrong.
    code: &'a str,
    /// What is wrong, and how to put it right.
    detail: &'a str,
    /// Each bad field or parameter.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(length(max = LISTED_ERRORS))]
    errors: &'a [FieldError],
    /// How many errors there are beyond those in `errors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors_omitted: Option<usize>,
    /// Names the request in the logs.
    request_id: &'a str,
}

/// Why a request got no answer.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    pub errors: Vec<FieldError>,
    pub retry_after_seconds: Option<u32>,
    /// The methods that a path takes.
    pub allow: Option<Box<str>>,
    /// For the log only.
    pub cause: Option<String>,
}

impl ApiError {
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            allow: None,
            cause: None,
        }
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn unreadable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: no token, or none that counts.
    #[must_use]
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 413: more than the limit, which the detail names.
    #[must_use]
    pub fn too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    /// 422: readable, but its fields break rules.
    #[must_use]
    pub fn invalid(detail: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail) }
    }

    /// 422 for query parameters.
    #[must_use]
    pub fn invalid_parameters(errors: Vec<ParameterError>) -> Self {
        let errors = errors.into_iter().map(|error| FieldError {
            index: None,
            code: error.code.to_owned(),
            pointer: None,
            parameter: Some(error.parameter),
            detail: error.detail,
        });
        Self::invalid("some query parameters are invalid: see errors", errors.collect())
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// 503: something behind us is down; the client may try again.
    #[must_use]
    pub fn unavailable(what: &'static str, cause: impl std::fmt::Display) -> Self {
        Self {
            retry_after_seconds: Some(2),
            cause: Some(cause.to_string()),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                format!("{what} is unavailable, try again soon"),
            )
        }
    }

    /// 500: our own mistake.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
        }
    }

    /// As `application/problem+json` (RFC 9457).
    #[must_use]
    pub fn into_reply(self, request_id: &str) -> Reply {
        let (errors, omitted) = self.errors.split_at(self.errors.len().min(LISTED_ERRORS));
        let problem = Problem {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            errors,
            errors_omitted: (!omitted.is_empty()).then_some(omitted.len()),
            request_id,
        };
        // Structs of strings and integers always serialise.
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut reply = Response::new(Body::Text(body));
        *reply.status_mut() = self.status;
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.code {
                "token_missing" => "Bearer",
                _ => "Bearer error=\"invalid_token\"",
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(methods) = self.allow.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
            headers.insert(header::ALLOW, methods);
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }
}
