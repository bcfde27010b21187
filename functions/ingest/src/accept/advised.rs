//! Which accounts have been told lately what built-in metrics miss in their events.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use analytics_domain::{
    account::AccountId,
    event::{Advice, SealedEvent, advice},
    time::EpochMillis,
};

/// Events of a request that are looked at.
const LOOKED_AT: usize = 100;
/// Until events of a name are looked at again: once something was said of them, and if nothing was missed.
const SAID_MILLIS: i64 = 3_600_000;
const FINE_MILLIS: i64 = 10_000;
/// Accounts and names that are remembered.
const MOST: usize = 10_000;

/// Remembers it for as long as this process lives.
#[derive(Debug, Default)]
pub struct Advised {
    /// When events of an account and a name are looked at again.
    next: Mutex<HashMap<(AccountId, &'static str), EpochMillis>>,
}

impl Advised {
    /// What is missed in these events, and has not been said in the last hour.
    pub fn advise(&self, account_id: &AccountId, events: &[SealedEvent<'_>], now: EpochMillis) -> Vec<Advice> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() > MOST {
            next.clear();
        }
        let mut all = Vec::new();
        for event in events.iter().take(LOOKED_AT) {
            let Some(known) = analytics_domain::catalogue::find(&event.event_name) else { continue };
            let next = next.entry((account_id.clone(), known.name)).or_default();
            if now < *next {
                continue;
            }
            let missed = advice(event).unwrap_or_default();
            *next = now + if missed.is_empty() { FINE_MILLIS } else { SAID_MILLIS };
            all.extend(missed);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_once_an_hour_to_each_account() {
        let event = |name: &'static str, properties: &'static str| SealedEvent {
            event_name: name.into(),
            properties: properties.into(),
            ..SealedEvent::default()
        };
        let events = [event("message_failed", "{}"), event("message_failed", "{}"), event("message_read", "{}")];
        let advised = Advised::default();
        let [shop, other, third] = ["shop", "other", "third"].map(AccountId::stored);
        let told = |account: &AccountId, events: &[SealedEvent<'_>], now| {
            advised.advise(account, events, now).into_iter().map(|advice| advice.event_name).collect::<Vec<_>>()
        };
        assert_eq!(told(&shop, &events, 1), ["message_failed", "message_read"]);
        assert_eq!(told(&shop, &events, SAID_MILLIS), [""; 0]);
        assert_eq!(told(&other, &events, 2), ["message_failed", "message_read"]);
        assert_eq!(told(&shop, &events, 1 + SAID_MILLIS), ["message_failed", "message_read"]);
        // What was fine is looked at again soon.
        let fine = [event("message_failed", r#"{"final":true}"#)];
        assert_eq!(told(&third, &fine, 1), [""; 0]);
        assert_eq!(told(&third, &events[..1], 1 + FINE_MILLIS), ["message_failed"]);
    }
}
