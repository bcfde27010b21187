//! What unit tests of functions stand on: a key of their own, and samples of `events/`.

mod template;

use std::{fs, path::Path, sync::Arc};

use analytics_domain::{
    access::{Caller, Operation, Role},
    account::AccountId,
};
use analytics_http::{ApiError, Reply, Verifier};
use analytics_runtime::{Call, Http};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use lambda_http::{Body, Request, Response, request::from_str};
use serde_json::{Value, json};
pub use template::template;

/// When unit tests happen: 2026-11-24T09:30:00Z, in epoch milliseconds.
pub const NOW: i64 = 1_795_512_600_000;

/// Signs tokens in unit tests, and nothing else anywhere.
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGcOTd2KoYNySHluh
jbuDNStQLJOPgdpuNvowas4Zr9OhRANCAAQUJiT8C8r7YhUJwEnAE7V0GQ+Cs3bO
7P40qYtfdFANw5QP2OiWQAkR3CddC9oOx03bZIWvDxJ5Tkxmn4NYv9RD
-----END PRIVATE KEY-----
";

/// A verifier of tokens by [`token`].
///
/// # Panics
/// Never: its settings are constant.
#[must_use]
pub fn verifier() -> Verifier {
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "unit", "alg": "ES256",
        "x": "FCYk_AvK-2IVCcBJwBO1dBkPgrN2zuz-NKmLX3RQDcM", "y": "lA_Y6JZACRHcJ10L2g7HTdtkha8PEnlOTGafg1i_1EM"}]});
    let lookup = move |key: &str| match key {
        "JWT_ISSUER" => Some("https://unit.test".to_owned()),
        "JWT_AUDIENCE" => Some("analytics".to_owned()),
        "JWT_KEYS" => Some(keys.to_string()),
        _ => None,
    };
    Verifier::from_lookup(&lookup).expect("the settings are complete")
}

/// A token of the account `unit`, valid for as long as anybody runs these tests.
///
/// # Panics
/// Never: the key is constant.
#[must_use]
pub fn token(role: Role) -> String {
    let key = EncodingKey::from_ec_pem(KEY).expect("is a P-256 key");
    let header = Header { kid: Some("unit".to_owned()), ..Header::new(Algorithm::ES256) };
    let claims = json!({"iss": "https://unit.test", "aud": "analytics", "exp": 4_102_444_800_u64,
        "accountId": "unit", "role": role.name()});
    encode(&header, &claims, &key).expect("claims can be signed")
}

/// The sample of `events/` for a function, as text, with a token of this role.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn sample(function: &str, role: Role) -> String {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let text = fs::read_to_string(events.join(function).with_extension("json")).expect("every trigger has a sample");
    text.replace("TOKEN", &token(role))
}

/// As [`sample`], as the request that the function gets of it.
///
/// # Panics
/// If it is not an HTTP request.
#[must_use]
pub fn request(function: &str, role: Role) -> Request {
    from_str(&sample(function, role)).expect("the sample is a request of API Gateway")
}

/// The same as a call of the account `unit` at [`NOW`], which the table of routes has let in.
///
/// # Panics
/// As [`request`].
#[must_use]
pub fn call(function: &str, role: Role) -> Call {
    let caller = Arc::new(Caller { account_id: AccountId::stored("unit"), role });
    Call { caller, request: request(function, role), now: NOW }
}

/// The answer to a request at [`NOW`], from its token to what is sent.
pub async fn answer<F>(operation: Operation, request: Request, handler: impl FnOnce(Call) -> F) -> Reply
where
    F: Future<Output = Result<Reply, ApiError>>,
{
    Http::new(operation, verifier(), || NOW).answer(request, handler).await
}

/// The body of an answer.
///
/// # Panics
/// If it is not JSON.
#[must_use]
pub fn body(answer: &Response<Body>) -> Value {
    serde_json::from_slice(answer.body()).expect("answers are JSON")
}
