//! What an error of ClickHouse means for the caller.

use clickhouse::error::Error;

use crate::cause;

/// ClickHouse did not take a statement or did not answer it. Each variant says what the caller may do about it:
///
/// | Variant | Same for all accounts? | `store-events` | Questions |
/// |---|---|---|---|
/// | `Unavailable` | perhaps | returns the messages | 503 |
/// | `TimedOut` | perhaps | splits; a single message is returned | 503 |
/// | `Unfit` | yes | returns the messages, splits nothing | 503 |
/// | `InvalidRows` | no | splits; a single message is poison | 500 |
/// | `Refused` | perhaps | splits; a single message is returned | 500 |
/// | `OverLimits` | no | splits; a single message is returned | 422 |
///
/// Messages hold codes and names, never a statement or a value: they end up in logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarehouseError {
    /// A later try may succeed: ClickHouse is unreachable, overloaded or starting. Only errors that are known to pass by
    /// themselves are of this kind.
    #[error("ClickHouse is unavailable: {0}")]
    Unavailable(String),
    /// No answer came in time: the statement takes too long, or ClickHouse hangs.
    #[error("ClickHouse has not answered in time: {0}")]
    TimedOut(String),
    /// ClickHouse answers, but cannot serve anybody as it is set up: a table, a right or disk space is missing. Neither the
    /// statement nor its rows are at fault, and an operator has to act.
    #[error("ClickHouse is not fit for use: {0}")]
    Unfit(String),
    /// A value in these rows cannot be stored, however often it is tried.
    #[error("ClickHouse cannot store a row: {0}")]
    InvalidRows(String),
    /// The statement is refused, for a reason that is not known to pass. The rows of an insert may or may not be the reason.
    #[error("ClickHouse refused: {0}")]
    Refused(String),
    /// The statement takes more time or memory than one may.
    #[error("the query is over its limits: {0}")]
    OverLimits(String),
    #[error("the cursor is not one that a search has given")]
    InvalidCursor,
}

impl WarehouseError {
    /// Whether ClickHouse does not know the user, or the password is another one by now.
    pub(crate) fn is_about_login(&self) -> bool {
        // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
        matches!(self, Self::Unfit(cause) if [192, 193, 194, 516].iter().any(|code| cause.starts_with(&format!("code {code} "))))
    }

    /// Whether the same statement of other accounts would fail too, as far as is known.
    #[must_use]
    pub const fn concerns_others(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_) | Self::Unfit(_))
    }
}

/// Codes and names: <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
pub(crate) fn classify(error: Error) -> WarehouseError {
    match error {
        Error::BadResponse(text) => answered(&text),
        Error::Network(_) => WarehouseError::Unavailable(cause::of_failure(&error)),
        Error::TimedOut => WarehouseError::TimedOut(cause::of_failure(&error)),
        other => WarehouseError::Refused(cause::of_failure(&other)),
    }
}

/// The kind of an error that ClickHouse, or a gateway in front of it, has answered.
fn answered(text: &str) -> WarehouseError {
    // The answer itself holds the statement, with its values.
    let cause = cause::of_answer(text);
    let kind = match cause::code(text) {
        // A gateway answers for a ClickHouse that does not, in words of its own.
        None => WarehouseError::Unavailable,
        // TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, TOO_BIG_AST, QUERY_IS_TOO_LARGE, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES
        Some(158 | 159 | 160 | 168 | 229 | 307 | 396) => WarehouseError::OverLimits,
        // MEMORY_LIMIT_EXCEEDED: of the statement alone, or of the server with all that it does.
        Some(241) if is_own_limit(text) => WarehouseError::OverLimits,
        Some(code) if passes_by_itself(code) => WarehouseError::Unavailable,
        Some(code) if concerns_all(code) => WarehouseError::Unfit,
        Some(code) if is_of_a_value(code) => WarehouseError::InvalidRows,
        Some(_) => WarehouseError::Refused,
    };
    kind(cause)
}

/// ClickHouse writes `Query memory limit exceeded: …` or, in older versions, `Memory limit (for query) exceeded: …`; of the
/// server it writes `(total) memory limit exceeded: …`. The statement, which may hold any word, follows later.
fn is_own_limit(text: &str) -> bool {
    let words = text.split_once("Exception: ").map_or(text, |(_, words)| words);
    words.split_once(" exceeded").is_some_and(|(limit, _)| limit.len() < 60 && limit.to_lowercase().contains("query"))
}

/// Load, start, stop and the network among ClickHouse's own parts.
const fn passes_by_itself(code: u32) -> bool {
    matches!(
        code,
        // CANNOT_READ_FROM_SOCKET, CANNOT_WRITE_TO_SOCKET, CANNOT_ALLOCATE_MEMORY, DNS_ERROR
        95 | 96 | 173 | 198
            // TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION, SOCKET_TIMEOUT, NETWORK_ERROR
            | 202 | 203 | 209 | 210
            // NO_ZOOKEEPER, ABORTED, MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY (no Keeper), UNEXPECTED_ZOOKEEPER_ERROR
            | 225 | 236 | 241 | 242 | 244
            // TOO_MANY_PARTS, NO_ACTIVE_REPLICAS, NO_AVAILABLE_REPLICA, ALL_CONNECTION_TRIES_FAILED
            | 252 | 254 | 265 | 279
            // TOO_FEW_LIVE_REPLICAS, UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, UNKNOWN_STATUS_OF_INSERT
            | 285 | 286 | 319
            // RECEIVED_ERROR_TOO_MANY_REQUESTS, ALL_REPLICAS_ARE_STALE, PART_IS_TEMPORARILY_LOCKED
            | 364 | 369 | 384
            // QUERY_WAS_CANCELLED, REPLICA_STATUS_CHANGED, CANNOT_SCHEDULE_TASK, DEADLOCK_AVOIDED, S3_ERROR, NOT_A_LEADER
            | 394 | 416 | 439 | 473 | 499 | 529
            // NOT_INITIALIZED, ASYNC_LOAD_WAIT_FAILED, TABLE_IS_BEING_RESTARTED, QUERY_WAS_CANCELLED_BY_CLIENT
            | 667 | 722 | 733 | 735
            // SERVER_OVERLOADED, TCP_CONNECTION_LIMIT_REACHED, HTTP_CONNECTION_LIMIT_REACHED
            | 745 | 749 | 762
            // MEMORY_RESERVATION_KILLED, MEMORY_RESERVATION_FAILED, KEEPER_EXCEPTION
            | 777 | 778 | 999
    )
}

/// Tables, rights, settings and disks: what an operator sets up.
const fn concerns_all(code: u32) -> bool {
    matches!(
        code,
        // NO_SUCH_COLUMN_IN_TABLE (of an insert, whose columns are fixed), UNKNOWN_TABLE, UNKNOWN_DATABASE
        16 | 60 | 81
            // UNKNOWN_SETTING, READONLY, UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED
            | 115 | 164 | 192 | 193 | 194 | 195
            // QUOTA_EXPIRED, TABLE_IS_DROPPED, NOT_ENOUGH_SPACE, DATABASE_ACCESS_DENIED
            | 201 | 218 | 243 | 291
            // SETTING_CONSTRAINT_VIOLATION, READONLY_SETTING, ACCESS_DENIED, AUTHENTICATION_FAILED
            | 452 | 472 | 497 | 516
            // TABLE_IS_PERMANENTLY_READ_ONLY
            | 774
    )
}

/// Values that a column does not take. A cut connection looks like CANNOT_READ_ALL_DATA (33), which is therefore none of them.
const fn is_of_a_value(code: u32) -> bool {
    matches!(
        code,
        // CANNOT_PARSE_TEXT, CANNOT_PARSE_ESCAPE_SEQUENCE, CANNOT_PARSE_QUOTED_STRING, CANNOT_PARSE_INPUT_ASSERTION_FAILED
        6 | 25 | 26 | 27
            // CANNOT_PARSE_DATE, CANNOT_PARSE_DATETIME, TYPE_MISMATCH, ARGUMENT_OUT_OF_BOUND, CANNOT_PARSE_NUMBER
            | 38 | 41 | 53 | 69 | 72
            // INCORRECT_DATA, TOO_LARGE_ARRAY_SIZE, TOO_LARGE_STRING_SIZE, TOO_DEEP_RECURSION
            | 117 | 128 | 131 | 306
            // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, CANNOT_PARSE_BOOL
            | 321 | 467
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: u32, words: &str) -> &'static str {
        let text = format!("Code: {code}. DB::Exception: {words}. (NAME) (version 26.7.3.1 (official build))");
        match classify(Error::BadResponse(text)) {
            WarehouseError::Unavailable(_) => "unavailable",
            WarehouseError::TimedOut(_) => "timed out",
            WarehouseError::Unfit(_) => "unfit",
            WarehouseError::InvalidRows(_) => "invalid rows",
            WarehouseError::Refused(_) => "refused",
            WarehouseError::OverLimits(_) => "over limits",
            WarehouseError::InvalidCursor => "cursor",
        }
    }

    #[test]
    fn only_errors_that_pass_by_themselves_are_tried_again() {
        for code in [202, 209, 210, 225, 236, 242, 252, 319, 999] {
            assert_eq!(kind(code, "too much at once"), "unavailable", "{code}");
        }
        let known = (0..1_500).filter(|code| kind(*code, "x") == "unavailable").count();
        assert_eq!(known, 39, "the list has grown: is each of them known to pass?");
    }

    #[test]
    fn what_one_account_causes_is_neither_unavailable_nor_invalid() {
        // ILLEGAL_TYPE_OF_ARGUMENT, UNKNOWN_IDENTIFIER, NO_COMMON_TYPE, SYNTAX_ERROR, LOGICAL_ERROR, one of the future
        for code in [43, 47, 386, 62, 49, 2_999] {
            assert_eq!(kind(code, "In scope SELECT props.`Nope`"), "refused", "{code}");
        }
    }

    #[test]
    fn what_an_operator_has_to_mend_is_no_fault_of_the_rows() {
        for code in [16, 60, 81, 164, 243, 497, 516] {
            assert_eq!(kind(code, "Table analytics.events does not exist"), "unfit", "{code}");
        }
        for code in [6, 27, 41, 117] {
            assert_eq!(kind(code, "Cannot parse"), "invalid rows", "{code}");
        }
    }

    #[test]
    fn memory_is_told_apart_by_whose_limit_it_is() {
        let own =
            ["Query memory limit exceeded: would use 2 GiB", "Memory limit (for query) exceeded: would use 2 GiB"];
        for words in own {
            assert_eq!(kind(241, &format!("{words}: While executing SELECT total")), "over limits");
        }
        for words in ["(total) memory limit exceeded: would use 9 GiB", "User memory limit exceeded"] {
            assert_eq!(kind(241, &format!("{words}: While executing query SELECT 1")), "unavailable");
        }
    }

    #[test]
    fn a_gateway_without_a_clickhouse_is_unavailable_and_silence_is_a_time_out() {
        let gateway = classify(Error::BadResponse("<html>502 Bad Gateway</html>".to_owned()));
        assert!(matches!(gateway, WarehouseError::Unavailable(_)));
        assert!(matches!(classify(Error::TimedOut), WarehouseError::TimedOut(_)));
        assert!(matches!(classify(Error::Network("refused".into())), WarehouseError::Unavailable(_)));
        assert!(matches!(classify(Error::NotEnoughData), WarehouseError::Refused(_)));
    }
}
