//! Definitions that accounts keep, each as a document of one kind: metrics, and whatever else is defined, listed, changed by
//! version and deleted.
//!
//! A document may stand in another (a metric in the formula of another), so no write can be judged by itself. Each account
//! therefore has a revision that every write moves on, and a write says which revision it was judged by: of two at once, one is
//! told to look again. What was read at a revision also says whether an id is free, and what a document is used by.

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

/// Where an account's revision stands, among the ids of its documents.
const REVISION: &str = "#revision";

/// A kind of definition that is kept in a table of its own.
pub trait Document: Serialize + Sized {
    /// The setting that names the table.
    const TABLE: &'static str;
    /// The table's sort key, which is the id.
    const KEY: &'static str;
    /// The attribute with the document as JSON.
    const CONTENT: &'static str;

    fn id(&self) -> &str;

    /// Reads what was written with Serde.
    ///
    /// # Errors
    /// If it is no such document.
    fn from_json(text: &str) -> serde_json::Result<Self>;
}

/// All documents of an account, as of one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<T> {
    pub documents: Vec<T>,
    pub revision: i64,
    /// Documents that were too large to be read.
    pub skipped: usize,
}

/// The documents of one kind.
#[derive(Debug)]
pub struct Documents<T> {
    client: Client,
    name: String,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Documents<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), name: self.name.clone(), kind: PhantomData }
    }
}

impl<T: Document> Documents<T> {
    /// Reads the keys of [`aws::sdk_config`] and [`Documents::from_tables`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Self::from_tables(&crate::client(&aws::sdk_config(lookup)?), lookup)
    }

    /// Reads [`Document::TABLE`].
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

    /// All documents of an account.
    ///
    /// # Errors
    /// If the table cannot be asked or holds nonsense.
    pub async fn list(&self, account_id: &AccountId) -> Result<Kept<T>, TableError> {
        self.list_within(account_id, usize::MAX, usize::MAX).await
    }

    /// The documents of an account, without those of more than `each` bytes, and those beyond `all` bytes together: see
    /// [`Kept::skipped`]. At most one page of the table, 1 MB, is in memory besides.
    ///
    /// # Errors
    /// If the table cannot be asked or holds nonsense.
    pub async fn list_within(&self, account_id: &AccountId, each: usize, all: usize) -> Result<Kept<T>, TableError> {
        let mut kept = Kept { documents: Vec::new(), revision: 0, skipped: 0 };
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
                // An account with the name of what a version before this one kept here has items of that version's.
                let Some(json) = item.get(T::CONTENT) else { continue };
                let json = json.as_s().map_err(|_| TableError::Corrupt("a document cannot be read"))?;
                if json.len() > each || bytes + json.len() > all {
                    kept.skipped += 1;
                    continue;
                }
                bytes += json.len();
                let document = T::from_json(json).map_err(|_| TableError::Corrupt("a document cannot be read"))?;
                kept.documents.push(document);
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(kept);
            }
        }
    }

    /// Writes a document, new or in the place of the one with its id, if nothing has been written since `revision`.
    ///
    /// # Errors
    /// [`TableError::Conflict`] if something has.
    pub async fn put(&self, account_id: &AccountId, document: &T, revision: i64) -> Result<(), TableError> {
        let json = serde_json::to_string(document).map_err(|_| TableError::Corrupt("a document cannot be written"))?;
        let put = Put::builder()
            .table_name(&self.name)
            .item("accountId", text(account_id))
            .item(T::KEY, text(document.id()))
            .item(T::CONTENT, text(&json))
            .build()
            .map_err(|_| TableError::Corrupt("an incomplete request"))?;
        self.write(account_id, TransactWriteItem::builder().put(put).build(), revision).await
    }

    /// Deletes a document, if nothing has been written since `revision`.
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
