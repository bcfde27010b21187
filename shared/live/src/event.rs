//! What API Gateway calls the functions of a WebSocket with, as far as they look at it, and what they answer:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html>

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A client connects, says something, or has gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    pub request_context: SocketContext,
    /// Only when it connects.
    #[serde(default, deserialize_with = "or_default")]
    pub headers: HashMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub multi_value_query_string_parameters: HashMap<String, Vec<String>>,
    /// What it says.
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

/// Whether a connection may come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub status_code: u16,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub headers: HashMap<&'static str, String>,
}

impl Answer {
    #[must_use]
    pub fn new(status_code: u16) -> Self {
        Self { status_code, headers: HashMap::new() }
    }
}
