//! Secrets Manager: the logins of other services. A function fetches a secret by its role when the secret is first needed, and keeps it.
//! A function's environment therefore holds no password.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use aws_sdk_secretsmanager::{
    Client, Config,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
};
use serde::Deserialize;
use tokio::sync::Mutex;

/// A secret is fetched again at most this often, however often it is refused elsewhere.
const FETCHED_EVERY: Duration = Duration::from_secs(10);

/// Who to log in as. A secret is a JSON object with these members, as Secrets Manager has them for databases:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>
#[derive(Clone, Deserialize, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// Never with the password.
impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A secret could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Try again: throttled, unreachable, or failing on its side.
    #[error("Secrets Manager is unavailable: {0}")]
    Unavailable(String),
    /// An operator has to act: the secret does not exist, or the function may not read it.
    #[error("Secrets Manager refused: {0}")]
    Refused(String),
    #[error("the secret is not a JSON object with username and password")]
    Malformed,
}

/// A login that Secrets Manager keeps.
#[derive(Clone, Debug)]
pub struct Secret {
    arn: String,
    config: Config,
    /// Made when the secret is first needed.
    client: Arc<OnceLock<Client>>,
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    login: Login,
    fetched: Instant,
    /// It was refused where it was used.
    is_refused: bool,
}

impl Secret {
    /// The secret of an ARN. Reads the keys of [`aws::sdk_config`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(arn: String, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let config = aws_sdk_secretsmanager::config::Builder::from(&aws::sdk_config(lookup)?)
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)))
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(3)).build())
            .build();
        Ok(Self { arn, config, client: Arc::default(), kept: Arc::default() })
    }

    /// The login, fetched if it was not before.
    ///
    /// # Errors
    /// If it has to be fetched, and cannot be.
    pub async fn login(&self) -> Result<Login, SecretError> {
        // Others that need the login meanwhile wait for the same answer.
        let mut kept = self.kept.lock().await;
        match &*kept {
            Some(kept) if !kept.is_refused || kept.fetched.elapsed() < FETCHED_EVERY => Ok(kept.login.clone()),
            _ => {
                let login = self.fetch().await?;
                *kept = Some(Kept { login: login.clone(), fetched: Instant::now(), is_refused: false });
                Ok(login)
            }
        }
    }

    /// Notes that the login was refused where it was used: the password may have been changed, and is fetched again.
    pub async fn refused(&self) {
        if let Some(kept) = &mut *self.kept.lock().await {
            kept.is_refused = true;
        }
    }

    async fn fetch(&self) -> Result<Login, SecretError> {
        let started = Instant::now();
        let client = self.client.get_or_init(|| Client::from_conf(self.config.clone()));
        let found = client.get_secret_value().secret_id(&self.arn).send().await.map_err(|error| {
            let cause = aws::describe(&error);
            match error.raw_response().map(|response| response.status().as_u16()) {
                // A throttled request is a 400 as well.
                Some(400..500) if !cause.contains("Throttling") => SecretError::Refused(cause),
                _ => SecretError::Unavailable(cause),
            }
        })?;
        let login = serde_json::from_str(found.secret_string().unwrap_or_default());
        let duration_ms = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX) as f64 / 1_000.0;
        tracing::info!(duration_ms, "secret fetched");
        login.map_err(|_| SecretError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A Secrets Manager that answers so, and counts.
    async fn manager(answers: Vec<(u16, String)>) -> (Secret, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                let _ = connection.read(&mut [0; 8 * 1024]).await;
                let (status, body) = &answers[count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
                let answer =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        let lookup = move |key: &str| match key {
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            _ => None,
        };
        (Secret::from_lookup("arn:x".to_owned(), &lookup).expect("is complete"), asked)
    }

    fn secret(text: &str) -> (u16, String) {
        (200, serde_json::json!({"ARN": "arn:x", "SecretString": text}).to_string())
    }

    #[tokio::test]
    async fn a_secret_is_fetched_once_for_all_who_need_it() {
        let (manager, asked) = manager(vec![secret(r#"{"username":"reader","password":"p","port":8443}"#)]).await;
        let (first, second) = tokio::join!(manager.login(), manager.login());
        assert_eq!(first, Ok(Login { username: "reader".to_owned(), password: "p".to_owned() }));
        assert_eq!((first, asked.load(Ordering::Relaxed)), (second, 1));
        assert!(!format!("{:?}", manager.login().await).contains("\"p\""), "no password in a log");
    }

    #[tokio::test]
    async fn a_login_that_is_refused_is_fetched_again_and_not_by_each_request() {
        let answers = [r#"{"username":"a","password":"old"}"#, r#"{"username":"a","password":"new"}"#].map(secret);
        let (manager, asked) = manager(answers.to_vec()).await;
        assert_eq!(manager.login().await.expect("is there").password, "old");
        manager.refused().await;
        assert_eq!(manager.login().await.expect("is there").password, "old", "it was fetched just now");
        let before = Instant::now().checked_sub(FETCHED_EVERY).expect("the machine has run for a while");
        manager.kept.lock().await.as_mut().expect("is kept").fetched = before;
        assert_eq!(manager.login().await.expect("is there").password, "new");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_fetched_says_why() {
        let denied = (400, r#"{"__type":"AccessDeniedException","message":"hunter2"}"#.to_owned());
        let (manager, _) = manager(vec![denied, secret("hunter2"), secret(r#"{"username":"a"}"#)]).await;
        let refused = manager.login().await.expect_err("is refused").to_string();
        assert!(refused.contains("AccessDeniedException") && !refused.contains("hunter2"), "{refused}");
        assert_eq!(manager.login().await, Err(SecretError::Malformed));
        assert_eq!(manager.login().await, Err(SecretError::Malformed));
    }
}
