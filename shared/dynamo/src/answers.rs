//! What was answered to requests with an `Idempotency-Key`.

use analytics_domain::idempotency::{Answer, KEEP_MILLIS, LOCK_MILLIS, Start, Ticket};
use analytics_platform::config::{ConfigError, Lookup};
use aws_sdk_dynamodb::{Client, operation::put_item::PutItemError, types::ReturnValuesOnConditionCheckFailure};

use crate::{TableError, Tables, integer, number, text, unavailable};

/// What was answered to requests with an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct AnswerTable {
    client: Client,
    name: String,
}

impl AnswerTable {
    /// Reads `IDEMPOTENCY_TABLE`.
    ///
    /// # Errors
    /// If the key is missing.
    pub fn from_tables(tables: &Tables, lookup: &impl Lookup) -> Result<Self, ConfigError> {
        Ok(Self::new(tables.clone(), lookup.required("IDEMPOTENCY_TABLE")?))
    }

    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Claims a request for this try, or says why it can't be claimed.
    ///
    /// # Errors
    /// If the table cannot be asked or holds nonsense.
    pub async fn start(&self, ticket: &Ticket, now: i64) -> Result<Start, TableError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("key", text(&ticket.key))
            .item("body", text(&ticket.body))
            .item("firstSeen", number(now))
            .item("lockedUntil", number(now + LOCK_MILLIS))
            .item("expiresAt", number((now + KEEP_MILLIS) / 1_000))
            // Expired items stay for a while before they are deleted.
            .condition_expression("attribute_not_exists(#key) OR expiresAt < :now")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":now", number(now / 1_000))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match put.send().await {
            Ok(_) => return Ok(Start::Proceed { first_seen: now }),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failure)) => {
                    failure.item.clone().ok_or(TableError::Corrupt("a condition failed on no item"))?
                }
                _ => return Err(unavailable(&error)),
            },
        };
        if item.get("body").and_then(|value| value.as_s().ok()) != Some(&ticket.body) {
            return Ok(Start::OtherBody);
        }
        if let Some(body) = item.get("answer").and_then(|value| value.as_s().ok()) {
            let status = integer(&item, "status").and_then(|status| u16::try_from(status).ok());
            let status = status.ok_or(TableError::Corrupt("an answer without status"))?;
            return Ok(Start::Answered(Answer { status, body: body.clone() }));
        }
        let locked_until = integer(&item, "lockedUntil").ok_or(TableError::Corrupt("no lockedUntil"))?;
        let first_seen = integer(&item, "firstSeen").ok_or(TableError::Corrupt("no firstSeen"))?;
        if locked_until >= now || !self.take_over(ticket, locked_until, now).await? {
            return Ok(Start::Running);
        }
        Ok(Start::Proceed { first_seen })
    }

    /// Claims a request whose earlier try was cut off; false if another try was faster.
    async fn take_over(&self, ticket: &Ticket, locked_until: i64, now: i64) -> Result<bool, TableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("key", text(&ticket.key))
            .update_expression("SET lockedUntil = :next")
            .condition_expression("lockedUntil = :seen AND attribute_not_exists(answer)")
            .expression_attribute_values(":next", number(now + LOCK_MILLIS))
            .expression_attribute_values(":seen", number(locked_until));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Notes the answer, for whoever asks again.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn finish(&self, ticket: &Ticket, answer: &Answer) -> Result<(), TableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("key", text(&ticket.key))
            .update_expression("SET #status = :status, answer = :answer")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", number(answer.status.into()))
            .expression_attribute_values(":answer", text(&answer.body));
        update.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Gives a claim back, so that the next try need not wait for it to run out.
    ///
    /// # Errors
    /// If the table did not take it.
    pub async fn release(&self, ticket: &Ticket) -> Result<(), TableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("key", text(&ticket.key))
            .update_expression("SET lockedUntil = :past")
            .expression_attribute_values(":past", number(0));
        update.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Whether the table answers at all.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), TableError> {
        let get = self.client.get_item().table_name(&self.name).key("key", text("health"));
        get.send().await.map(drop).map_err(|error| unavailable(&error))
    }
}
