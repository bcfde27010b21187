//! Who is connected: each connection as an item of its account, and one under its own id, which is all that the gateway tells
//! when it ends. An item of the account counts the changes of its connections, so that who knows them need not read them again;
//! it stays when they have gone. What follows a stream only once its message has come, a new connection or a new subscription,
//! does not count before.

mod limits;

use std::collections::{BTreeMap, HashMap};

use analytics_domain::{
    access::Role,
    account::AccountId,
    live::{Connection, Followed, MEMORY, STREAMS, Stream, Subscription},
};
use analytics_platform::config::{ConfigError, Lookup};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValue},
};
use limits::{OF_CONNECTIONS, OF_SUBSCRIPTIONS};

use crate::{TableError, Tables, integer, number, settled, text, unavailable};

/// Connections by account.
#[derive(Clone, Debug)]
pub struct ConnectionTable {
    client: Client,
    name: String,
}

/// Whether a stream was added to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Yes,
    /// It follows as many as it may.
    TooMany,
    /// The subscriptions of its account take as many bytes as they may.
    TooLarge,
    /// There is no such connection.
    Gone,
}

/// Connections looked at at once to see whether there is any: expired ones may still be among them.
const FEW: i32 = 10;

fn by_account(account_id: &AccountId) -> AttributeValue {
    text(&format!("account#{account_id}"))
}

fn by_changes(account_id: &AccountId) -> AttributeValue {
    text(&format!("changes#{account_id}"))
}

/// Accounts that somebody has connected for lately, so that idle connections can be looked at.
fn by_all() -> AttributeValue {
    text("accounts")
}

fn by_id(connection_id: &str) -> AttributeValue {
    text(&format!("connection#{connection_id}"))
}

impl ConnectionTable {
    /// Reads `CONNECTIONS_TABLE`.
    ///
    /// # Errors
    /// If the key is missing.
    pub fn from_tables(tables: &Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self::new(tables.clone(), lookup.required("CONNECTIONS_TABLE")?))
    }

    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    fn update(&self, account_id: &AccountId, connection_id: &str) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.name);
        update.key("watched", by_account(account_id)).key("connectionId", text(connection_id))
    }

    /// Notes a connection; false if its account has as many as it may.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn add(&self, connection: &Connection) -> Result<bool, TableError> {
        if !self.take(&connection.account_id, &OF_CONNECTIONS, 1, connection.connected_at).await? {
            return Ok(false);
        }
        let expires = number((connection.connected_at + Connection::LIFETIME) / 1_000);
        let pointer = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("watched", by_id(&connection.id))
            .item("connectionId", text(&connection.id))
            .item("accountId", text(&connection.account_id))
            .item("expiresAt", expires.clone());
        let streams = connection
            .subscriptions
            .iter()
            .map(|(stream, followed)| Ok((stream.to_string(), kept(&followed.subscription)?)));
        let streams: HashMap<String, AttributeValue> = streams.collect::<Result<_, TableError>>()?;
        let item = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("watched", by_account(&connection.account_id))
            .item("connectionId", text(&connection.id))
            .item("role", text(connection.role.name()))
            .item("connectedAt", number(connection.connected_at))
            .item("tokenExpiresAt", number(connection.token_expires_at))
            .item("streams", AttributeValue::M(streams))
            .item("begun", AttributeValue::M(HashMap::new()))
            .item("expiresAt", expires.clone());
        let item = connection.signed_by.iter().fold(item, |item, signer| item.item("signedBy", text(signer)));
        let account = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("watched", by_all())
            .item("connectionId", text(&connection.account_id))
            .item("expiresAt", expires);
        let (pointed, listed) = tokio::join!(pointer.send(), account.send());
        pointed.map_err(|error| unavailable(&error))?;
        listed.map_err(|error| unavailable(&error))?;
        item.send().await.map(|_| true).map_err(|error| unavailable(&error))
    }

    /// Counts a change that has been made. Returns how many there have been.
    async fn changed(&self, account_id: &AccountId) -> Result<i64, TableError> {
        let update = self.client.update_item().table_name(&self.name);
        let update = update.key("watched", by_changes(account_id)).key("connectionId", text("changes"));
        let update = update.update_expression("ADD changes :one").expression_attribute_values(":one", number(1));
        let counted =
            update.return_values(ReturnValue::UpdatedNew).send().await.map_err(|error| unavailable(&error))?;
        let changes = counted.attributes.and_then(|counted| integer(&counted, "changes"));
        changes.ok_or(TableError::Corrupt("changes that do not count"))
    }

    /// How often the connections of an account have changed: as long as it is the same, [`ConnectionTable::list`] tells nothing
    /// new, but for what is over. Somebody may fail between a change and its counting, so believe it for a short time only.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn changes(&self, account_id: &AccountId) -> Result<i64, TableError> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let get = get.key("watched", by_changes(account_id)).key("connectionId", text("changes"));
        let item = get.send().await.map_err(|error| unavailable(&error))?.item;
        Ok(item.and_then(|item| integer(&item, "changes")).unwrap_or(0))
    }

    /// The account of a connection.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn account_of(&self, connection_id: &str) -> Result<Option<AccountId>, TableError> {
        let get = self.client.get_item().table_name(&self.name);
        let get =
            get.key("watched", by_id(connection_id)).key("connectionId", text(connection_id)).consistent_read(true);
        let item = get.send().await.map_err(|error| unavailable(&error))?.item;
        Ok(item.and_then(|item| item.get("accountId")?.as_s().ok().map(|id| AccountId::stored(id))))
    }

    /// One connection.
    ///
    /// # Errors
    /// If the table does not answer or holds nonsense.
    pub async fn get(&self, account_id: &AccountId, connection_id: &str) -> Result<Option<Connection>, TableError> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let get = get.key("watched", by_account(account_id)).key("connectionId", text(connection_id));
        let item = get.send().await.map_err(|error| unavailable(&error))?.item;
        item.map(|item| connection(account_id, &item)).transpose()
    }

    /// All connections of an account, those included that have ended no longer than [`MEMORY`] ago.
    ///
    /// # Errors
    /// If the table does not answer or holds nonsense.
    pub async fn list(&self, account_id: &AccountId, now: i64) -> Result<Vec<Connection>, TableError> {
        let mut connections = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("watched = :account")
                .expression_attribute_values(":account", by_account(account_id))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| unavailable(&error))?;
            for item in page.items() {
                // Expired items stay for a while before they are deleted.
                if integer(item, "expiresAt").is_some_and(|expires| expires * 1_000 > now) {
                    connections.push(connection(account_id, item)?);
                }
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(connections);
            }
        }
    }

    /// The accounts that somebody has connected for, as long as a connection lasts ago at most.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn accounts(&self, now: i64) -> Result<Vec<AccountId>, TableError> {
        let (mut accounts, mut start) = (Vec::new(), None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("watched = :all")
                .filter_expression("expiresAt > :now")
                .expression_attribute_values(":all", by_all())
                .expression_attribute_values(":now", number(now / 1_000))
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| unavailable(&error))?;
            let ids = page.items().iter().filter_map(|item| item.get("connectionId")?.as_s().ok());
            accounts.extend(ids.map(|id| AccountId::stored(id)));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(accounts);
            }
        }
    }

    /// Whether anybody watches an account.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn is_watched(&self, account_id: &AccountId, now: i64) -> Result<bool, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("watched = :account")
            .filter_expression("expiresAt > :now")
            .expression_attribute_values(":account", by_account(account_id))
            .expression_attribute_values(":now", number(now / 1_000))
            .projection_expression("connectionId")
            // Somebody who has just connected counts: their stream begins when everybody knows of them.
            .consistent_read(true)
            .limit(FEW);
        let mut start = None;
        loop {
            let page =
                query.clone().set_exclusive_start_key(start).send().await.map_err(|error| unavailable(&error))?;
            let is_watched = !page.items().is_empty();
            start = page.last_evaluated_key;
            if is_watched || start.is_none() {
                return Ok(is_watched);
            }
        }
    }

    /// Adds streams to those that a connection follows, or changes them: all or none.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn subscribe(
        &self,
        connection: &Connection,
        streams: &[(Stream, Subscription)],
        now: i64,
    ) -> Result<Added, TableError> {
        let Connection { account_id, id: connection_id, subscriptions, .. } = connection;
        let new = streams.iter().filter(|(stream, _)| !subscriptions.contains_key(stream)).count();
        let room = STREAMS.checked_sub(new).filter(|room| subscriptions.len() <= *room);
        let Some(room) = room else { return Ok(Added::TooMany) };
        let kept = streams.iter().map(|(_, subscription)| kept(subscription)).collect::<Result<Vec<_>, _>>()?;
        if !self.take(account_id, &OF_SUBSCRIPTIONS, kept.iter().map(bytes).sum(), now).await? {
            return Ok(Added::TooLarge);
        }
        let mut update = self.update(account_id, connection_id).expression_attribute_names("#streams", "streams");
        let mut set = Vec::new();
        for (place, ((stream, _), kept)) in streams.iter().zip(kept).enumerate() {
            set.push(format!("#streams.#s{place} = :s{place}"));
            update = update
                .expression_attribute_names(format!("#s{place}"), stream.to_string())
                .expression_attribute_values(format!(":s{place}"), kept);
        }
        let update = update
            .update_expression(format!("SET {}", set.join(", ")))
            .condition_expression("attribute_exists(connectionId) AND size(#streams) <= :room")
            .expression_attribute_values(":room", number(i64::try_from(room).unwrap_or(i64::MAX)));
        match update.send().await {
            Ok(_) => Ok(Added::Yes),
            Err(error) if is_unmet(&error) => Ok(match self.get(account_id, connection_id).await? {
                Some(_) => Added::TooMany,
                None => Added::Gone,
            }),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Notes that streams have begun as they were asked for; one that was changed meanwhile has not. Returns how often the
    /// account's connections have changed by then, this time included.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn begin(
        &self,
        account_id: &AccountId,
        connection_id: &str,
        streams: &[&Followed],
    ) -> Result<i64, TableError> {
        let mut update = self.update(account_id, connection_id).condition_expression("attribute_exists(connectionId)");
        let mut set = Vec::new();
        for (place, followed) in streams.iter().enumerate() {
            set.push(format!("begun.#s{place} = :s{place}"));
            update = update
                .expression_attribute_names(format!("#s{place}"), followed.way.stream.to_string())
                .expression_attribute_values(format!(":s{place}"), number(followed.subscription.at));
        }
        settled(update.update_expression(format!("SET {}", set.join(", "))).send().await)?;
        self.changed(account_id).await
    }

    /// Takes a stream from those that a connection follows.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn unsubscribe(
        &self,
        account_id: &AccountId,
        connection_id: &str,
        stream: &Stream,
    ) -> Result<(), TableError> {
        let update = self
            .update(account_id, connection_id)
            .update_expression("REMOVE #streams.#stream, begun.#stream")
            .condition_expression("attribute_exists(connectionId)")
            .expression_attribute_names("#streams", "streams")
            .expression_attribute_names("#stream", stream.to_string());
        settled(update.send().await)?;
        self.changed(account_id).await.map(drop)
    }

    /// Notes until when a connection's new token counts, the role that it gives, and the key that signed it.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn renew(&self, connection: &Connection) -> Result<(), TableError> {
        let update = self
            .update(&connection.account_id, &connection.id)
            .update_expression("SET #role = :role, tokenExpiresAt = :until, signedBy = :signer")
            .condition_expression("attribute_exists(connectionId)")
            .expression_attribute_names("#role", "role")
            .expression_attribute_values(":role", text(connection.role.name()))
            .expression_attribute_values(":until", number(connection.token_expires_at))
            .expression_attribute_values(":signer", text(connection.signed_by.as_deref().unwrap_or_default()));
        settled(update.send().await)?;
        self.changed(&connection.account_id).await.map(drop)
    }

    /// Notes that a connection has ended. For a while its streams go on being kept, for it may come back.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn leave(&self, account_id: &AccountId, connection_id: &str, now: i64) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.name);
        let delete = delete.key("watched", by_id(connection_id)).key("connectionId", text(connection_id));
        delete.send().await.map_err(|error| unavailable(&error))?;
        let update = self
            .update(account_id, connection_id)
            .update_expression("SET leftAt = :now, expiresAt = :until")
            .condition_expression("attribute_exists(connectionId) AND attribute_not_exists(leftAt)")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":until", number((now + MEMORY) / 1_000));
        settled(update.send().await)?;
        self.changed(account_id).await.map(drop)
    }
}

/// A subscription as it is kept.
fn kept(subscription: &Subscription) -> Result<AttributeValue, TableError> {
    serde_json::to_string(subscription).map(AttributeValue::S).map_err(|_| TableError::Corrupt("a subscription"))
}

/// Bytes of a subscription as it is kept.
fn bytes(kept: &AttributeValue) -> i64 {
    kept.as_s().map_or(0, |json| json.len() as i64)
}

/// Whether the condition of an update did not hold.
fn is_unmet(error: &SdkError<UpdateItemError>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

fn connection(account_id: &AccountId, item: &HashMap<String, AttributeValue>) -> Result<Connection, TableError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let role = text("role").and_then(|name| Role::ALL.into_iter().find(|role| role.name() == name));
    let streams = item.get("streams").and_then(|streams| streams.as_m().ok());
    let begun = item.get("begun").and_then(|begun| begun.as_m().ok());
    let mut subscriptions = BTreeMap::new();
    for (stream, subscription) in streams.into_iter().flatten() {
        let subscription = subscription.as_s().ok().and_then(|json| serde_json::from_str(json).ok());
        let stream = stream.parse().ok().zip(subscription).ok_or(TableError::Corrupt("a stream cannot be read"))?;
        let (stream, subscription): (Stream, Subscription) = stream;
        let begun_at = begun.and_then(|begun| integer(begun, &stream.to_string()));
        let begun = begun_at == Some(subscription.at);
        let followed = Followed { begun, ..Followed::new(account_id, &stream, subscription) };
        subscriptions.insert(stream, followed);
    }
    Ok(Connection {
        account_id: account_id.clone(),
        id: text("connectionId").cloned().ok_or(TableError::Corrupt("a connection without id"))?,
        role: role.ok_or(TableError::Corrupt("a connection without role"))?,
        connected_at: integer(item, "connectedAt").ok_or(TableError::Corrupt("a connection without time"))?,
        token_expires_at: integer(item, "tokenExpiresAt").ok_or(TableError::Corrupt("a connection without token"))?,
        signed_by: text("signedBy").cloned(),
        left_at: integer(item, "leftAt"),
        subscriptions,
    })
}
