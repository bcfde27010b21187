//! What functions are given: events as the load tool makes them, tokens, and API Gateway's envelopes.

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result};
use base64_simd::URL_SAFE_NO_PAD;
use demo::{
    client::Layout,
    load::{Mill, Stamps},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::{
    SecretKey,
    elliptic_curve::{rand_core::OsRng, sec1::ToEncodedPoint},
    pkcs8::{EncodePrivateKey, LineEnding},
};
use serde_json::{Value, json};

/// Events of one batch.
pub const BATCH: usize = 500;
const ISSUER: &str = "https://bench.analytics.test";
const AUDIENCE: &str = "analytics";

/// Bodies of `POST /api/events/batch` with different events of about 450 bytes each.
pub fn bodies(count: usize) -> Vec<Vec<u8>> {
    let mill = Mill::new(1);
    let mut stamps = Stamps::new(BATCH);
    (0..count)
        .map(|batch| {
            stamps.push(now_millis());
            let first = (batch * BATCH) as u64;
            let mut body = Vec::new();
            mill.write_body(first..first + BATCH as u64, &stamps, Layout::Json, &mut body);
            body
        })
        .collect()
}

/// Signs tokens with a key of its own.
pub struct Issuer {
    key: EncodingKey,
    /// The JWKS document that verifies them.
    pub keys: String,
}

impl Issuer {
    pub fn new() -> Result<Self> {
        let secret = SecretKey::random(&mut OsRng);
        let point = secret.public_key().to_encoded_point(false);
        let (x, y) = (point.x().context("no point")?, point.y().context("no point")?);
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
            "x": URL_SAFE_NO_PAD.encode_to_string(x), "y": URL_SAFE_NO_PAD.encode_to_string(y),
        });
        let pem = secret.to_pkcs8_pem(LineEnding::LF)?;
        Ok(Self { key: EncodingKey::from_ec_pem(pem.as_bytes())?, keys: json!({"keys": [key]}).to_string() })
    }

    pub fn token(&self, role: Role) -> Result<String> {
        let header = Header { kid: Some("bench".to_owned()), ..Header::new(Algorithm::ES256) };
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": now_millis() / 1_000 + 86_400,
            "accountId": "bench", "role": role.name(),
        });
        Ok(encode(&header, &claims, &self.key)?)
    }

    /// The environment of any function, as the template gives it. Without `aws`, the endpoint is the real one.
    pub fn environment(&self, aws: Option<&str>, clickhouse: &str) -> Vec<(&'static str, String)> {
        let queue = format!("{}/000000000000/events", aws.unwrap_or("https://sqs.us-east-1.amazonaws.com"));
        let mut all = vec![
            ("LOG_LEVEL", "info".to_owned()),
            ("EVENTS_QUEUE_URL", queue.clone()),
            ("DEAD_LETTER_QUEUE_URL", queue.clone()),
            ("LIVE_QUEUE_URL", format!("{queue}-live.fifo")),
            ("IDEMPOTENCY_TABLE", "answers".to_owned()),
            ("METRICS_TABLE", "metrics".to_owned()),
            ("ROLLUPS_TABLE", "rollups".to_owned()),
            ("CONNECTIONS_TABLE", "connections".to_owned()),
            ("SOCKETS_URL", "https://abcdefghij.execute-api.us-east-1.amazonaws.com/ws".to_owned()),
            ("LIVE_URL", "wss://abcdefghij.execute-api.us-east-1.amazonaws.com/ws".to_owned()),
            ("RETENTION_DAYS", "400".to_owned()),
            ("JWT_ISSUER", ISSUER.to_owned()),
            ("JWT_AUDIENCE", AUDIENCE.to_owned()),
            ("JWT_KEYS", self.keys.clone()),
            ("CLICKHOUSE_URL", clickhouse.to_owned()),
            ("CLICKHOUSE_USER", "default".to_owned()),
            ("CLICKHOUSE_PASSWORD", String::new()),
            ("CLICKHOUSE_DATABASE", "analytics".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "bench".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
            ("AWS_SESSION_TOKEN", "bench".to_owned()),
        ];
        all.extend(aws.map(|url| ("AWS_ENDPOINT_URL", url.to_owned())));
        all
    }
}

/// One request as API Gateway hands it to a function (payload format 2.0).
pub fn envelope(method: &str, path: &str, query: &str, token: &str, body: Option<&[u8]>) -> String {
    let mut headers = json!({
        "accept": "*/*", "accept-encoding": "gzip", "accept-language": "zh-CN,zh;q=0.9", "authorization": format!("Bearer {token}"),
        "content-type": "application/json", "host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
        "user-agent": "analytics-sdk/1.4.0 (linux; x86_64)", "x-amzn-trace-id": "Root=1-67000000-000000000000000000000000",
        "x-forwarded-for": "203.0.113.7", "x-forwarded-port": "443", "x-forwarded-proto": "https",
    });
    headers["content-length"] = body.map_or(0, <[u8]>::len).to_string().into();
    let mut event = json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": query, "headers": headers,
        "requestContext": {
            "accountId": "000000000000", "apiId": "abcdefghij", "domainName": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "analytics-sdk/1.4.0"},
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": format!("{method} {path}"), "stage": "$default",
            "time": "24/Nov/2026:09:30:00 +0000", "timeEpoch": 1_795_512_600_000_i64,
        },
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = String::from_utf8_lossy(body).into();
    }
    event.to_string()
}

/// The same request with what API Gateway found in its path.
pub fn with_id(envelope: &str, id: &str) -> Result<String> {
    let mut event: Value = serde_json::from_str(envelope)?;
    event["pathParameters"] = json!({"id": id});
    Ok(event.to_string())
}
