//! The running stack that `make test` sets up, as tests see it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::{
    config::{Lookup, environment},
    now_millis,
};
use anyhow::{Context, Result, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Tests run side by side, each with an account of its own; one that breaks something for all runs alone.
static GATE: RwLock<()> = RwLock::const_new(());

/// How long the whole chain may take before a test gives up waiting: the promise of the design.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A test's hold on the stack.
pub struct Stack {
    _hold: Hold,
    http: Client,
}

enum Hold {
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'static, ()>),
}

impl Stack {
    /// The stack, together with other tests.
    pub async fn shared() -> Self {
        Self { _hold: Hold::Shared(GATE.read().await), http: Client::new() }
    }

    /// The stack for this test alone, which may break it, and must mend it.
    pub async fn alone() -> Self {
        Self { _hold: Hold::Alone(GATE.write().await), http: Client::new() }
    }

    /// A setting of the stack, such as `API_URL`.
    ///
    /// # Panics
    /// If it is not set, because the test was not started by `make test`.
    #[must_use]
    pub fn setting(&self, key: &'static str) -> String {
        environment.required(key).expect("the stack's settings are in the environment: run `make test`")
    }

    /// Where the stack keeps its state and its logs.
    ///
    /// # Errors
    /// If its settings are not those of a local stack.
    pub fn folder(&self) -> Result<PathBuf> {
        // <folder>/keys/signing.pem
        let key = PathBuf::from(self.setting("SIGNING_KEY"));
        Ok(key.ancestors().nth(2).context("the stack has a folder")?.to_owned())
    }

    /// An account that no other test uses.
    #[must_use]
    pub fn account(&self, name: &str) -> Account<'_> {
        let suffix: [u8; 4] = analytics_platform::random();
        Account { stack: self, id: format!("{name}-{:08x}", u32::from_be_bytes(suffix)) }
    }

    /// A request to the API without a token.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.setting("API_URL")))
    }

    /// As [`Stack::get`], by any method.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.setting("API_URL")))
    }

    /// As [`Stack::get`].
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.setting("API_URL")))
    }

    /// Asks ClickHouse itself; the answer as text.
    ///
    /// # Errors
    /// If it refuses or does not answer.
    pub async fn clickhouse(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<String> {
        self.clickhouse_in(&self.setting("CLICKHOUSE_DATABASE"), sql, parameters).await
    }

    /// As [`Self::clickhouse`], with the tables of another database.
    ///
    /// # Errors
    /// As [`Self::clickhouse`].
    pub async fn clickhouse_in(&self, database: &str, sql: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let mut query: Vec<(String, String)> = vec![("database".to_owned(), database.to_owned())];
        query.extend(parameters.iter().map(|(name, value)| (format!("param_{name}"), (*value).to_owned())));
        let request = self.http.post(self.setting("CLICKHOUSE_URL")).query(&query).body(sql.to_owned());
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{text}");
        Ok(text.trim_end().to_owned())
    }

    /// A database with all tables, made by statements that are changed before; its name.
    ///
    /// # Errors
    /// As [`Self::clickhouse`].
    pub async fn database(&self, name: &str, changed: impl Fn(String) -> String) -> Result<String> {
        let suffix: [u8; 8] = analytics_platform::random();
        let database = format!("{name}_{:016x}", u64::from_be_bytes(suffix));
        self.clickhouse(&format!("CREATE DATABASE {database}"), &[]).await?;
        for statement in clickhouse_migrations::all().iter().flat_map(|migration| migration.statements(400)) {
            self.clickhouse_in(&database, &changed(statement), &[]).await?;
        }
        Ok(database)
    }

    /// The binary of a function, as built for the stack.
    ///
    /// # Panics
    /// If the build folder cannot be found.
    #[must_use]
    pub fn function(&self, name: &str) -> PathBuf {
        let test = std::env::current_exe().expect("a test has a file");
        // target/<profile>/deps/e2e-…
        let profile = test.ancestors().find(|folder| folder.join(name).is_file());
        profile.expect("the functions are built beside the tests").join(name)
    }
}

/// An account of one test.
pub struct Account<'s> {
    pub stack: &'s Stack,
    pub id: String,
}

impl Account<'_> {
    #[must_use]
    pub fn token(&self, role: Role) -> String {
        token(&json!({"accountId": self.id, "role": role.name()}))
    }

    /// Sends a batch and returns the answer.
    ///
    /// # Errors
    /// If none comes.
    pub async fn send(&self, body: &Value) -> Result<Response> {
        let request = self.stack.post("/api/events/batch").bearer_auth(self.token(Role::Ingest));
        Ok(request.header("content-type", "application/json").body(body.to_string()).send().await?)
    }

    /// Sends a batch of which every event must be accepted.
    ///
    /// # Errors
    /// If one was not.
    pub async fn send_all(&self, events: &[Value]) -> Result<()> {
        let answer = self.send(&json!({"events": events})).await?;
        let status = answer.status();
        let verdict: Value = answer.json().await?;
        ensure!(status == StatusCode::ACCEPTED && verdict["rejected"] == 0, "{status} {verdict}");
        Ok(())
    }

    /// Searches with these query parameters.
    ///
    /// # Errors
    /// If the answer is not 200.
    pub async fn search(&self, parameters: &[(&str, &str)]) -> Result<Value> {
        let request = self.stack.get("/api/events/search").bearer_auth(self.token(Role::Viewer)).query(parameters);
        let answer = request.send().await?;
        let status = answer.status();
        let found: Value = answer.json().await?;
        ensure!(status == StatusCode::OK, "{status} {found}");
        Ok(found)
    }

    /// Asks for metrics by `POST /api/query`.
    ///
    /// # Errors
    /// If the answer is not 200.
    pub async fn query(&self, body: &Value) -> Result<Value> {
        let request = self.stack.post("/api/query").bearer_auth(self.token(Role::Viewer)).json(body);
        let answer = request.send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status == StatusCode::OK, "{status} {answer}");
        Ok(answer)
    }

    /// How many events match.
    ///
    /// # Errors
    /// As [`Account::search`].
    pub async fn total(&self, parameters: &[(&str, &str)]) -> Result<u64> {
        let mut all = vec![("count", "true"), ("limit", "1")];
        all.extend_from_slice(parameters);
        self.search(&all).await?["total"].as_u64().context("a count was asked for")
    }

    /// Waits until this many events match, for as long as the promise allows.
    ///
    /// # Errors
    /// If they are fewer after that, or more at any time.
    pub async fn until_total(&self, wanted: u64, parameters: &[(&str, &str)]) -> Result<()> {
        let mut total = 0;
        eventually(&format!("{wanted} events"), async || {
            total = self.total(parameters).await?;
            ensure!(total <= wanted, "{total} events where {wanted} were sent");
            Ok(total == wanted)
        })
        .await
    }
}

/// Waits until a condition holds.
///
/// # Errors
/// If it does not within [`PATIENCE`], or cannot be asked.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    within(PATIENCE, what, holds).await
}

/// As [`eventually`], with a patience of one's own.
///
/// # Errors
/// If it still does not hold then.
pub async fn within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    loop {
        if holds().await? {
            return Ok(());
        }
        ensure!(started.elapsed() < patience, "still not after {} s: {what}", patience.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

static KEY: LazyLock<EncodingKey> = LazyLock::new(|| {
    let path = environment.required("SIGNING_KEY").expect("the stack's settings are in the environment");
    EncodingKey::from_ec_pem(&std::fs::read(path).expect("the stack's key can be read")).expect("is a P-256 key")
});

/// The key that the stack trusts.
///
/// # Panics
/// If the stack's settings are not in the environment.
#[must_use]
pub fn signing_key() -> &'static EncodingKey {
    &KEY
}

/// A token signed by the stack's key, valid unless `claims` say otherwise.
///
/// # Panics
/// If the stack's settings are not in the environment.
#[must_use]
pub fn token(claims: &Value) -> String {
    token_with(claims, &KEY, Algorithm::ES256)
}

/// As [`token`], signed by any key.
///
/// # Panics
/// As [`token`].
#[must_use]
pub fn token_with(claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let setting = |name| environment.required(name).expect("the stack's settings are in the environment");
    let mut all: HashMap<String, Value> = HashMap::from([
        ("iss".to_owned(), setting("JWT_ISSUER").into()),
        ("aud".to_owned(), setting("JWT_AUDIENCE").into()),
        ("exp".to_owned(), (now_millis() / 1_000 + 3_600).into()),
    ]);
    all.extend(claims.as_object().cloned().into_iter().flatten());
    all.retain(|_, value| !value.is_null());
    let keys: Value = serde_json::from_str(&setting("JWT_KEYS")).expect("the stack's keys are a JWKS document");
    let kid = keys["keys"][0]["kid"].as_str().map(str::to_owned);
    encode(&Header { kid, ..Header::new(algorithm) }, &all, key).expect("claims can be signed")
}
