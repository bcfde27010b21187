//! Who may do what, and which tokens count.

use analytics_domain::access::{Access, ROUTES, Role};
use analytics_platform::now_millis;
use anyhow::Result;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::stack::{Stack, token, token_with};

/// Another P-256 key, of nobody here.
const FOREIGN_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
";

async fn code(request: reqwest::RequestBuilder) -> Result<(StatusCode, String)> {
    let answer = request.send().await?;
    let status = answer.status();
    let problem: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    Ok((status, problem["code"].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn every_role_may_do_exactly_what_the_table_says() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("roles");
    for route in &ROUTES {
        for role in Role::ALL {
            let request = match Method::from_bytes(route.method.as_bytes())? {
                Method::GET => stack.get(route.path),
                method => stack.request(method, route.path).json(&json!([{"eventName": "role_walk"}])),
            };
            let (status, code) = code(request.bearer_auth(account.token(role))).await?;
            let forbidden = status == StatusCode::FORBIDDEN;
            assert_eq!(forbidden, !role.may(route.operation), "{} {} {code}", role.name(), route.path);
            if forbidden {
                assert_eq!(code, "role_forbidden");
            }
        }
        let anonymous = stack.request(Method::from_bytes(route.method.as_bytes())?, route.path);
        let status = anonymous.send().await?.status();
        assert_eq!(status == StatusCode::UNAUTHORIZED, route.roles != Access::Everyone, "{}", route.path);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_not_right_in_every_way_gets_401_and_says_why() -> Result<()> {
    let stack = Stack::shared().await;
    let ok = json!({"accountId": "tokens", "role": "viewer"});
    let with = |changes: Value| {
        let mut claims = ok.clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        token(&claims)
    };
    let past = now_millis() / 1_000 - 3_600;
    let foreign = EncodingKey::from_ec_pem(FOREIGN_KEY)?;
    let shared_secret = EncodingKey::from_secret(stack.setting("JWT_KEYS").as_bytes());
    let unsigned = {
        let token = with(json!({}));
        let claims = token.split('.').nth(1).unwrap_or_default().to_owned();
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{claims}.")
    };
    for (name, token, expected) in [
        ("not a token", "abc".to_owned(), "token_malformed"),
        ("unsigned", unsigned, "token_malformed"),
        ("expired", with(json!({"exp": past})), "token_expired"),
        ("without end", with(json!({"exp": null})), "token_invalid_claims"),
        ("end is text", with(json!({"exp": "tomorrow"})), "token_invalid_claims"),
        ("not yet valid", with(json!({"nbf": now_millis() / 1_000 + 3_600})), "token_not_yet_valid"),
        ("other issuer", with(json!({"iss": "https://elsewhere.test"})), "token_wrong_issuer"),
        ("without issuer", with(json!({"iss": null})), "token_invalid_claims"),
        ("other audience", with(json!({"aud": "billing"})), "token_wrong_audience"),
        ("without audience", with(json!({"aud": null})), "token_invalid_claims"),
        ("account is a number", with(json!({"accountId": 7})), "token_invalid_claims"),
        ("account is empty", with(json!({"accountId": ""})), "token_invalid_claims"),
        ("no account", with(json!({"accountId": null})), "token_invalid_claims"),
        ("unknown role", with(json!({"role": "root"})), "token_invalid_claims"),
        ("role is a list", with(json!({"role": ["admin"]})), "token_invalid_claims"),
        ("foreign key", token_with(&ok, &foreign, Algorithm::ES256), "token_bad_signature"),
        ("public key as secret", token_with(&ok, &shared_secret, Algorithm::HS256), "token_wrong_algorithm"),
        ("huge", "x".repeat(9_000), "token_malformed"),
    ] {
        let answer = stack.get("/api/events/search").bearer_auth(token).send().await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert!(answer.headers().contains_key("www-authenticate"), "{name}");
        let problem: Value = answer.json().await?;
        assert_eq!(problem["code"], expected, "{name}: {problem}");
    }
    let (status, code) = code(stack.get("/api/events/search").header("authorization", "Basic eDp5")).await?;
    assert_eq!((status, &*code), (StatusCode::UNAUTHORIZED, "token_missing"));
    assert_eq!(stack.get("/api/events/search").bearer_auth(with(json!({}))).send().await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_account_never_sees_the_events_of_another() -> Result<()> {
    let stack = Stack::shared().await;
    let (mine, other) = (stack.account("mine"), stack.account("other"));
    mine.send_all(&[json!({"eventName": "secret", "properties": {"text": "for my eyes only"}})]).await?;
    mine.until_total(1, &[("q", "eyes")]).await?;
    assert_eq!(other.total(&[("q", "eyes")]).await?, 0);
    assert_eq!(other.total(&[]).await?, 0);
    Ok(())
}
