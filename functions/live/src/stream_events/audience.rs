//! Who is connected, read again only when it has changed: a thousand connections are not read for every frame, nor for each that
//! comes to them.

use analytics_domain::{account::AccountId, live::Connection};
use analytics_dynamo::TableError;

use crate::stream_events::App;

/// Milliseconds that are believed at most: connections are over by themselves too.
const BELIEVED: i64 = 10_000;

/// The connections of an account, as they were read.
pub struct Audience {
    changes: i64,
    read_at: i64,
    connections: Vec<Connection>,
}

/// The connections of an account.
pub async fn audience(app: &App, account_id: &AccountId) -> Result<Vec<Connection>, TableError> {
    let now = (app.now)();
    let changes = app.connections.changes(account_id).await?;
    let is_known = |known: &&Audience| known.changes == changes && now - known.read_at < BELIEVED;
    if let Some(known) = app.memory().audiences.get(account_id).filter(is_known) {
        return Ok(known.connections.clone());
    }
    let connections = app.connections.list(account_id, now).await?;
    let audience = Audience { changes, read_at: now, connections: connections.clone() };
    app.memory().audiences.insert(account_id.to_owned(), audience);
    Ok(connections)
}

/// Takes note of a change that was made here. If others were made meanwhile, all will be read again.
pub fn note(app: &App, connection: &Connection, changes: i64) {
    if let Some(known) = app.memory().audiences.get_mut(&connection.account_id)
        && known.changes + 1 == changes
    {
        known.changes = changes;
        put(&mut known.connections, connection.clone());
    }
}

/// Puts a connection among others, in place of what was known of it.
pub fn put(connections: &mut Vec<Connection>, connection: Connection) {
    match connections.iter_mut().find(|other| other.id == connection.id) {
        Some(known) => *known = connection,
        None => connections.push(connection),
    }
}
