//! The other ends of WebSockets, through API Gateway.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
    gateway,
};
use aws_sdk_apigatewaymanagement::{
    Client, Config,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};
use aws_types::SdkConfig;

/// A frame was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The client is not there any more.
    #[error("the connection has ended")]
    Gone,
    /// Too much at once, or the gateway is down.
    #[error("the gateway does not take it now: {0}")]
    Busy(String),
}

/// All sockets of the stage.
#[derive(Clone, Debug)]
pub struct Sockets {
    config: Config,
    /// Made when something is first said: many calls say nothing.
    client: Arc<OnceLock<Client>>,
}

impl Sockets {
    /// Reads `SOCKETS_URL`, the stage's address with https in the place of wss, as [`gateway::stage_url`] has it.
    ///
    /// # Errors
    /// If it is not set.
    pub fn from_lookup(config: &SdkConfig, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let url = lookup.required("SOCKETS_URL")?;
        let url = gateway::stage_url(&url, config.endpoint_url());
        let config = aws_sdk_apigatewaymanagement::config::Builder::from(config)
            .endpoint_url(url)
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(20)))
            // Others wait for it.
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(1)).build())
            .build();
        Ok(Self { config, client: Arc::default() })
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::from_conf(self.config.clone()))
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// If the gateway did not take it.
    pub async fn post(&self, connection_id: &str, text: &str) -> Result<(), SocketError> {
        let post = self.client().post_to_connection().connection_id(connection_id);
        post.data(Blob::new(text)).send().await.map(drop).map_err(|error| classify(&error))
    }

    /// Whether the gateway knows the connection. One that is being let in it does not know yet.
    pub async fn is_open(&self, connection_id: &str) -> bool {
        self.client().get_connection().connection_id(connection_id).send().await.is_ok()
    }

    /// Ends a connection. One that has ended is none the worse for it.
    ///
    /// # Errors
    /// If the gateway did not do it.
    pub async fn close(&self, connection_id: &str) -> Result<(), SocketError> {
        match self.client().delete_connection().connection_id(connection_id).send().await {
            Ok(_) => Ok(()),
            Err(error) => match classify(&error) {
                SocketError::Gone => Ok(()),
                error @ SocketError::Busy(_) => Err(error),
            },
        }
    }
}

fn classify<E: ProvideErrorMetadata>(error: &SdkError<E>) -> SocketError {
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(410) => SocketError::Gone,
        _ => SocketError::Busy(aws::describe(error)),
    }
}
