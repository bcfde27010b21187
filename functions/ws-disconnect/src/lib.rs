//! `$disconnect`: a client has gone. For a while what it follows goes on being kept, for it may come back.

use analytics_live::App;
use analytics_runtime::{SocketAnswer, SocketEvent};

/// Notes that a client has gone. What cannot be noted now is found out when a frame cannot be sent.
pub async fn handle(app: &App, event: SocketEvent) -> SocketAnswer {
    let id = &event.request_context.connection_id;
    let left = async {
        if let Some(account_id) = app.connections.account_of(id).await? {
            app.connections.leave(&account_id, id, (app.now)()).await?;
        }
        Ok::<(), analytics_dynamo::TableError>(())
    };
    if let Err(error) = left.await {
        tracing::warn!(connection.id = id, error.cause = %error, "a connection's end could not be noted");
    }
    SocketAnswer::new(200)
}
