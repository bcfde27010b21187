//! `$disconnect`: a client has gone. For a while what it follows goes on being kept, for it may come back.

use analytics_dynamo::ConnectionTable;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_runtime::{SocketAnswer, SocketEvent};

/// What the function needs.
pub struct Context {
    connections: ConnectionTable,
    /// Epoch milliseconds.
    now: fn() -> i64,
}

impl Context {
    /// Reads the keys of [`aws::sdk_config`] and [`ConnectionTable::from_tables`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let tables = analytics_dynamo::client(&aws::sdk_config(lookup)?);
        Ok(Self { connections: ConnectionTable::from_tables(&tables, lookup)?, now: analytics_platform::now_millis })
    }
}

/// Notes that a client has gone. What cannot be noted now is found out when a frame cannot be sent.
pub async fn handle(context: &Context, event: SocketEvent) -> SocketAnswer {
    let id = &event.request_context.connection_id;
    let left = async {
        if let Some(account_id) = context.connections.account_of(id).await? {
            context.connections.leave(&account_id, id, (context.now)()).await?;
        }
        Ok::<(), analytics_dynamo::TableError>(())
    };
    if let Err(error) = left.await {
        tracing::warn!(connection.id = id, error.cause = %error, "a connection's end could not be noted");
    }
    SocketAnswer::new(200)
}
