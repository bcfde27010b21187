//! Telegram's errors when a message is not sent, with class and fault by the table "Error codes" in
//! `docs/api/events.md`. The frequencies are invented.

use crate::cast::{Campaign, Reach};
use crate::rng::Rng;
use crate::senders::Trouble;

#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub code: &'static str,
    pub class: &'static str,
    pub fault: &'static str,
    /// A retry would fail again.
    pub is_hopeless: bool,
    /// Quantiles of the number that stands for the X of the code: seconds to wait, or a price in Stars.
    pub number: &'static [i64],
    /// The kind of `sender_flood_wait` that comes with the failure.
    pub wait_kind: Option<&'static str>,
}

const fn retried(code: &'static str, class: &'static str, fault: &'static str) -> Failure {
    Failure { code, class, fault, is_hopeless: false, number: &[], wait_kind: None }
}

const fn hopeless(code: &'static str, class: &'static str, fault: &'static str) -> Failure {
    Failure { is_hopeless: true, ..retried(code, class, fault) }
}

const fn with_number(failure: Failure, number: &'static [i64]) -> Failure {
    Failure { number, ..failure }
}

const fn waiting(failure: Failure, kind: &'static str) -> Failure {
    Failure { wait_kind: Some(kind), ..failure }
}

/// Seconds.
const FLOOD_WAIT: &[i64] = &[2, 3, 5, 8, 13, 20, 32, 60, 180];
const SLOW_MODE: &[i64] = &[2, 6, 14, 30];
const BOT_WAIT: &[i64] = &[1, 3, 7, 14, 36];
/// Stars.
const PRICE: &[i64] = &[1, 10, 50, 250];

const FLOOD: Failure = waiting(with_number(retried("FLOOD_WAIT_X", "flood", "sender"), FLOOD_WAIT), "flood");
const NO_ANSWER: Failure = retried("TIMEOUT", "network", "us");
const SERVER: Failure = retried("RPC_CALL_FAIL", "server", "server");

/// Of a thousand attempts.
type Table = &'static [(u64, Failure)];

const TO_PEOPLE: Table = &[
    (8, FLOOD),
    (7, NO_ANSWER),
    (2, SERVER),
    (11, hopeless("INPUT_USER_DEACTIVATED", "deactivated", "recipient")),
    (6, hopeless("USER_IS_BLOCKED", "blocked", "recipient")),
    (17, hopeless("USER_PRIVACY_RESTRICTED", "privacy", "recipient")),
    (7, hopeless("PRIVACY_PREMIUM_REQUIRED", "privacy", "recipient")),
    (5, with_number(hopeless("ALLOW_PAYMENT_REQUIRED_X", "payment", "recipient"), PRICE)),
    (8, hopeless("USERNAME_NOT_OCCUPIED", "invalid_peer", "us")),
    (4, hopeless("PEER_ID_INVALID", "invalid_peer", "us")),
];

const TO_GROUPS: Table = &[
    (7, FLOOD),
    (16, with_number(retried("SLOWMODE_WAIT_X", "slow_mode", "chat"), SLOW_MODE)),
    (6, NO_ANSWER),
    (2, SERVER),
    (14, hopeless("CHAT_WRITE_FORBIDDEN", "permission", "chat")),
    (7, hopeless("CHAT_SEND_MEDIA_FORBIDDEN", "permission", "chat")),
    (2, hopeless("CHAT_RESTRICTED", "permission", "chat")),
    (4, retried("USER_BANNED_IN_CHANNEL", "permission", "sender")),
    (2, hopeless("MEDIA_INVALID", "content", "us")),
];

const BY_BOTS: Table = &[
    (6, waiting(with_number(retried("429", "flood", "sender"), BOT_WAIT), "bot_429")),
    (4, NO_ANSWER),
    (3, retried("502", "server", "server")),
    (9, hopeless("user is deactivated", "deactivated", "recipient")),
    (4, hopeless("bot can't initiate conversation with a user", "never_started", "us")),
    (1, hopeless("MESSAGE_TOO_LONG", "content", "us")),
];

pub const BOT_BLOCKED: Failure = hopeless("bot was blocked by the user", "blocked", "recipient");
pub const NO_ACCESS: Failure = hopeless("CHANNEL_PRIVATE", "permission", "chat");
pub const MIGRATED: Failure = retried("group chat was upgraded to a supergroup chat", "migrated", "us");

/// The failures of a thousand attempts.
const fn table(campaign: &Campaign, by_bot: bool) -> Table {
    match campaign.reach {
        _ if by_bot => BY_BOTS,
        Reach::People => TO_PEOPLE,
        Reach::Groups => TO_GROUPS,
        Reach::Stream => &[(7, FLOOD), (6, NO_ANSWER), (2, SERVER)],
    }
}

/// Draws the outcome of an attempt: a failure, or none.
pub fn drawn(campaign: &Campaign, by_bot: bool, rng: &mut Rng) -> Option<Failure> {
    let mut left = rng.below(1_000);
    for (weight, failure) in table(campaign, by_bot) {
        if left < *weight {
            return Some(*failure);
        }
        left -= weight;
    }
    None
}

/// The failure of an account whose trouble is not noticed yet.
pub const fn of_trouble(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::LoggedOut => retried("AUTH_KEY_UNREGISTERED", "session", "sender"),
        Trouble::PeerFlood => retried("PEER_FLOOD", "flood", "sender"),
        Trouble::SpamBlock => retried("USER_BANNED_IN_CHANNEL", "permission", "sender"),
        Trouble::Frozen => retried("FROZEN_METHOD_INVALID", "frozen", "sender"),
        Trouble::Banned => retried("USER_DEACTIVATED_BAN", "banned", "sender"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_attempts_succeed() {
        for table in [TO_PEOPLE, TO_GROUPS, BY_BOTS] {
            assert!((20..100).contains(&table.iter().map(|(weight, _)| weight).sum::<u64>()));
        }
    }
}
