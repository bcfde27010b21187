//! The Telegram accounts that send: who is at work on a day, and what befalls them.

use std::ops::Range;

use crate::cast::{DAY, HOUR, LANGUAGES, Language, MINUTE, day_start};
use crate::event::{Event, rfc3339};
use crate::rng::Rng;
use crate::topic;

/// 1 January 2025: bans are counted from here, so that a sender's name does not depend on the window asked for.
const FIRST_DAY: i64 = 20_089;

/// One account on one day.
pub struct Sender {
    pub id: String,
    outages: Vec<Range<i64>>,
    banned_at: Option<i64>,
}

impl Sender {
    pub fn works_at(&self, at_ms: i64) -> bool {
        self.banned_at.is_none_or(|ban| at_ms < ban) && !self.outages.iter().any(|outage| outage.contains(&at_ms))
    }

    /// Whether the ban is so fresh that the client has not noticed yet.
    pub fn was_just_banned(&self, at_ms: i64) -> bool {
        self.banned_at.is_some_and(|ban| (ban..ban + 15 * MINUTE).contains(&at_ms))
    }
}

/// The senders of one audience on one day, and their own events.
pub struct Roster {
    pub senders: Vec<Sender>,
    pub events: Vec<Event>,
}

impl Roster {
    pub fn of(seed: u64, day: i64, language: Language) -> Self {
        let mut events = Vec::new();
        let senders = (0..language.senders()).map(|slot| sender_day(seed, day, language, slot, &mut events)).collect();
        Self { senders, events }
    }

    /// The preferred sender, or the next one that works; the preferred one when all are down.
    pub fn at_work(&self, preferred: usize, at_ms: i64) -> &Sender {
        let count = self.senders.len();
        let next = (0..count).map(|step| &self.senders[(preferred + step) % count]);
        next.into_iter().find(|sender| sender.works_at(at_ms)).unwrap_or(&self.senders[preferred % count])
    }
}

fn sender_day(seed: u64, day: i64, language: Language, slot: u64, events: &mut Vec<Event>) -> Sender {
    // A banned account is replaced by a new one on the next day.
    let replacements = (FIRST_DAY..day).filter(|past| ban_at(seed, *past, language, slot).is_some()).count();
    let mut sender = Sender {
        id: format!("snd-{}-{}-{}", language.code(), slot + 1, replacements + 1),
        outages: Vec::new(),
        banned_at: ban_at(seed, day, language, slot),
    };
    let mut rng = Rng::keyed(&[seed, topic::SENDER_DAY, day.unsigned_abs(), language as u64, slot]);
    let start = day_start(day, language);
    let mut tell = |event: Event| {
        if sender.banned_at.is_none_or(|ban| event.at_ms < ban) {
            events.push(event.with("senderId", sender.id.as_str()));
        }
    };
    if rng.permille(40) {
        let lost = start + rng.between(9 * HOUR, 20 * HOUR);
        let back = lost + rng.between(8 * MINUTE, 90 * MINUTE);
        tell(Event::new("sender_session_lost", lost, &mut rng));
        tell(Event::new("sender_recovered", back, &mut rng));
        sender.outages.push(lost..back);
    }
    if rng.permille(35) {
        // PEER_FLOOD names no time; people find out by trying again hours later.
        let flood = start + rng.between(10 * HOUR, 15 * HOUR);
        let until = flood + rng.between(2 * HOUR, 8 * HOUR);
        tell(Event::new("sender_peer_flood", flood, &mut rng));
        tell(Event::new("sender_restricted", flood + 4_000, &mut rng).with("until", rfc3339(until)));
        tell(Event::new("sender_recovered", until + 2 * MINUTE, &mut rng));
        sender.outages.push(flood..until);
    }
    if let Some(ban) = sender.banned_at {
        events.push(Event::new("sender_banned", ban, &mut rng).with("senderId", sender.id.as_str()));
    }
    sender
}

fn ban_at(seed: u64, day: i64, language: Language, slot: u64) -> Option<i64> {
    let day_key = day.unsigned_abs();
    let mut wave = Rng::keyed(&[seed, topic::BAN_WAVE, day_key]);
    if wave.permille(20) {
        // A wave hits accounts of every audience within the hour.
        let start = day * DAY + wave.between(6 * HOUR, 14 * HOUR);
        let mut hit = Rng::keyed(&[seed, topic::BAN_WAVE, day_key, language as u64, slot]);
        return hit.permille(450).then(|| start + hit.between(0, 50 * MINUTE));
    }
    let mut rng = Rng::keyed(&[seed, topic::BAN, day_key, language as u64, slot]);
    rng.permille(9).then(|| day_start(day, language) + rng.between(9 * HOUR, 21 * HOUR))
}

/// The senders of all audiences, in the order of [`LANGUAGES`].
pub fn rosters(seed: u64, day: i64) -> Vec<Roster> {
    LANGUAGES.iter().map(|language| Roster::of(seed, day, *language)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_sender_is_replaced_the_next_day_and_never_returns() {
        let bans: Vec<_> =
            (FIRST_DAY..FIRST_DAY + 400).filter(|day| ban_at(1, *day, Language::Russian, 0).is_some()).collect();
        assert!(bans.len() > 1, "a slot loses several accounts in 400 days");
        let id = |day| Roster::of(1, day, Language::Russian).senders[0].id.clone();
        assert_ne!(id(bans[0]), id(bans[0] + 1));
        assert_eq!(id(bans[0] + 1), id(bans[1]));
        let roster = Roster::of(1, bans[0], Language::Russian);
        let banned_at = ban_at(1, bans[0], Language::Russian, 0).expect("a ban on this day");
        assert!(roster.senders[0].was_just_banned(banned_at));
        assert_ne!(roster.at_work(0, banned_at).id, roster.senders[0].id);
    }
}
