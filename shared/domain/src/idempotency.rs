//! `Idempotency-Key`: a client that cannot name its events by id and time names its request instead, and may send it
//! again until it has an answer.
//!
//! The first request with a key notes when it started. Ids and times that events don't bring are made from the key and
//! that moment, so a second try, even after a crash halfway, seals the very same events.

use sha2::{Digest, Sha256};

use crate::account::AccountId;

/// How long one try may take before another may take over: longer than a function runs.
pub const LOCK_MILLIS: i64 = 15_000;
/// How long an answer is kept.
pub const KEEP_MILLIS: i64 = 24 * 3_600_000;
/// Characters of a key.
pub const KEY_CHARS: usize = 255;

/// A request that can be recognised when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Account, operation and the client's key.
    pub key: String,
    /// Digest of the body as received.
    pub body: String,
}

/// What is known of a request when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Go on: it is new, or an earlier try was cut off. It first came at this time (epoch milliseconds).
    Proceed { first_seen: i64 },
    /// It has been answered; this was the answer.
    Answered(Answer),
    /// Another try is under way.
    Running,
    /// The key was used for another body.
    OtherBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Ticket {
    /// No two requests have the same ticket but those of one account, operation, key and body.
    ///
    /// An account without `#` ends at the first `#`, and an operation has none either. An account with `#` has its length in
    /// front, and the `#` before it tells it from every other account.
    #[must_use]
    pub fn new(account_id: &AccountId, operation: &str, key: &str, body: &[u8]) -> Self {
        let key = if account_id.contains('#') {
            format!("#{}#{account_id}#{operation}#{key}", account_id.len())
        } else {
            format!("{account_id}#{operation}#{key}")
        };
        Self { key, body: hex(&Sha256::digest(body)) }
    }

    /// The seed of ids for events that bring none.
    #[must_use]
    pub fn seed(&self) -> [u8; 10] {
        let digest = Sha256::digest(&self.key);
        std::array::from_fn(|at| digest[at])
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket_of(account: &str, operation: &str, key: &str, body: &[u8]) -> Ticket {
        Ticket::new(&AccountId::stored(account), operation, key, body)
    }

    #[test]
    fn the_same_key_of_another_account_is_another_request() {
        let ticket = |account| ticket_of(account, "track-events", "k", b"[]");
        assert_ne!(ticket("a").key, ticket("b").key);
        assert_ne!(ticket("a").seed(), ticket("b").seed());
        assert_eq!(ticket("a"), ticket("a"));
        assert_ne!(ticket("a").body, ticket_of("a", "track-events", "k", b"[1]").body);
    }

    #[test]
    fn an_account_with_a_number_sign_shares_no_key() {
        let one = ticket_of("a", "track-events", "track-events#k", b"");
        let other = ticket_of("a#track-events", "track-events", "k", b"");
        assert_ne!(one.key, other.key);
        assert_ne!(one.seed(), other.seed());
    }

    /// Answers that were noted before a deploy are found after it.
    #[test]
    fn keys_of_accounts_without_a_number_sign_stay_as_they_were() {
        let ticket = ticket_of("demo", "track-events", "k#1", b"[]");
        assert_eq!(ticket.key, "demo#track-events#k#1");
        assert_eq!(ticket.seed(), [112, 248, 32, 19, 30, 137, 0, 37, 43, 122]);
    }

    proptest! {
        #[test]
        fn different_requests_have_different_keys(
            one in ("(a|#|1|3|#track-event){1,4}", "track-events?", "(a|#|1|3|track-events){1,4}"),
            other in ("(a|#|1|3|#track-event){1,4}", "track-events?", "(a|#|1|3|track-events){1,4}"),
        ) {
            let key = |(account, operation, key): &(String, String, String)| ticket_of(account, operation, key, b"").key;
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }
}
