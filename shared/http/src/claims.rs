//! The claims of a token, each of the type that RFC 7519 gives it.

use analytics_domain::access::Role;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Number;

/// 9999-12-31T23:59:59Z: the last second that times of the API can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// What a token says. A claim of another type makes the whole unreadable, so that nothing counts by halves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims {
    /// Epoch seconds.
    #[serde(deserialize_with = "seconds")]
    pub exp: u64,
    /// Epoch seconds; 0 if the token does not say.
    #[serde(default, deserialize_with = "seconds_rounded_up")]
    pub nbf: u64,
    pub account_id: String,
    #[serde(deserialize_with = "role")]
    pub role: Role,
    // The library compares these. They stand here for their types alone: it also takes a list of issuers.
    #[serde(rename = "iss")]
    _issuer: String,
    #[serde(rename = "aud")]
    _audience: Audience,
    #[serde(default, rename = "iat", deserialize_with = "seconds")]
    _issued_at: u64,
    #[serde(default, rename = "sub")]
    _subject: Text,
    #[serde(default, rename = "jti")]
    _id: Text,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(#[expect(dead_code, reason = "only its type counts")] String),
    Several(#[expect(dead_code, reason = "only its type counts")] Vec<String>),
}

/// A string that may be absent, but not null.
#[derive(Debug, Default, Deserialize)]
struct Text(#[expect(dead_code, reason = "only its type counts")] String);

/// A role by its name. As an enum, serde would also take it out of `{"admin": null}`.
fn role<'de, D: Deserializer<'de>>(input: D) -> Result<Role, D::Error> {
    let name = String::deserialize(input)?;
    Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| D::Error::custom("no such role"))
}

/// A `NumericDate`: seconds, perhaps with a fraction, which is cut off.
fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    numeric_date(input, f64::floor)
}

/// As [`seconds`], for what is not to begin too early.
fn seconds_rounded_up<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    numeric_date(input, f64::ceil)
}

fn numeric_date<'de, D: Deserializer<'de>>(input: D, round: fn(f64) -> f64) -> Result<u64, D::Error> {
    let number = Number::deserialize(input)?;
    if let Some(seconds) = number.as_u64() {
        return Ok(seconds.min(LAST_SECOND));
    }
    let seconds = number.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let seconds = seconds.ok_or_else(|| D::Error::custom("a time must be a number of seconds since 1970"))?;
    Ok(round(seconds).min(LAST_SECOND as f64) as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(name: &str, value: Value) -> Result<Claims, serde_json::Error> {
        let mut claims = json!({"exp": 1_800_000_000, "iss": "i", "aud": "a", "accountId": "shop", "role": "viewer"});
        claims[name] = value;
        serde_json::from_value(claims)
    }

    #[test]
    fn times_may_have_a_fraction_and_be_far_away() {
        for (value, exp) in [
            (json!(1_800_000_000), 1_800_000_000),
            (json!(1_800_000_000.75), 1_800_000_000),
            (json!(1.8e9), 1_800_000_000),
            (json!(u64::MAX), LAST_SECOND),
            (json!(1e300), LAST_SECOND),
        ] {
            assert_eq!(with("exp", value.clone()).expect("is a time").exp, exp, "{value}");
        }
        assert_eq!(with("nbf", json!(1_700_000_000.25)).expect("is a time").nbf, 1_700_000_001);
        assert_eq!(with("iat", json!(1_700_000_000.25)).expect("is a time").nbf, 0);
    }

    #[test]
    fn a_claim_of_another_type_makes_all_unreadable() {
        for (name, wrong) in [
            ("exp", vec![json!("1800000000"), json!(true), json!([1_800_000_000]), json!(-1), json!(null), json!({})]),
            ("nbf", vec![json!("soon"), json!(null), json!(-0.5), json!([])]),
            ("iat", vec![json!("2026-11-24"), json!(null), json!(false)]),
            ("iss", vec![json!(["i"]), json!(7), json!(null), json!({"i": 1})]),
            ("aud", vec![json!(7), json!(["a", 7]), json!(null), json!({"a": 1})]),
            ("sub", vec![json!(7), json!(null), json!(["s"])]),
            ("jti", vec![json!(7), json!(null)]),
            ("accountId", vec![json!(7), json!(["shop"]), json!(null)]),
            ("role", vec![json!("root"), json!(["admin"]), json!({"admin": null}), json!(1), json!(null)]),
        ] {
            for value in wrong {
                assert!(with(name, value.clone()).is_err(), "{name}: {value}");
            }
        }
        for (name, right) in
            [("aud", json!(["a", "b"])), ("sub", json!("user-7")), ("jti", json!("")), ("other", json!([1]))]
        {
            assert!(with(name, right.clone()).is_ok(), "{name}: {right}");
        }
    }
}
