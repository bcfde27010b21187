//! Why a question has no answer.

use analytics_domain::{
    metric::{Meaningless, Problem},
    search::ParameterError,
};
use analytics_dynamo::TableError;
use analytics_warehouse::WarehouseError;

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AskError {
    /// Some of its queries have no meaning: each with its index.
    #[error("{} queries have no meaning", .0.len())]
    Queries(Vec<(usize, Refusal)>),
    /// The window makes no sense for these queries.
    #[error("the window makes no sense")]
    Window(Vec<ParameterError>),
    /// The answer takes more than one may. `how` says how to narrow the question.
    #[error("the answer is too large: {cause}")]
    TooLarge { how: String, cause: String },
    /// A store does not answer now.
    #[error("{what} does not answer: {cause}")]
    Unavailable { what: &'static str, cause: String },
    /// A defect of ours.
    #[error("{0}")]
    Broken(String),
}

/// Why a query has no meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The account has no metric of this id.
    UnknownMetric(String),
    /// The formula of the metric has lost its meaning: a metric in it was deleted or has changed.
    Meaningless(Meaningless),
    /// The definition is invalid. Pointers begin in the query.
    Invalid(Vec<Problem>),
}

impl AskError {
    /// What a question does best to be answered.
    const NARROW: &str = "take a shorter range, a longer interval, fewer dimensions in groupBy, fewer formulas, or properties \
                          among the metric's dimensions";

    /// Whether the same question fails again, whenever it is asked.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::Queries(_) | Self::Window(_) | Self::TooLarge { .. } => true,
            Self::Unavailable { .. } | Self::Broken(_) => false,
        }
    }

    pub(crate) fn over_limits(cause: impl Into<String>) -> Self {
        let how = format!("the answer takes more than one may: {}", Self::NARROW);
        Self::TooLarge { how, cause: cause.into() }
    }

    pub(crate) fn no_time() -> Self {
        Self::over_limits("the time of one question is up")
    }

    /// For a split by a property with more values than can be ranked.
    pub(crate) fn too_many_groups(most: usize) -> Self {
        let how = format!(
            "the question makes more than {most} groups: narrow it by a filter or a shorter range, or split by a property with \
             fewer values"
        );
        Self::TooLarge { how, cause: "too many groups".to_owned() }
    }
}

impl From<WarehouseError> for AskError {
    fn from(error: WarehouseError) -> Self {
        match error {
            WarehouseError::OverLimits(cause) => Self::over_limits(cause),
            WarehouseError::Unavailable(cause) | WarehouseError::TimedOut(cause) | WarehouseError::Unfit(cause) => {
                Self::Unavailable { what: "the event store", cause }
            }
            WarehouseError::Refused(_) | WarehouseError::InvalidRows(_) | WarehouseError::InvalidCursor => {
                Self::Broken(error.to_string())
            }
        }
    }
}

impl From<TableError> for AskError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unavailable(cause) => Self::Unavailable { what: "the table of metrics", cause },
            TableError::Conflict => Self::Broken("a read cannot conflict".to_owned()),
            TableError::Corrupt(cause) => Self::Broken(cause.to_owned()),
        }
    }
}
