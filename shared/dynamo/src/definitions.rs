//! Definitions that accounts keep, such as metrics.
//!
//! A definition may use another (a metric in a formula), so no write can be checked by itself. Each account has a revision that
//! every write raises. A write names the revision that it read: of two writes at once, one fails with [`TableError::Conflict`].
//! So the checks of a write (free names, uses, limits) still hold when it is stored.

use std::marker::PhantomData;

use analytics_domain::account::AccountId;
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{Delete, Put, TransactWriteItem, Update},
};
use serde::Serialize;

use crate::{TableError, Tables, integer, number, text, unavailable};

/// Sort key of the item with the account's revision.
const REVISION: &str = "#revision";

/// A kind of definition that is kept in a table of its own.
pub trait StoredDefinition: Serialize + Sized {
    /// The setting that names the table.
    const TABLE: &'static str;
    /// The table's sort key, which is the id.
    const KEY: &'static str;
    /// The attribute with the definition as JSON.
    const CONTENT: &'static str;

    fn id(&self) -> &str;

    /// Reads what was written with Serde.
    ///
    /// # Errors
    /// If the text is no such definition.
    fn from_json(text: &str) -> serde_json::Result<Self>;
}

/// All definitions of one kind of an account, as of one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionList<T> {
    pub definitions: Vec<T>,
    pub revision: i64,
    /// Documents that were too large to be read.
    pub skipped: usize,
}

/// The table of one kind of definitions.
#[derive(Debug)]
pub struct DefinitionTable<T> {
    client: Client,
    name: String,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for DefinitionTable<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), name: self.name.clone(), kind: PhantomData }
    }
}

impl<T: StoredDefinition> DefinitionTable<T> {
    /// Reads the keys of [`aws::sdk_config`] and [`DefinitionTable::from_tables`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Self::from_tables(&crate::client(&aws::sdk_config(lookup)?), lookup)
    }

    /// Reads [`StoredDefinition::TABLE`].
    ///
    /// # Errors
    /// If the key is missing.
    pub fn from_tables(tables: &Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self::new(tables.clone(), lookup.required(T::TABLE)?))
    }

    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into(), kind: PhantomData }
    }

    /// All definitions of an account.
    ///
    /// # Errors
    /// If the table cannot be asked or holds nonsense.
    pub async fn list(&self, account_id: &AccountId) -> Result<DefinitionList<T>, TableError> {
        self.list_within(account_id, usize::MAX, usize::MAX).await
    }

    /// The definitions of an account, without those of more than `each` bytes, and those beyond `all` bytes together: see
    /// [`DefinitionList::skipped`]. At most one page of the table, 1 MB, is in memory besides.
    ///
    /// # Errors
    /// If the table cannot be asked or holds nonsense.
    pub async fn list_within(
        &self,
        account_id: &AccountId,
        each: usize,
        all: usize,
    ) -> Result<DefinitionList<T>, TableError> {
        let mut kept = DefinitionList { definitions: Vec::new(), revision: 0, skipped: 0 };
        let mut bytes = 0;
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("accountId = :account")
                .expression_attribute_values(":account", text(account_id))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable(&error))?;
            for item in page.items() {
                if let Some(revision) = integer(item, "revision") {
                    kept.revision = revision;
                    continue;
                }
                // An earlier version kept other items in this table. They have no content: skip them.
                let Some(json) = item.get(T::CONTENT) else { continue };
                let json = json.as_s().map_err(|_| TableError::Corrupt("a definition cannot be read"))?;
                if json.len() > each || bytes + json.len() > all {
                    kept.skipped += 1;
                    continue;
                }
                bytes += json.len();
                let definition = T::from_json(json).map_err(|_| TableError::Corrupt("a definition cannot be read"))?;
                kept.definitions.push(definition);
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(kept);
            }
        }
    }

    /// Writes a definition, new or in the place of the one with its id, if nothing has been written since `revision`.
    ///
    /// # Errors
    /// [`TableError::Conflict`] if something has.
    pub async fn put(&self, account_id: &AccountId, definition: &T, revision: i64) -> Result<(), TableError> {
        let json =
            serde_json::to_string(definition).map_err(|_| TableError::Corrupt("a definition cannot be written"))?;
        let put = Put::builder()
            .table_name(&self.name)
            .item("accountId", text(account_id))
            .item(T::KEY, text(definition.id()))
            .item(T::CONTENT, text(&json))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        self.write(account_id, TransactWriteItem::builder().put(put).build(), revision).await
    }

    /// Deletes a definition, if nothing has been written since `revision`.
    ///
    /// # Errors
    /// [`TableError::Conflict`] if something has.
    pub async fn delete(&self, account_id: &AccountId, id: &str, revision: i64) -> Result<(), TableError> {
        let delete = Delete::builder()
            .table_name(&self.name)
            .key("accountId", text(account_id))
            .key(T::KEY, text(id))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        self.write(account_id, TransactWriteItem::builder().delete(delete).build(), revision).await
    }

    async fn write(&self, account_id: &AccountId, change: TransactWriteItem, revision: i64) -> Result<(), TableError> {
        let update = Update::builder()
            .table_name(&self.name)
            .key("accountId", text(account_id))
            .key(T::KEY, text(REVISION))
            .update_expression("SET revision = :next")
            .condition_expression("revision = :seen OR (attribute_not_exists(revision) AND :seen = :none)")
            .expression_attribute_values(":next", number(revision + 1))
            .expression_attribute_values(":seen", number(revision))
            .expression_attribute_values(":none", number(0))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        let update = TransactWriteItem::builder().update(update).build();
        match self.client.transact_write_items().transact_items(update).transact_items(change).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(_)) => Err(TableError::Conflict),
                _ => Err(unavailable(&error)),
            },
        }
    }
}
