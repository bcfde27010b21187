//! DynamoDB tables, one type each.

mod answers;
mod connections;
mod definitions;
mod feeds;
mod metrics;
mod seen;
mod watched;
mod work;

use std::{collections::HashMap, time::Duration};

use analytics_platform::aws;
use aws_sdk_dynamodb::{
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use aws_types::SdkConfig;

pub use answers::AnswerTable;
pub use aws_sdk_dynamodb::Client as Tables;
pub use connections::{Added, ConnectionTable};
pub use definitions::{DefinitionList, DefinitionTable, StoredDefinition};
pub use feeds::FeedTable;
pub use metrics::MetricTable;
pub use seen::SeenTable;
pub use watched::Watched;
pub use work::{Left, Progress, QUIET, SLOTS, Work, WorkTable};

/// A table did not take or tell something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("the table is unavailable: {0}")]
    Unavailable(String),
    #[error("an item in the table makes no sense: {0}")]
    Corrupt(&'static str),
    /// Somebody else has written since it was read.
    #[error("the table has changed meanwhile")]
    Conflict,
}

/// A client for all tables. Few tries within a short time: somebody waits for the answer.
#[must_use]
pub fn client(config: &SdkConfig) -> Tables {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)))
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(3)).build())
        .build();
    Tables::from_conf(config)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn integer(item: &HashMap<String, AttributeValue>, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// What has gone meanwhile needs no change.
fn settled<T, E>(answer: Result<T, aws_sdk_dynamodb::error::SdkError<E>>) -> Result<(), TableError>
where
    E: std::error::Error + aws_sdk_dynamodb::error::ProvideErrorMetadata + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_service_error().and_then(|error| error.code()) == Some("ConditionalCheckFailedException") =>
        {
            Ok(())
        }
        Err(error) => Err(unavailable(&error)),
    }
}

fn unavailable<E: ProvideErrorMetadata>(error: &SdkError<E>) -> TableError {
    TableError::Unavailable(aws::describe(error))
}
