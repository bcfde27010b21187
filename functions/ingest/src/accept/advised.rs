//! Limits warnings about missing properties to one an hour for each account and event name.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use analytics_domain::{
    account::AccountId,
    catalogue,
    event::{Advice, SealedEvent, advice},
    time::EpochMillis,
};

/// Events of a request that are looked at.
const MOST_CHECKED: usize = 100;
/// Until events of a name are looked at again: once something was said of them, and if nothing was missed.
const REPEAT_MILLIS: i64 = 3_600_000;
const RECHECK_MILLIS: i64 = 10_000;
/// Accounts and names that are remembered.
const MOST_REMEMBERED: usize = 10_000;

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
        if next.len() > MOST_REMEMBERED {
            next.clear();
        }
        // The names that are looked at in this request, and what is missed in the first event that lacks something.
        let mut checked: Vec<(&'static str, Vec<Advice>)> = Vec::new();
        for event in events.iter().take(MOST_CHECKED) {
            let Some(known) = catalogue::find(&event.event_name) else { continue };
            let place = checked.iter().position(|(name, _)| *name == known.name);
            let is_settled = match place {
                Some(place) => !checked[place].1.is_empty(),
                None => next.get(&(account_id.clone(), known.name)).is_some_and(|next| now < *next),
            };
            if is_settled {
                continue;
            }
            let missed = advice(event).unwrap_or_default();
            match place {
                Some(place) => checked[place].1 = missed,
                None => checked.push((known.name, missed)),
            }
        }
        for (name, missed) in &checked {
            let pause = if missed.is_empty() { RECHECK_MILLIS } else { REPEAT_MILLIS };
            next.insert((account_id.clone(), *name), now + pause);
        }
        checked.into_iter().flat_map(|(_, missed)| missed).collect()
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
        assert_eq!(told(&shop, &events, REPEAT_MILLIS), [""; 0]);
        assert_eq!(told(&other, &events, 2), ["message_failed", "message_read"]);
        assert_eq!(told(&shop, &events, 1 + REPEAT_MILLIS), ["message_failed", "message_read"]);
        // What was fine is looked at again soon.
        let fine = [event("message_failed", r#"{"final":true}"#)];
        assert_eq!(told(&third, &fine, 1), [""; 0]);
        let mixed = [fine[0].clone(), events[0].clone()];
        assert_eq!(told(&third, &mixed, 1 + RECHECK_MILLIS), ["message_failed"]);
    }
}
