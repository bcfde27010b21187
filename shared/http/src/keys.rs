//! The public keys that tokens are verified with: a JWKS document (RFC 7517), inline or behind an address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use analytics_platform::{
    config::{ConfigError, check_url},
    https,
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, ThumbprintHash},
};
use tokio::sync::Mutex as AsyncMutex;

use crate::ApiError;

/// Fetched keys are used this long without asking again.
const FRESH_SECONDS: u64 = 600;
/// Those that open sockets depend on are asked for more often: nobody sends their tokens again.
const FRESH_FOR_SOCKETS_SECONDS: u64 = 240;
/// A `kid` that is not known makes us ask again, but not more often than this.
const PATIENCE_SECONDS: u64 = 15;
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// After a failure nobody asks for so long, and twice as long after each further one, up to the longest.
const FIRST_PAUSE_SECONDS: u64 = 2;
const LONGEST_PAUSE_SECONDS: u64 = 60;
const DOCUMENT_BYTES: usize = 256 * 1024;

/// A key and the one algorithm it is for.
pub(crate) struct Key {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
    /// Its thumbprint (RFC 7638) and its `kid`: another key under the same `kid` is not the same.
    pub signer: Arc<str>,
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
    Url(Remote),
}

/// Keys behind an address.
#[derive(Debug)]
pub(crate) struct Remote {
    url: http::Uri,
    fetched: Mutex<Fetched>,
    /// Held by the one request that fetches.
    fetching: AsyncMutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Fetched {
    keys: Arc<Keys>,
    /// Of the last success.
    at: u64,
    generation: u64,
    /// Failures since then.
    failures: u32,
    /// Nobody asks before.
    next_try: u64,
}

impl Fetched {
    /// Whether to ask for the keys: they are old, or the one that is wanted is not among them.
    fn is_due(&self, kid: Option<&str>, fresh: u64, seconds: u64) -> bool {
        let age = seconds.saturating_sub(self.at);
        let wanted = age > fresh || (age > PATIENCE_SECONDS && pick(&self.keys, kid).is_none());
        // A clock that was set back must not keep us from asking for long.
        wanted && (seconds >= self.next_try || self.next_try - seconds > LONGEST_PAUSE_SECONDS)
    }
}

impl KeySource {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        // Never quoted: by mistake it may hold private keys.
        let unusable = |expected| ConfigError::Unusable { key: "JWT_KEYS", expected };
        if text.contains("://") && !text.trim_start().starts_with('{') {
            check_url("JWT_KEYS", text)?;
            let url = text.parse().map_err(|_| unusable("the address of a JWKS document"))?;
            return Ok(Self::Url(Remote { url, fetched: Mutex::default(), fetching: AsyncMutex::default() }));
        }
        match serde_json::from_str::<JwkSet>(text).map(|set| read(&set)) {
            Ok(keys) if !keys.is_empty() => Ok(Self::Inline(keys)),
            _ => {
                Err(unusable("a JWKS document with RSA, P-256, P-384 or Ed25519 keys that have a kid, or its address"))
            }
        }
    }

    /// Rises when keys change: what was verified with older ones counts no longer.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Inline(_) => 0,
            Self::Url(remote) => remote.known().generation,
        }
    }

    /// The key of this name, or the only one there is.
    pub(crate) async fn find(&self, kid: Option<&str>, seconds: u64) -> Result<(Arc<Key>, u64), ApiError> {
        let found = match self {
            Self::Inline(keys) => pick(keys, kid).map(|key| (key, 0)),
            Self::Url(remote) => {
                let known = remote.current(kid, FRESH_SECONDS, seconds).await;
                if known.keys.is_empty() {
                    let pause = known.next_try.saturating_sub(seconds).clamp(1, LONGEST_PAUSE_SECONDS);
                    return Err(ApiError {
                        retry_after_seconds: u32::try_from(pause).ok(),
                        ..ApiError::unavailable("the key server", "no keys could be fetched so far")
                    });
                }
                pick(&known.keys, kid).map(|key| (key, known.generation))
            }
        };
        found.ok_or_else(|| match kid {
            Some(_) => ApiError::unauthorized("token_unknown_key", "the token is signed by a key (kid) not known here"),
            None => ApiError::unauthorized("token_unknown_key", "the token does not say which key signed it (kid)"),
        })
    }

    /// Whether a key that has signed a token is still among the keys. As long as none could be fetched, it is.
    pub(crate) async fn holds(&self, signer: &str, seconds: u64) -> bool {
        let kid = signer.split_once('.').map(|(_, kid)| kid);
        let is_in = |keys: &Keys| pick(keys, kid).is_some_and(|key| *key.signer == *signer);
        match self {
            Self::Inline(keys) => is_in(keys),
            Self::Url(remote) => {
                let known = remote.current(kid, FRESH_FOR_SOCKETS_SECONDS, seconds).await;
                known.keys.is_empty() || is_in(&known.keys)
            }
        }
    }
}

fn pick(keys: &Keys, kid: Option<&str>) -> Option<Arc<Key>> {
    match kid {
        Some(kid) => keys.get(kid).cloned(),
        None if keys.len() == 1 => keys.values().next().cloned(),
        None => None,
    }
}

impl Remote {
    fn known(&self) -> Fetched {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys, fetched anew if that is due. One request fetches, others wait for it only if they lack their key. While the
    /// server is down, the keys already known go on counting, and it is asked again after a pause, not by each request.
    async fn current(&self, kid: Option<&str>, fresh: u64, seconds: u64) -> Fetched {
        let known = self.known();
        if !known.is_due(kid, fresh, seconds) {
            return known;
        }
        let _fetching = match pick(&known.keys, kid) {
            Some(_) => match self.fetching.try_lock() {
                Ok(held) => held,
                Err(_) => return known,
            },
            None => self.fetching.lock().await,
        };
        // Somebody may have fetched them meanwhile.
        let known = self.known();
        if !known.is_due(kid, fresh, seconds) {
            return known;
        }
        let now_known = match self.fetch().await {
            Ok(keys) => Fetched {
                keys: Arc::new(keys),
                at: seconds,
                generation: known.generation + 1,
                failures: 0,
                next_try: 0,
            },
            Err(cause) => {
                let pause = FIRST_PAUSE_SECONDS.saturating_mul(1 << known.failures.min(8)).min(LONGEST_PAUSE_SECONDS);
                tracing::warn!(
                    error.cause = cause,
                    keys = known.keys.len(),
                    pause,
                    "the JWKS document could not be fetched"
                );
                let (failures, next_try) = (known.failures.saturating_add(1), seconds.saturating_add(pause));
                Fetched { failures, next_try, ..known }
            }
        };
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = now_known.clone();
        now_known
    }

    async fn fetch(&self) -> Result<Keys, String> {
        match tokio::time::timeout(FETCH_TIMEOUT, fetch(&self.url)).await {
            Ok(Ok(keys)) if keys.is_empty() => Err("the JWKS document holds no usable key".to_owned()),
            Ok(fetched) => fetched,
            Err(_) => Err("the JWKS document did not come in time".to_owned()),
        }
    }
}

async fn fetch(url: &http::Uri) -> Result<Keys, String> {
    let connector = https::connector().map_err(|error| error.to_string())?;
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let answer = client.get(url.clone()).await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("the key server answered {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), DOCUMENT_BYTES).collect().await.map_err(|error| error.to_string())?;
    let set: JwkSet =
        serde_json::from_slice(&body.to_bytes()).map_err(|_| "what came is no JWKS document".to_owned())?;
    Ok(read(&set))
}

/// The keys of a set that have a name and an algorithm we know; others are for something else.
fn read(set: &JwkSet) -> Keys {
    let usable = |jwk: &Jwk| {
        let algorithm = algorithm(jwk)?;
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let (kid, print) = (jwk.common.key_id.clone()?, jwk.thumbprint(ThumbprintHash::SHA256).ok()?);
        let signer = format!("{print}.{kid}").into();
        Some((kid, Arc::new(Key { algorithm, key, signer })))
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
        KeySource::parse(&format!("http://{address}/jwks.json")).expect("is an address")
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
    async fn a_server_that_is_down_is_asked_again_after_a_pause_and_not_by_each_request() {
        let down = || (500, String::new());
        let source = serve(vec![down(), down(), (200, document(&["a"]))]).await;
        // Questions at these moments; a fetch is one answer served. A fourth fetch would never be answered.
        for (later, expected) in [
            (0, Err("unavailable")),
            (0, Err("unavailable")),
            (FIRST_PAUSE_SECONDS - 1, Err("unavailable")),
            (FIRST_PAUSE_SECONDS, Err("unavailable")),
            (3 * FIRST_PAUSE_SECONDS - 1, Err("unavailable")),
            (3 * FIRST_PAUSE_SECONDS, Ok(1)),
            (3 * FIRST_PAUSE_SECONDS + 1, Ok(1)),
        ] {
            assert_eq!(outcome(&source, "a", NOW + later).await, expected, "after {later} s");
        }
        let refused = serve(vec![down()]).await.find(Some("a"), NOW).await.expect_err("nobody knows the key");
        assert_eq!(refused.retry_after_seconds, Some(2));
    }

    #[tokio::test]
    async fn requests_that_come_together_fetch_once() {
        let source = serve(vec![(200, document(&["a"]))]).await;
        let (a, b, c) =
            tokio::join!(outcome(&source, "a", NOW), outcome(&source, "a", NOW), outcome(&source, "a", NOW));
        assert_eq!([a, b, c], [Ok(1); 3]);
    }

    #[tokio::test]
    async fn a_key_that_was_taken_back_holds_no_socket_open() {
        let source = serve(vec![(200, document(&["a", "b"])), (200, document(&["b"]))]).await;
        let signer = |key: &Arc<Key>| Arc::clone(&key.signer);
        let (a, b) = (source.find(Some("a"), NOW).await.unwrap().0, source.find(Some("b"), NOW).await.unwrap().0);
        let (a, b) = (signer(&a), signer(&b));
        assert!(source.holds(&a, NOW + FRESH_FOR_SOCKETS_SECONDS).await, "it was there a moment ago");
        assert!(!source.holds(&a, NOW + FRESH_FOR_SOCKETS_SECONDS + 1).await);
        assert!(source.holds(&b, NOW + FRESH_FOR_SOCKETS_SECONDS + 2).await);
        const {
            assert!(FRESH_FOR_SOCKETS_SECONDS + 300 < 600, "with the look at idle sockets, which is every five minutes")
        };
    }

    #[tokio::test]
    async fn another_key_of_the_same_name_is_not_the_same() {
        let inline = KeySource::parse(&document(&["a"])).unwrap();
        let signer = inline.find(Some("a"), NOW).await.unwrap().0.signer.clone();
        assert!(inline.holds(&signer, NOW).await);
        assert!(!inline.holds(&signer.replacen(|_: char| true, "!", 1), NOW).await);
        assert!(!inline.holds("", NOW).await);
    }

    #[tokio::test]
    async fn sockets_stay_while_no_key_could_be_fetched() {
        let source = serve(vec![(500, String::new())]).await;
        assert!(source.holds("print.a", NOW).await);
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        assert!(KeySource::parse("https://keys.example.test/jwks.json").is_ok());
        let refused = KeySource::parse("http://keys.example.test/jwks.json").expect_err("refused");
        assert_eq!(refused, ConfigError::Unencrypted { key: "JWT_KEYS" });
        let private = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "d": "hunter2"}]}"#;
        assert!(!KeySource::parse(private).expect_err("refused").to_string().contains("hunter2"));
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
        assert!(KeySource::parse(secret).is_err());
        assert!(KeySource::parse("not keys").is_err());
    }
}
