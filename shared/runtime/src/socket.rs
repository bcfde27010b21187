//! Functions of a WebSocket API: the part of API Gateway's events that they read, and their answers
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html>).

use std::{collections::HashMap, future::Future};

use analytics_platform::config::ConfigError;
use lambda_runtime::{LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};

use crate::{
    Environment, Error,
    invocation::{Details, Invocation, Outcome},
    start,
};

/// A client connects, sends a message, or has disconnected.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    pub request_context: SocketContext,
    /// Only when it connects.
    #[serde(default, deserialize_with = "or_default")]
    pub headers: HashMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub multi_value_query_string_parameters: HashMap<String, Vec<String>>,
    /// The message.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
}

/// Which connection it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketContext {
    pub connection_id: String,
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(input).map(Option::unwrap_or_default)
}

impl SocketEvent {
    /// The values of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> &[String] {
        self.multi_value_query_string_parameters.get(name).map_or(&[], Vec::as_slice)
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Whether a client may connect, or its message was handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketAnswer {
    pub status_code: u16,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub headers: HashMap<&'static str, String>,
}

impl SocketAnswer {
    #[must_use]
    pub fn new(status_code: u16) -> Self {
        Self { status_code, headers: HashMap::new() }
    }
}

/// Handles the events of a WebSocket API until Lambda ends the process.
///
/// # Errors
/// If a setting is missing or wrong, or the Runtime API cannot be reached.
pub async fn socket<C, H, F>(
    function: &'static str,
    context: impl FnOnce(&Environment) -> Result<C, ConfigError>,
    handler: H,
) -> Result<(), Error>
where
    C: Sync + 'static,
    H: Fn(&'static C, SocketEvent) -> F + Sync,
    F: Future<Output = SocketAnswer>,
{
    let context = start(context)?;
    let handle = async |event: LambdaEvent<SocketEvent>| {
        let invocation = Invocation::start(function, None, &event.context);
        let answer = invocation.run(handler(context, event.payload)).await;
        let (message, outcome) = match answer.status_code {
            500.. => ("socket event failed", Outcome::Failed),
            400..500 => ("socket event refused", Outcome::Ok),
            _ => ("socket event handled", Outcome::Ok),
        };
        invocation.end(message, outcome, &Details { status: Some(answer.status_code), ..Details::default() });
        Ok::<_, Error>(answer)
    };
    run(service_fn(handle)).await
}
