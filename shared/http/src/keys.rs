//! The public keys that tokens are verified with: a JWKS document (RFC 7517), inline or behind an address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use analytics_platform::config::ConfigError;
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
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| error.to_string())?
        .https_or_http()
        .enable_http1()
        .build();
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
