//! What a request holds besides its path: its body, unpacked, and what is known of the sender.

use std::{borrow::Cow, net::IpAddr};

use analytics_domain::event::limits;
use http::{HeaderMap, header};
use lambda_http::{Body, Request, RequestExt, request::RequestContext};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::{ApiError, gzip};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Json,
    /// A JSON value a line.
    Lines,
}

/// A request as the handlers see it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'r> {
    request: &'r Request,
}

impl<'r> Incoming<'r> {
    #[must_use]
    pub const fn new(request: &'r Request) -> Self {
        Self { request }
    }

    /// A header's value, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&'r str> {
        let headers: &'r HeaderMap = self.request.headers();
        headers.get(name)?.to_str().ok()
    }

    /// The decoded query parameters, in the order in which they came.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        let parameters = self.request.query_string_parameters_ref();
        let pairs = parameters.map(|parameters| parameters.iter());
        pairs.into_iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A part of the path, such as an id.
    ///
    /// # Errors
    /// 404 if it is not there.
    pub fn path_parameter(&self, name: &str) -> Result<String, ApiError> {
        let parameters = self.request.path_parameters_ref();
        let value = parameters.and_then(|parameters| parameters.first(name)).filter(|value| !value.is_empty());
        // Some gateways leave it as it came.
        let value = value.map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned());
        value.ok_or_else(|| ApiError::new(http::StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
    }

    /// The version in `If-Match`; none if there is no such header, or it is `*`.
    ///
    /// # Errors
    /// 412 for what no version looks like.
    pub fn if_match(&self) -> Result<Option<u64>, ApiError> {
        let Some(tag) = self.header(header::IF_MATCH).map(str::trim).filter(|tag| *tag != "*") else { return Ok(None) };
        let version = tag.trim_start_matches("W/").trim_matches('"').parse();
        version.map(Some).map_err(|_| {
            let detail = "If-Match must be the ETag of an earlier answer";
            ApiError::new(http::StatusCode::PRECONDITION_FAILED, "version_mismatch", detail)
        })
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 400 if it is none, and those of [`Incoming::body`].
    pub fn object(&self) -> Result<Map<String, Value>, ApiError> {
        let body = self.body()?;
        serde_json::from_slice(&body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ApiError::unreadable("wrong_type", "the body must be a JSON object"),
            _ => ApiError::unreadable("invalid_json", format!("the body is not JSON: {error}")),
        })
    }

    /// The sender's address, as the gateway saw it.
    #[must_use]
    pub fn ip(&self) -> String {
        let source = match self.request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        // Parsed and written again, an address has one form; what is none is left out.
        source.and_then(|source| source.parse::<IpAddr>().ok()).map(|address| address.to_string()).unwrap_or_default()
    }

    /// The program that sends, by its own word; at most 256 characters.
    #[must_use]
    pub fn user_agent(&self) -> String {
        self.header(header::USER_AGENT).unwrap_or_default().chars().take(256).collect()
    }

    /// The sender's first language by `Accept-Language`, such as `zh-CN`; empty if it is silent.
    #[must_use]
    pub fn locale(&self) -> String {
        let languages = self.header(header::ACCEPT_LANGUAGE).unwrap_or_default();
        let first = languages.split([',', ';']).next().unwrap_or_default().trim();
        let is_tag = first.len() <= 35 && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_tag { first.to_owned() } else { String::new() }
    }

    /// How the body says it is written. Without a word it is JSON, and so is what `curl -d` calls a form, and what is
    /// sent as gzip or plain bytes.
    ///
    /// # Errors
    /// 415 for anything else.
    pub fn media_type(&self) -> Result<MediaType, ApiError> {
        let kind = self.header(header::CONTENT_TYPE).unwrap_or("application/json");
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json"
            | "application/gzip"
            | "application/octet-stream"
            | "application/x-www-form-urlencoded"
            | "text/json"
            | "text/plain"
            | "" => Ok(MediaType::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Ok(MediaType::Lines)
            }
            _ => Err(ApiError::new(
                http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "the body must be application/json or application/x-ndjson",
            )),
        }
    }

    /// The body as the client sent it, still compressed if it was.
    #[must_use]
    pub fn raw_body(&self) -> &'r [u8] {
        match self.request.body() {
            Body::Text(text) => text.as_bytes(),
            Body::Binary(bytes) => bytes,
            _ => &[],
        }
    }

    /// The body, decompressed.
    ///
    /// # Errors
    /// 413 if it is over the limit, 415 for an unknown encoding, 400 if it does not decompress.
    pub fn body(&self) -> Result<Cow<'r, [u8]>, ApiError> {
        let raw = self.raw_body();
        if raw.starts_with(&gzip::MAGIC) {
            return gzip::unpack(raw).map(Cow::Owned);
        }
        match self.header(header::CONTENT_ENCODING).unwrap_or("identity").trim() {
            "identity" | "" if raw.len() > limits::BODY_BYTES => Err(gzip::too_large()),
            "identity" | "" => Ok(Cow::Borrowed(raw)),
            // Gateways pass bodies of text types, JSON among them, as text, and replace what is none.
            "gzip" | "x-gzip" if raw.windows(3).any(|bytes| bytes == "\u{FFFD}".as_bytes()) => {
                Err(ApiError::unreadable(
                    "invalid_gzip",
                    "the compressed body was treated as text on its way: send it with Content-Type: application/gzip, \
                     or application/x-ndjson for an event a line",
                ))
            }
            "gzip" | "x-gzip" => gzip::unpack(raw).map(Cow::Owned),
            _ => Err(ApiError::new(
                http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "the body must be plain or gzip",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http::StatusCode;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    fn body_of(body: impl Into<Body>, encoding: Option<&str>) -> Result<Vec<u8>, ApiError> {
        let mut request = Request::new(body.into());
        if let Some(encoding) = encoding {
            request.headers_mut().insert(header::CONTENT_ENCODING, encoding.parse().expect("is a value"));
        }
        Incoming::new(&request).body().map(Cow::into_owned)
    }

    #[test]
    fn unpacks_gzip_and_stops_a_bomb_at_the_limit() {
        assert_eq!(body_of(gzip(b"[]"), Some("gzip")).expect("unpacks"), b"[]");
        assert_eq!(body_of(gzip(b"[]"), None).expect("unpacks what is gzip, said or not"), b"[]");
        let bomb = gzip(&vec![b' '; 512 * 1024 * 1024 / 16]);
        let error = body_of(bomb, Some("gzip")).expect_err("refused");
        assert_eq!((error.status, error.code), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
        let error = body_of("not gzip", Some("gzip")).expect_err("refused");
        assert_eq!(error.code, "invalid_gzip");
        let error = body_of("[]", Some("br")).expect_err("refused");
        assert_eq!(error.code, "unsupported_encoding");
        assert_eq!(body_of(vec![b' '; limits::BODY_BYTES + 1], None).expect_err("refused").code, "body_too_large");
    }

    #[test]
    fn takes_the_first_language_and_nothing_odd() {
        let locale = |value: &str| {
            let mut request = Request::new(Body::Empty);
            request.headers_mut().insert(header::ACCEPT_LANGUAGE, value.parse().expect("is a value"));
            Incoming::new(&request).locale()
        };
        assert_eq!(locale("zh-CN,zh;q=0.9,en;q=0.8"), "zh-CN");
        assert_eq!(locale("ru;q=0.5"), "ru");
        assert_eq!(locale("<script>"), "");
    }
}
