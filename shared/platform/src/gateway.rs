//! Where the stages of an API Gateway are.

/// The address of a stage, such as `wss://abc.execute-api.eu-central-1.amazonaws.com/ws`: as it is, or with an endpoint in AWS's
/// place, that of the same API and stage there.
#[must_use]
pub fn stage_url(url: &str, endpoint: Option<&str>) -> String {
    let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/')).filter(|endpoint| !endpoint.is_empty());
    let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?)));
    let (Some(endpoint), Some((scheme, (host, stage)))) = (endpoint, parts) else { return url.to_owned() };
    let endpoint = if scheme == "wss" { endpoint.replacen("http", "ws", 1) } else { endpoint.to_owned() };
    let api = host.split('.').next().unwrap_or_default();
    format!("{endpoint}/_aws/execute-api/{api}/{stage}")
}

#[cfg(test)]
mod tests {
    use super::stage_url;

    #[test]
    fn a_stage_is_where_its_endpoint_is() {
        let url = "wss://abc.execute-api.eu-central-1.amazonaws.com/ws";
        assert_eq!(stage_url(url, None), url);
        assert_eq!(stage_url(url, Some("http://127.0.0.1:4566/")), "ws://127.0.0.1:4566/_aws/execute-api/abc/ws");
        let posts = url.replacen("wss", "https", 1);
        assert_eq!(stage_url(&posts, Some("http://x:1")), "http://x:1/_aws/execute-api/abc/ws");
    }
}
