//! The public keys that tokens are verified with: a JWKS document (RFC 7517), inline or behind an address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use analytics_platform::{config::ConfigError, https};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm},
};

use crate::ApiError;

/// Fetched keys are used this long without asking again.
const FRESH_SECONDS: u64 = 600;
/// A `kid` that is not known makes us ask again, but not more often than this.
const PATIENCE_SECONDS: u64 = 15;
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
const DOCUMENT_BYTES: usize = 256 * 1024;

/// A key and the one algorithm it is for.
pub(crate) struct Key {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

type Keys = HashMap<String, Arc<Key>>;

/// Where keys come from.
#[derive(Debug)]
pub(crate) enum KeySource {
    Inline(Keys),
    Url { url: http::Uri, fetched: Mutex<Fetched> },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fetched {
    keys: Arc<Keys>,
    at: u64,
    generation: u64,
}

impl KeySource {
    pub(crate) fn parse(text: String) -> Result<Self, ConfigError> {
        let invalid = |value, expected| ConfigError::Invalid { key: "JWT_KEYS", value, expected };
        if text.starts_with("https://") || text.starts_with("http://") {
            return match text.parse() {
                Ok(url) => Ok(Self::Url { url, fetched: Mutex::default() }),
                Err(_) => Err(invalid(text, "the address of a JWKS document")),
            };
        }
        match serde_json::from_str::<JwkSet>(&text).map(|set| read(&set)) {
            Ok(keys) if !keys.is_empty() => Ok(Self::Inline(keys)),
            _ => Err(invalid(
                text,
                "a JWKS document with RSA, P-256, P-384 or Ed25519 keys that have a kid, or its address",
            )),
        }
    }

    /// Rises when keys change: what was verified with older ones counts no longer.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Inline(_) => 0,
            Self::Url { fetched, .. } => fetched.lock().unwrap_or_else(PoisonError::into_inner).generation,
        }
    }

    /// The key of this name, or the only one there is.
    pub(crate) async fn find(&self, kid: Option<&str>, seconds: u64) -> Result<(Arc<Key>, u64), ApiError> {
        let found = match self {
            Self::Inline(keys) => pick(keys, kid).map(|key| (key, 0)),
            Self::Url { url, fetched } => {
                let mut known = fetched.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let age = seconds.saturating_sub(known.at);
                if age > FRESH_SECONDS || (age > PATIENCE_SECONDS && pick(&known.keys, kid).is_none()) {
                    known = refresh(url, fetched, known, seconds).await?;
                }
                pick(&known.keys, kid).map(|key| (key, known.generation))
            }
        };
        found.ok_or_else(|| match kid {
            Some(_) => ApiError::unauthorized("token_unknown_key", "the token is signed by a key (kid) not known here"),
            None => ApiError::unauthorized("token_unknown_key", "the token does not say which key signed it (kid)"),
        })
    }
}

fn pick(keys: &Keys, kid: Option<&str>) -> Option<Arc<Key>> {
    match kid {
        Some(kid) => keys.get(kid).cloned(),
        None if keys.len() == 1 => keys.values().next().cloned(),
        None => None,
    }
}

/// Fetches the keys again. While their server is down, those already known go on counting.
async fn refresh(url: &http::Uri, fetched: &Mutex<Fetched>, known: Fetched, seconds: u64) -> Result<Fetched, ApiError> {
    let keys = match tokio::time::timeout(FETCH_TIMEOUT, fetch(url)).await {
        Ok(Ok(keys)) if !keys.is_empty() => Arc::new(keys),
        failure if known.keys.is_empty() => {
            let cause = match failure {
                Ok(Ok(_)) => "the JWKS document holds no usable key".to_owned(),
                Ok(Err(cause)) => cause,
                Err(_) => "the JWKS document did not come in time".to_owned(),
            };
            return Err(ApiError::unavailable("the key server", cause));
        }
        _ => {
            tracing::warn!("the JWKS document could not be fetched, going on with the keys known");
            Arc::clone(&known.keys)
        }
    };
    let fresh = Fetched { keys, at: seconds, generation: known.generation + 1 };
    *fetched.lock().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
    Ok(fresh)
}

async fn fetch(url: &http::Uri) -> Result<Keys, String> {
    let connector = https::connector().map_err(|error| error.to_string())?;
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let answer = client.get(url.clone()).await.map_err(|error| format!("{error:?}"))?;
    if !answer.status().is_success() {
        return Err(format!("the key server answered {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), DOCUMENT_BYTES).collect().await.map_err(|error| error.to_string())?;
    let set: JwkSet = serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
    Ok(read(&set))
}

/// The keys of a set that have a name and an algorithm we know; others are for something else.
fn read(set: &JwkSet) -> Keys {
    let usable = |jwk: &Jwk| {
        let algorithm = algorithm(jwk)?;
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some((jwk.common.key_id.clone()?, Arc::new(Key { algorithm, key })))
    };
    set.keys.iter().filter_map(usable).collect()
}

/// The algorithm of a key: what it says, if that fits its kind, else the usual one of its kind. Shared secrets are never
/// taken: whoever can read the configuration could sign with them.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let said = jwk.common.key_algorithm;
    match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => None,
        },
        AlgorithmParameters::RSA(_) => match said {
            None | Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::RS384) => Some(Algorithm::RS384),
            Some(KeyAlgorithm::RS512) => Some(Algorithm::RS512),
            Some(KeyAlgorithm::PS256) => Some(Algorithm::PS256),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => (pair.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const NOW: u64 = 1_795_512_600;

    fn document(kids: &[&str]) -> String {
        let key = |kid: &&str| {
            serde_json::json!({"kty": "EC", "crv": "P-256", "kid": kid,
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
        };
        serde_json::json!({"keys": kids.iter().map(key).collect::<Vec<_>>()}).to_string()
    }

    /// Serves these answers in turn, one a connection, and is gone afterwards.
    async fn serve(answers: Vec<(u16, String)>) -> KeySource {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.expect("a client comes");
                let asked = stream.read(&mut [0; 4096]).await.expect("it asks");
                assert!(asked > 0, "a client that came and went");
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.expect("it listens");
            }
        });
        KeySource::parse(format!("http://{address}/jwks.json")).expect("is an address")
    }

    async fn outcome(source: &KeySource, kid: &str, seconds: u64) -> Result<u64, &'static str> {
        source.find(Some(kid), seconds).await.map(|(_, generation)| generation).map_err(|error| error.code)
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_up_at_once_but_not_again_and_again() {
        let source = serve(vec![(200, document(&["a"])), (200, document(&["a", "b"]))]).await;
        assert_eq!(outcome(&source, "a", NOW).await, Ok(1));
        assert_eq!(outcome(&source, "b", NOW + PATIENCE_SECONDS).await, Err("token_unknown_key"));
        assert_eq!(outcome(&source, "b", NOW + PATIENCE_SECONDS + 1).await, Ok(2));
        assert_eq!(outcome(&source, "a", NOW + FRESH_SECONDS).await, Ok(2), "no third question: nobody would answer");
    }

    #[tokio::test]
    async fn a_key_that_was_taken_back_counts_no_longer() {
        let source = serve(vec![(200, document(&["a", "b"])), (200, document(&["b"]))]).await;
        assert_eq!(outcome(&source, "a", NOW).await, Ok(1));
        assert_eq!(outcome(&source, "a", NOW + FRESH_SECONDS + 1).await, Err("token_unknown_key"));
        assert_eq!(source.generation(), 2);
    }

    #[tokio::test]
    async fn known_keys_go_on_counting_while_their_server_is_down() {
        let source = serve(vec![(200, document(&["a"])), (500, String::new())]).await;
        assert_eq!(outcome(&source, "a", NOW).await, Ok(1));
        for later in [1, 2] {
            assert!(outcome(&source, "a", NOW + later * (FRESH_SECONDS + 1)).await.is_ok());
        }
    }

    #[tokio::test]
    async fn without_any_key_a_token_cannot_be_judged() {
        for answer in [(500, String::new()), (200, "<html>".to_owned()), (200, document(&[]))] {
            let source = serve(vec![answer]).await;
            assert_eq!(outcome(&source, "a", NOW).await, Err("unavailable"));
        }
    }

    #[test]
    fn refuses_keys_that_everybody_could_sign_with() {
        let secret = r#"{"keys": [{"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"}]}"#;
        assert!(KeySource::parse(secret.to_owned()).is_err());
        assert!(KeySource::parse("not keys".to_owned()).is_err());
    }
}
