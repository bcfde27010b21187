//! Who is asking: the bearer token of a request, verified in the function itself.
//!
//! The algorithm is pinned to the key, never taken from the token. A token that has been verified is remembered by its
//! full text until it expires, so a busy client's signature is checked once a process, not once a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use analytics_domain::{
    access::{Caller, Operation, Route},
    account::AccountId,
};
use analytics_platform::config::{ConfigError, Lookup};
use http::{StatusCode, header};
use jsonwebtoken::{Header, Validation, decode, decode_header, errors::ErrorKind};
use lambda_http::Request;

use crate::{
    ApiError, Incoming,
    claims::Claims,
    keys::{Key, KeySource},
};

/// Clocks may differ by this many seconds.
const LEEWAY_SECONDS: u64 = 30;
/// Tokens remembered at most; then the memory starts anew.
const REMEMBERED: usize = 1_000;
/// Longer tokens are refused unread.
const TOKEN_BYTES: usize = 8 * 1024;

/// Values of `typ` of access tokens (RFC 7519, section 5.1; RFC 9068, section 2.1).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// Verifies tokens of one issuer for one audience.
#[derive(Debug)]
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: KeySource,
    verified: Mutex<HashMap<String, Verified>>,
}

/// Who a token is for.
#[derive(Clone, Debug)]
pub struct Identity {
    pub caller: Arc<Caller>,
    /// Epoch milliseconds.
    pub expires_at: i64,
    /// The key that signed it, as [`Verifier::still_holds`] takes it.
    pub signed_by: Arc<str>,
}

#[derive(Clone, Debug)]
struct Verified {
    caller: Arc<Caller>,
    expires: u64,
    signed_by: Arc<str>,
    /// The generation of keys it was verified with.
    generation: u64,
}

impl Verifier {
    /// Reads `JWT_ISSUER`, `JWT_AUDIENCE` and `JWT_KEYS` (a JWKS document, or the address of one).
    ///
    /// # Errors
    /// If one is missing or `JWT_KEYS` holds no usable key.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self {
            issuer: lookup.required("JWT_ISSUER")?,
            audience: lookup.required("JWT_AUDIENCE")?,
            keys: KeySource::parse(&lookup.required("JWT_KEYS")?)?,
            verified: Mutex::default(),
        })
    }

    /// Who sent the request, if they may do this. `now` is in epoch milliseconds.
    ///
    /// # Errors
    /// 401 without a token that counts, 403 if its role may not.
    pub async fn authorize(&self, request: &Request, operation: Operation, now: i64) -> Result<Arc<Caller>, ApiError> {
        let Identity { caller, .. } = self.identify(bearer(request)?, now).await?;
        if caller.role.may(operation) {
            return Ok(caller);
        }
        let Route { method, path, .. } = operation.route();
        let detail = format!("the role {} may not call {method} {path}", caller.role.name());
        Err(ApiError::new(StatusCode::FORBIDDEN, "role_forbidden", detail))
    }

    /// Who a token is for, and until when.
    ///
    /// # Errors
    /// 401 if it does not count.
    pub async fn identify(&self, token: &str, now: i64) -> Result<Identity, ApiError> {
        if token.len() > TOKEN_BYTES {
            return Err(ApiError::unauthorized("token_malformed", format!("a token has at most {TOKEN_BYTES} bytes")));
        }
        let seconds = seconds(now);
        // Asking whether its key still counts is what fetches the keys anew, however busy the bearer of one token is.
        let Verified { caller, expires, signed_by, .. } = match self.remembered(token, seconds) {
            Some(known) if self.keys.holds(&known.signed_by, seconds).await => known,
            _ => self.verify(token, seconds).await?,
        };
        let expires_at = i64::try_from(expires).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        Ok(Identity { caller, expires_at, signed_by })
    }

    /// Whether the key that signed a token is still one of those that count. Of an address, they are fetched again if they are
    /// older than four minutes.
    pub async fn still_holds(&self, signed_by: &str, now: i64) -> bool {
        self.keys.holds(signed_by, seconds(now)).await
    }

    fn remembered(&self, token: &str, seconds: u64) -> Option<Verified> {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let verified = verified.get(token)?;
        let counts =
            seconds <= verified.expires.saturating_add(LEEWAY_SECONDS) && verified.generation == self.keys.generation();
        counts.then(|| verified.clone())
    }

    async fn verify(&self, token: &str, seconds: u64) -> Result<Verified, ApiError> {
        let header = decode_header(token)
            .map_err(|_| ApiError::unauthorized("token_malformed", "the token is not a signed JWT"))?;
        check_header(&header)?;
        let (key, generation) = self.keys.find(header.kid.as_deref(), seconds).await?;
        if header.alg != key.algorithm {
            let detail = format!("the token is signed with {:?}, but its key is for {:?}", header.alg, key.algorithm);
            return Err(ApiError::unauthorized("token_wrong_algorithm", detail));
        }
        let claims = self.claims(token, &key)?;
        // The library has looked at the clock itself; this holds its judgement to the time we were given.
        if claims.exp.saturating_add(LEEWAY_SECONDS) < seconds {
            return Err(refusal(&ErrorKind::ExpiredSignature));
        }
        if claims.nbf > seconds.saturating_add(LEEWAY_SECONDS) {
            return Err(refusal(&ErrorKind::ImmatureSignature));
        }
        let account_id = AccountId::parse(&claims.account_id)
            .map_err(|error| ApiError::unauthorized("token_invalid_claims", format!("accountId {error}")))?;
        let caller = Arc::new(Caller { account_id, role: claims.role });
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        let entry = Verified { caller, expires: claims.exp, signed_by: Arc::clone(&key.signer), generation };
        verified.insert(token.to_owned(), entry.clone());
        Ok(entry)
    }

    fn claims(&self, token: &str, key: &Key) -> Result<Claims, ApiError> {
        let mut rules = Validation::new(key.algorithm);
        rules.leeway = LEEWAY_SECONDS;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<Claims>(token, &key.key, &rules).map_err(|error| refusal(error.kind()))?.claims;
        Ok(claims)
    }
}

/// Refuses what the header of a token says and this service does not know: extensions that must be understood (RFC 7515,
/// section 4.1.11), and tokens that are for something else (RFC 8725, section 3.11).
fn check_header(header: &Header) -> Result<(), ApiError> {
    if header.crit.is_some() || header.extras.get::<serde_json::Value>("b64").is_ok_and(|b64| b64.is_some()) {
        let detail = "the token's header has extensions (crit) that this service does not know";
        return Err(ApiError::unauthorized("token_malformed", detail));
    }
    match &header.typ {
        Some(kind) if !TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind)) => {
            let detail = "the token's typ must be JWT or at+jwt, or absent: it is for something else";
            Err(ApiError::unauthorized("token_malformed", detail))
        }
        _ => Ok(()),
    }
}

fn seconds(now: i64) -> u64 {
    u64::try_from(now / 1_000).unwrap_or_default()
}

fn bearer(request: &Request) -> Result<&str, ApiError> {
    let Some(value) = Incoming::new(request).header(header::AUTHORIZATION) else {
        return Err(ApiError::unauthorized("token_missing", "send a token: Authorization: Bearer <JWT>"));
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(ApiError::unauthorized("token_missing", "the Authorization header must be: Bearer <JWT>"));
    }
    Ok(token)
}

fn refusal(kind: &ErrorKind) -> ApiError {
    let (code, detail) = match kind {
        ErrorKind::ExpiredSignature => ("token_expired", "the token has expired".to_owned()),
        ErrorKind::ImmatureSignature => ("token_not_yet_valid", "the token is not valid yet (nbf)".to_owned()),
        ErrorKind::InvalidSignature => ("token_bad_signature", "the token's signature is wrong".to_owned()),
        ErrorKind::InvalidIssuer => ("token_wrong_issuer", "the token is from another issuer (iss)".to_owned()),
        ErrorKind::InvalidAudience => ("token_wrong_audience", "the token is for another audience (aud)".to_owned()),
        ErrorKind::MissingRequiredClaim(claim) => {
            ("token_invalid_claims", format!("the token lacks the claim {claim}"))
        }
        ErrorKind::Json(_) => {
            let detail = "the token's claims must hold exp (a number), iss (a string), aud (a string or a list of \
                          strings), accountId (a string) and role (ingest, viewer, analyst or admin); nbf and iat must be \
                          numbers, sub and jti strings, where they are present";
            ("token_invalid_claims", detail.to_owned())
        }
        _ => ("token_malformed", "the token is not one that this service can read".to_owned()),
    };
    ApiError::unauthorized(code, detail)
}
