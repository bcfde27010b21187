//! The key that signs tokens of the local stack, and the tokens.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::SecretKey;
use p256::elliptic_curve::rand_core::OsRng;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::{Config, JWT_AUDIENCE, JWT_ISSUER};
use crate::install::hex;
use crate::private;

const DEFAULT_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub struct SigningKey {
    secret: SecretKey,
    pem: String,
}

/// Whose token, for what and for how long.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenRequest {
    pub account: String,
    pub role: String,
    pub ttl: Duration,
}

impl SigningKey {
    pub fn load(config: &Config) -> Result<Self> {
        let file = Self::file(config);
        let pem = fs::read_to_string(&file).context("the stack was never started: try `make up`")?;
        let secret = SecretKey::from_pkcs8_pem(&pem).with_context(|| format!("{} is no key", file.display()))?;
        Ok(Self { secret, pem })
    }

    pub fn load_or_create(config: &Config) -> Result<Self> {
        let file = Self::file(config);
        if !file.exists() {
            fs::create_dir_all(file.parent().context("a key needs a folder")?)?;
            let pem = SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF)?;
            private::write(&file, pem.as_bytes())?;
        }
        Self::load(config)
    }

    pub fn file(config: &Config) -> PathBuf {
        config.state.join("keys/signing.pem")
    }

    /// The JWKS document that verifies what this key signs.
    pub fn public_keys(&self) -> Result<String> {
        let point = self.secret.public_key().to_encoded_point(false);
        let (x, y) = (point.x().context("no point")?, point.y().context("no point")?);
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id(),
            "x": URL_SAFE_NO_PAD.encode_to_string(x), "y": URL_SAFE_NO_PAD.encode_to_string(y),
        });
        Ok(json!({ "keys": [key] }).to_string())
    }

    /// Valid from now on.
    #[expect(clippy::disallowed_methods, reason = "a tool's tokens are for now")]
    pub fn token(&self, request: &TokenRequest) -> Result<String> {
        let header = Header { kid: Some(self.id()), ..Header::new(Algorithm::ES256) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let claims = json!({
            "iss": JWT_ISSUER, "aud": JWT_AUDIENCE, "iat": now.as_secs(), "exp": (now + request.ttl).as_secs(),
            "accountId": request.account, "role": request.role,
        });
        Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_pem(self.pem.as_bytes())?)?)
    }

    fn id(&self) -> String {
        hex(&Sha256::digest(self.secret.public_key().to_encoded_point(false).as_bytes())[..8])
    }
}

impl TokenRequest {
    pub fn new(account: &str, role: &str) -> Self {
        Self { account: account.to_owned(), role: role.to_owned(), ttl: DEFAULT_TTL }
    }

    /// # Errors
    /// Says which option is missing or unknown.
    pub fn parse(options: &[String]) -> Result<Self> {
        let (mut account, mut role, mut ttl) = (None, None, DEFAULT_TTL);
        for option in options.chunks(2) {
            let [name, value] = option else { bail!("{} needs a value", option[0]) };
            match name.as_str() {
                "--account" => account = Some(value.clone()),
                "--role" if ["ingest", "viewer", "analyst", "admin"].contains(&value.as_str()) => {
                    role = Some(value.clone());
                }
                "--role" => bail!("--role is one of ingest, viewer, analyst, admin"),
                "--ttl" => ttl = parse_ttl(value)?,
                _ => bail!("no option {name}: there are --account, --role and --ttl"),
            }
        }
        Ok(Self { account: account.context("--account is missing")?, role: role.context("--role is missing")?, ttl })
    }
}

fn parse_ttl(text: &str) -> Result<Duration> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => bail!("--ttl is a number with s, m, h or d, such as 30d"),
    };
    let number: u64 = text[..text.len() - 1].parse().with_context(|| format!("--ttl {text} is no length of time"))?;
    Ok(Duration::from_secs(number.checked_mul(unit).filter(|ttl| *ttl < 1 << 40).context("--ttl is too long")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &str) -> Result<TokenRequest> {
        TokenRequest::parse(&options.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_what_a_token_is_for() -> Result<()> {
        let request = parse("--account demo --role admin --ttl 2h")?;
        let two_hours = Duration::from_secs(7200);
        assert_eq!(request, TokenRequest { ttl: two_hours, ..TokenRequest::new("demo", "admin") });
        assert!(parse("--account demo --role king").is_err());
        assert!(parse("--account demo").is_err());
        assert!(parse("--account demo --role").is_err());
        assert!(parse("--account demo --role admin --ttl 5x").is_err());
        assert!(parse("--account demo --role admin --ttl 99999999999999999d").is_err());
        Ok(())
    }

    #[test]
    fn its_public_key_verifies_its_tokens() -> Result<()> {
        let secret = SecretKey::random(&mut OsRng);
        let key = SigningKey { pem: secret.to_pkcs8_pem(LineEnding::LF)?.to_string(), secret };
        let token = key.token(&TokenRequest::new("demo", "viewer"))?;
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&key.public_keys()?)?;
        let kid = jsonwebtoken::decode_header(&token)?.kid.context("no kid")?;
        let public = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid).context("no such key")?)?;
        let mut validation = jsonwebtoken::Validation::new(Algorithm::ES256);
        validation.set_audience(&[JWT_AUDIENCE]);
        let claims = jsonwebtoken::decode::<serde_json::Value>(&token, &public, &validation)?.claims;
        assert_eq!(claims["accountId"], "demo");
        assert_eq!(claims["role"], "viewer");
        Ok(())
    }
}
