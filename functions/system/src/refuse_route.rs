//! Requests that no route matches: 405 if the path takes other methods, else 404.

use analytics_domain::access::named_routes;
use analytics_http::{ApiError, Reply};
use http::StatusCode;
use lambda_http::{Request, RequestExt};

/// Least likeness of a path that is suggested.
const MIN_LIKENESS: f64 = 0.6;

/// Refuses a request, and says which one would be right.
///
/// # Errors
/// Always: 405 with `Allow` if the path takes other methods, else 404.
pub async fn handle(_: &(), request: Request) -> Result<Reply, ApiError> {
    let (method, path) = (request.method().as_str(), request.raw_http_path());
    let methods: Vec<&str> =
        named_routes().filter(|route| route.matches_path(path)).map(|route| route.method).collect();
    if methods.is_empty() {
        let end = without_prefix(path);
        let likeness = |known| (strsim::normalized_damerau_levenshtein(end, without_prefix(known)), known);
        let nearest = named_routes().map(|route| likeness(route.path)).max_by(|one, other| one.0.total_cmp(&other.0));
        let meant = match nearest.filter(|(likeness, _)| *likeness > MIN_LIKENESS) {
            Some((_, nearest)) => format!(": did you mean {nearest}?"),
            None => "; GET /api/openapi.json lists the paths".to_owned(),
        };
        let detail = format!("no such path{meant}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_route", detail));
    }
    let methods = methods.join(", ");
    let detail = format!("this path does not take {method}: it takes {methods}");
    let refusal = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    Err(ApiError { allow: Some(methods.into()), ..refusal })
}

/// The path without `/api`, which nearly all paths share.
fn without_prefix(path: &str) -> &str {
    path.strip_prefix("/api").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    async fn refused(method: &str, path: &str) -> ApiError {
        let request = http::Request::builder().method(method).uri(path).body(lambda_http::Body::Empty).expect("is one");
        handle(&(), request.with_raw_http_path(path)).await.expect_err("is refused")
    }

    #[tokio::test]
    async fn a_wrong_method_gets_405_and_an_unknown_path_404() {
        let refused_method = refused("PATCH", "/api/metrics/ctr").await;
        assert_eq!((refused_method.status.as_u16(), refused_method.code), (405, "method_not_allowed"));
        let reply = refused_method.into_reply("r");
        assert_eq!(reply.headers()[header::ALLOW], "GET, PUT, DELETE");
        let typing_error = refused("POST", "/api/event").await;
        assert_eq!((typing_error.status.as_u16(), typing_error.code), (404, "unknown_route"));
        assert!(typing_error.detail.contains("did you mean /api/events?"), "{}", typing_error.detail);
        assert!(refused("GET", "/metrics").await.detail.contains("did you mean /api/metrics?"));
        assert!(refused("GET", "/api/users").await.detail.contains("/api/openapi.json"));
        assert!(refused("GET", "/wp-login.php").await.detail.contains("/api/openapi.json"));
    }
}
