//! `GET /` and `GET /assets/{file}`: the live dashboard, a page that `infra/web` builds.

use std::io::Write as _;

use analytics_domain::access::Operation;
use analytics_http::{ApiError, Incoming, Reply, openapi::OpenApi};
use analytics_platform::{
    config::{ConfigError, Lookup},
    gateway,
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt};
use sha2::{Digest, Sha256};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A file whose name changes with its content.
struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// What the function is made of.
#[derive(Debug)]
pub struct App {
    page: String,
    compressed: Vec<u8>,
    tag: HeaderValue,
    policy: HeaderValue,
}

impl App {
    /// Reads `LIVE_URL`, the address of the WebSocket; as [`gateway::stage_url`] has it.
    ///
    /// # Errors
    /// If it is not set, or is no address.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let live = gateway::stage_url(&lookup.required("LIVE_URL")?, lookup.find("AWS_ENDPOINT_URL").as_deref());
        let invalid = || ConfigError::Invalid { key: "LIVE_URL", value: live.clone(), expected: "an address" };
        if live.contains(['"', '<', ';', ' ']) {
            return Err(invalid());
        }
        let page = PAGE.replace("{{LIVE_URL}}", &live);
        let digest: String = Sha256::digest(&page).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // Of an address of the policy without a slash at its end, the query may be any.
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {live}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Memory takes everything.
        let _ = encoder.write_all(page.as_bytes());
        Ok(Self {
            compressed: encoder.finish().unwrap_or_default(),
            page,
            tag: HeaderValue::from_str(&format!("\"{digest}\"")).map_err(|_| invalid())?,
            policy: HeaderValue::from_str(&policy).map_err(|_| invalid())?,
        })
    }
}

/// Describes the operations in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    document
        .operation(Operation::GetDashboard, "Get the live dashboard", "A page for a browser")
        .file(200, "A page", "text/html")
        .empty(304, "The page has not changed since If-None-Match");
    document
        .operation(Operation::GetDashboardFile, "Get a part of the live dashboard", "The name changes with the content")
        .id("file", "asset", "Name of a file that the page uses")
        .file(200, "A script or a style sheet", "text/javascript")
        .file(200, "A script or a style sheet", "text/css");
}

/// Answers with the page or one of its assets, compressed if the client takes that.
///
/// # Errors
/// 404 if there is no such asset.
pub fn handle(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let incoming = Incoming::new(request);
    let accepted = incoming.header(header::ACCEPT_ENCODING).unwrap_or_default();
    match request.path_parameters().first("file") {
        None => Ok(page(app, incoming.header(header::IF_NONE_MATCH).unwrap_or_default(), accepted)),
        Some(name) => {
            let asset = ASSETS.iter().find(|asset| asset.name == name);
            let missing =
                || ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such file: load the page anew");
            asset.map(|asset| asset.reply(accepted)).ok_or_else(missing)
        }
    }
}

fn page(app: &App, known: &str, accepted: &str) -> Reply {
    let mut reply = match known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == app.tag) {
        true => {
            let mut reply = Response::new(Body::Empty);
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            reply
        }
        false if takes(accepted, "gzip") => encoded(&app.compressed, Some("gzip")),
        false => encoded(app.page.as_bytes(), None),
    };
    // Asked for anew each time, and sent anew only when it is another one.
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply.headers_mut().insert(header::ETAG, app.tag.clone());
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, app.policy.clone());
    reply
}

impl Asset {
    fn reply(&self, accepted: &str) -> Reply {
        let mut reply = match (takes(accepted, "br"), takes(accepted, "gzip")) {
            (true, _) => encoded(self.brotli, Some("br")),
            (false, true) => encoded(self.gzip, Some("gzip")),
            (false, false) => encoded(self.plain, None),
        };
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        reply.headers_mut().insert(header::CACHE_CONTROL, forever);
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        reply
    }
}

fn encoded(bytes: &[u8], encoding: Option<&'static str>) -> Reply {
    let mut reply = Response::new(Body::Binary(bytes.to_vec()));
    if let Some(encoding) = encoding {
        reply.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    reply.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// Whether an `Accept-Encoding` (RFC 9110, section 12.5.3) names this one and does not rule it out.
fn takes(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(encoding) && weight.is_some_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        let lookup = |key: &str| (key == "LIVE_URL").then(|| "wss://abc.example.test/ws".to_owned());
        App::from_lookup(&lookup).expect("is configured")
    }

    fn get(file: Option<&str>, headers: &[(HeaderName, &str)]) -> Request {
        let mut request = http::Request::new(Body::Empty);
        for (name, value) in headers {
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("is a header"));
        }
        let parameters = file.map(|file| [("file".to_owned(), file.to_owned())]);
        request.with_path_parameters(parameters.into_iter().flatten().collect::<std::collections::HashMap<_, _>>())
    }

    #[test]
    fn the_page_knows_where_the_socket_is_and_is_sent_once() {
        let app = app();
        let reply = handle(&app, &get(None, &[])).expect("is there");
        let text = String::from_utf8(reply.body().to_vec()).expect("is text");
        assert!(text.contains("content=\"wss://abc.example.test/ws\""), "{text}");
        let tag = reply.headers()[header::ETAG].to_str().expect("is text").to_owned();
        let again = handle(&app, &get(None, &[(header::IF_NONE_MATCH, &format!("\"x\", W/{tag}"))])).expect("is there");
        assert_eq!((again.status(), again.body().is_empty()), (StatusCode::NOT_MODIFIED, true));
        for asset in ASSETS {
            assert!(text.contains(&format!("\"assets/{}\"", asset.name)), "{} is not in the page", asset.name);
        }
    }

    #[test]
    fn an_asset_is_as_compressed_as_the_client_takes_it_and_kept_for_ever() {
        let asset = ASSETS.first().expect("there are assets");
        for (accepted, encoding, bytes) in [
            ("gzip, deflate, br, zstd", Some("br"), asset.brotli),
            ("gzip;q=0.5, br;q=0", Some("gzip"), asset.gzip),
            ("", None, asset.plain),
        ] {
            let reply =
                handle(&app(), &get(Some(asset.name), &[(header::ACCEPT_ENCODING, accepted)])).expect("is there");
            let sent = reply.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
            assert_eq!((sent, reply.body().as_ref()), (encoding, bytes), "{accepted}");
            assert_eq!(reply.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        }
        assert!(handle(&app(), &get(Some("app.js"), &[])).is_err());
    }
}
