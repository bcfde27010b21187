//! Who may do what, and which tokens count.

use analytics_domain::access::{Access, Operation, ROUTES, Role};
use analytics_platform::now_millis;
use anyhow::{Context, Result};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tests::stack::{Account, Stack, signing_key, token, token_with};

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

/// A request that makes sense for an operation, and the status of one that is let through. What it changes or deletes is made
/// for it.
async fn sensible(account: &Account<'_>, operation: Operation) -> Result<(RequestBuilder, StatusCode)> {
    let (stack, route) = (account.stack, operation.route());
    let metric = |name: &str| json!({"name": name, "type": "counter", "formula": "message_sent"});
    let name = format!("walk-{:04x}", u16::from_be_bytes(analytics_platform::random()));
    let create = async || {
        let create = stack.post("/api/metrics").bearer_auth(account.token(Role::Admin)).json(&metric(&name));
        let created: Value = create.send().await?.error_for_status()?.json().await?;
        let id = created.get("metricId").or(created.get("id")).and_then(Value::as_str);
        anyhow::Ok(route.path.replace("{id}", id.context("a metric has an id")?))
    };
    let to = |path: &str| anyhow::Ok(stack.request(Method::from_bytes(route.method.as_bytes())?, path));
    let built_in = route.path.replace("{id}", "delivery_rate");
    Ok(match operation {
        Operation::TrackEvent => (to(route.path)?.json(&json!({"eventName": "role_walk"})), StatusCode::ACCEPTED),
        Operation::TrackEvents => (to(route.path)?.json(&json!([{"eventName": "role_walk"}])), StatusCode::ACCEPTED),
        Operation::CreateMetric => (to(route.path)?.json(&metric(&name)), StatusCode::CREATED),
        Operation::UpdateMetric => (to(&create().await?)?.json(&metric(&name)), StatusCode::OK),
        Operation::DeleteMetric => (to(&create().await?)?, StatusCode::NO_CONTENT),
        Operation::QueryMetrics => (to(route.path)?.json(&json!({"formula": "message_sent"})), StatusCode::OK),
        Operation::RefuseRoute => (stack.request(Method::PATCH, "/api/metrics/ctr"), StatusCode::METHOD_NOT_ALLOWED),
        Operation::GetDashboardFile => {
            let page = stack.get("/").send().await?.text().await?;
            let file = page.split('"').find(|part| part.starts_with("assets/")).context("the page has files")?;
            (to(&format!("/{file}"))?, StatusCode::OK)
        }
        Operation::SearchEvents
        | Operation::ListMetrics
        | Operation::GetMetric
        | Operation::GetMetricData
        | Operation::GetHealth
        | Operation::GetOpenapi
        | Operation::GetAsyncapi
        | Operation::GetDashboard => (to(&built_in)?, StatusCode::OK),
    })
}

/// The code of an answer that is fine: none, but of the route that refuses whatever it gets.
fn refusal(fine: StatusCode) -> &'static str {
    if fine.is_success() { "" } else { "method_not_allowed" }
}

#[tokio::test]
async fn every_role_may_do_exactly_what_the_table_says() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("roles");
    for route in &ROUTES {
        for role in Role::ALL {
            let (request, fine) = sensible(&account, route.operation).await?;
            let expected = if role.may(route.operation) {
                (fine, refusal(fine))
            } else {
                (StatusCode::FORBIDDEN, "role_forbidden")
            };
            let (status, code) = code(request.bearer_auth(account.token(role))).await?;
            assert_eq!((status, &*code), expected, "{} {} {}", role.name(), route.method, route.path);
        }
        let (anonymous, fine) = sensible(&account, route.operation).await?;
        let expected = match route.roles {
            Access::Everyone => (fine, refusal(fine)),
            Access::Roles(_) => (StatusCode::UNAUTHORIZED, "token_missing"),
        };
        let (status, code) = code(anonymous).await?;
        assert_eq!((status, &*code), expected, "nobody {} {}", route.method, route.path);
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
    let (past, later) = (now_millis() / 1_000 - 3_600, now_millis() / 1_000 + 3_600);
    // A token that counts but for what is changed in its header.
    let headed = |change: fn(&mut Header)| {
        let known = jsonwebtoken::decode_header(with(json!({})))?;
        let mut header = Header { kid: known.kid, ..Header::new(Algorithm::ES256) };
        change(&mut header);
        let (iss, aud) = (stack.setting("JWT_ISSUER"), stack.setting("JWT_AUDIENCE"));
        let claims = json!({"iss": iss, "aud": aud, "exp": later, "accountId": "tokens", "role": "viewer"});
        anyhow::Ok(encode(&header, &claims, signing_key())?)
    };
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
        ("ended with a fraction", with(json!({"exp": past as f64 + 0.5})), "token_expired"),
        ("not yet valid with a fraction", with(json!({"nbf": later as f64 + 0.5})), "token_not_yet_valid"),
        ("begin is text", with(json!({"nbf": "now"})), "token_invalid_claims"),
        ("issuers are a list", with(json!({"iss": [stack.setting("JWT_ISSUER")]})), "token_invalid_claims"),
        ("audience is a number", with(json!({"aud": 7})), "token_invalid_claims"),
        ("subject is a number", with(json!({"sub": 7})), "token_invalid_claims"),
        ("role is an object", with(json!({"role": {"admin": null}})), "token_invalid_claims"),
        ("account of the service", with(json!({"accountId": "#leases"})), "token_invalid_claims"),
        ("unknown extension", headed(|header| header.crit = Some(vec!["exp".to_owned()]))?, "token_malformed"),
        ("no extension", headed(|header| header.crit = Some(Vec::new()))?, "token_malformed"),
        ("other type", headed(|header| header.typ = Some("dpop+jwt".to_owned()))?, "token_malformed"),
        ("empty type", headed(|header| header.typ = Some(String::new()))?, "token_malformed"),
    ] {
        let answer = stack.get("/api/events/search").bearer_auth(token).send().await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert!(answer.headers().contains_key("www-authenticate"), "{name}");
        let problem: Value = answer.json().await?;
        assert_eq!(problem["code"], expected, "{name}: {problem}");
    }
    let (status, code) = code(stack.get("/api/events/search").header("authorization", "Basic eDp5")).await?;
    assert_eq!((status, &*code), (StatusCode::UNAUTHORIZED, "token_missing"));
    for token in [
        with(json!({})),
        with(json!({"exp": later as f64 + 0.5, "nbf": past as f64 + 0.5, "iat": past, "sub": "s", "jti": "j"})),
        with(json!({"aud": ["other", stack.setting("JWT_AUDIENCE")]})),
        headed(|header| header.typ = None)?,
        headed(|header| header.typ = Some("AT+JWT".to_owned()))?,
        headed(|header| header.typ = Some("jwt".to_owned()))?,
    ] {
        assert_eq!(stack.get("/api/events/search").bearer_auth(token).send().await?.status(), StatusCode::OK);
    }
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
