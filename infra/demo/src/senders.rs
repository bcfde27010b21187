//! The Telegram accounts and bots that send, and the incidents of a day.

use crate::cast::{DAY, FIRST_DAY, HOUR, LANGUAGES, Language, MINUTE, day_start};
use crate::event::{Event, Value, rfc3339};
use crate::rng::Rng;
use crate::topic;

/// A state in which a user account cannot send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    LoggedOut,
    PeerFlood,
    SpamBlock,
    Frozen,
    Banned,
}

/// A trouble with its beginning and its end, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    pub trouble: Trouble,
    pub from: i64,
    pub until: i64,
}

impl Incident {
    const fn covers(&self, at_ms: i64) -> bool {
        self.from <= at_ms && at_ms < self.until
    }
}

/// All troubles but bans are shorter than this.
const INCIDENT_DAYS: i64 = 3;
/// The sending software notices a trouble after this time, and uses the account until then.
const UNNOTICED: i64 = 12 * MINUTE;

/// One account or bot on one day.
pub struct Sender {
    pub id: String,
    pub language: Language,
    pub slot: u64,
    /// How many accounts had the slot before.
    pub generation: u64,
    /// The day on which the account began to work.
    pub since: i64,
    pub is_bot: bool,
    incidents: Vec<Incident>,
}

impl Sender {
    pub fn works_at(&self, at_ms: i64) -> bool {
        self.trouble_at(at_ms).is_none()
    }

    pub fn trouble_at(&self, at_ms: i64) -> Option<Trouble> {
        self.incidents.iter().find(|incident| incident.covers(at_ms)).map(|incident| incident.trouble)
    }

    /// The trouble that the sending software has not noticed yet.
    pub fn fresh_trouble_at(&self, at_ms: i64) -> Option<Trouble> {
        let fresh = |incident: &&Incident| (incident.from..incident.from + UNNOTICED).contains(&at_ms);
        self.incidents.iter().find(fresh).map(|incident| incident.trouble)
    }
}

/// Whether the account can answer. A limited account still can.
pub fn can_answer(seed: u64, sender: &Sender, at_ms: i64) -> bool {
    if sender.is_bot {
        return true;
    }
    let day = (at_ms + sender.language.utc_offset_ms()).div_euclid(DAY);
    let then = sender_day(seed, day, sender.language, sender.slot, &mut Vec::new());
    then.id == sender.id && matches!(then.trouble_at(at_ms), None | Some(Trouble::PeerFlood | Trouble::SpamBlock))
}

/// The senders of one audience on one day, and their own events.
pub struct Roster {
    pub users: Vec<Sender>,
    pub bot: Option<Sender>,
    pub events: Vec<Event>,
}

impl Roster {
    pub fn of(seed: u64, day: i64, language: Language) -> Self {
        let mut events = Vec::new();
        let users: Vec<_> =
            (0..language.senders()).map(|slot| sender_day(seed, day, language, slot, &mut events)).collect();
        pool_costs(seed, day, &users, &mut events);
        let bot = language.bot().map(|id| Sender {
            id: id.to_owned(),
            language,
            slot: 99,
            generation: 0,
            since: FIRST_DAY,
            is_bot: true,
            incidents: Vec::new(),
        });
        Self { users, bot, events }
    }

    /// The preferred account, or the next one that works; the preferred one when all are down.
    pub fn at_work(&self, preferred: usize, at_ms: i64) -> &Sender {
        let count = self.users.len();
        let next = (0..count).map(|step| &self.users[(preferred + step) % count]);
        next.into_iter().find(|sender| sender.works_at(at_ms)).unwrap_or(&self.users[preferred % count])
    }

    pub fn all(&self) -> impl Iterator<Item = &Sender> {
        self.users.iter().chain(&self.bot)
    }
}

fn sender_day(seed: u64, day: i64, language: Language, slot: u64, events: &mut Vec<Event>) -> Sender {
    // A banned account is replaced by a new one on the next day.
    let bans: Vec<_> = (FIRST_DAY..day).filter(|past| ban_at(seed, *past, language, slot).is_some()).collect();
    let since = bans.last().map_or(FIRST_DAY, |last| last + 1);
    let id = format!("snd-{}-{}-{}", language.code(), slot + 1, bans.len() + 1);
    let first = (day - INCIDENT_DAYS).max(since);
    let mut incidents: Vec<_> = (first..=day).filter_map(|began| incident(seed, began, language, slot)).collect();
    // A ban ends all other incidents.
    let next_ban = (first..=day + INCIDENT_DAYS).find_map(|later| ban_at(seed, later, language, slot));
    incidents.retain(|incident| next_ban.is_none_or(|ban| incident.from < ban));
    if let Some(today) = incidents.last().filter(|incident| incident.from >= day_start(day, language)) {
        record_incident(seed, day, slot, &id, *today, next_ban, events);
    }
    if let Some(from) = ban_at(seed, day, language, slot) {
        for incident in &mut incidents {
            incident.until = incident.until.min(from);
        }
        incidents.push(Incident { trouble: Trouble::Banned, from, until: i64::MAX });
    }
    let mut rng = Rng::keyed(&[seed, topic::SENDER_DAY, day.unsigned_abs(), language as u64, slot]);
    if let Some(ban) = ban_at(seed, day, language, slot) {
        events.push(Event::new("sender_banned", ban, &mut rng).with("senderId", id.as_str()));
    }
    let sender = Sender { id, language, slot, generation: bans.len() as u64, since, is_bot: false, incidents };
    other_waits(&sender, day_start(day, language), events, &mut rng);
    sender
}

/// The trouble that begins on a day, unless an earlier one is still going on.
fn incident(seed: u64, day: i64, language: Language, slot: u64) -> Option<Incident> {
    let new = drawn_incident(seed, day, language, slot)?;
    let goes_on = |past| drawn_incident(seed, past, language, slot).is_some_and(|old| old.until >= new.from);
    (!(day - INCIDENT_DAYS..day).any(goes_on)).then_some(new)
}

/// The frequencies are invented.
fn drawn_incident(seed: u64, day: i64, language: Language, slot: u64) -> Option<Incident> {
    let mut rng = Rng::keyed(&[seed, topic::INCIDENT, day.unsigned_abs(), language as u64, slot]);
    let from = day_start(day, language) + rng.between(9 * HOUR, 20 * HOUR);
    let (trouble, lasts) = match rng.weighted(&[950, 16, 20, 8, 6]) {
        1 => (Trouble::LoggedOut, rng.between(8 * MINUTE, 90 * MINUTE)),
        2 => (Trouble::PeerFlood, rng.between(2 * HOUR, 9 * HOUR)),
        3 => (Trouble::SpamBlock, rng.between(12 * HOUR, 50 * HOUR)),
        4 => (Trouble::Frozen, rng.between(10 * HOUR, 46 * HOUR)),
        _ => return None,
    };
    Some(Incident { trouble, from, until: from + lasts })
}

fn record_incident(
    seed: u64,
    day: i64,
    slot: u64,
    id: &str,
    Incident { trouble, from, until }: Incident,
    ban: Option<i64>,
    events: &mut Vec<Event>,
) {
    let mut rng = Rng::keyed(&[seed, topic::INCIDENT, day.unsigned_abs(), slot, from.unsigned_abs()]);
    let restricted = |at_ms, kind: &str, detected_by: &str, rng: &mut Rng| {
        Event::new("sender_restricted", at_ms, rng).with("kind", kind).with("detectedBy", detected_by)
    };
    let mut begin = Vec::new();
    match trouble {
        Trouble::LoggedOut => begin.push(Event::new("sender_session_lost", from, &mut rng)),
        // PEER_FLOOD names no time.
        Trouble::PeerFlood => {
            begin.push(Event::new("sender_peer_flood", from, &mut rng));
            begin.push(restricted(from, "peer_flood", "api_error", &mut rng));
        }
        // @SpamBot names the end of the block.
        Trouble::SpamBlock => {
            begin.push(restricted(from, "spam_block", "spambot", &mut rng).with("until", rfc3339(until)));
        }
        Trouble::Frozen => {
            let detected_by = *rng.pick(&["update", "api_error"]);
            begin.push(restricted(from, "frozen", detected_by, &mut rng));
        }
        Trouble::Banned => {}
    }
    if ban.is_none_or(|ban| until < ban) {
        begin.push(Event::new("sender_recovered", until, &mut rng));
    }
    events.extend(begin.into_iter().map(|event| event.with("senderId", id)));
}

/// Waits that hold up no message: looking up names, transfers of files, stories.
fn other_waits(sender: &Sender, start: i64, events: &mut Vec<Event>, rng: &mut Rng) {
    let kinds = [
        ("flood", "contacts.resolveUsername", 600..40_000, 30),
        ("premium", "upload.saveFilePart", 5..60, 25),
        ("story", "stories.sendStory", 1_800..20_000, 4),
    ];
    for (kind, method, waits, often) in kinds {
        let at_ms = start + rng.between(9 * HOUR, 20 * HOUR);
        if !rng.permille(often) || !sender.works_at(at_ms) {
            continue;
        }
        let wait = rng.between(waits.start, waits.end);
        let event = Event::new("sender_flood_wait", at_ms, rng).with("senderId", sender.id.as_str());
        let event = event.with("senderKind", "user").with("kind", kind).with("method", method);
        events.push(event.with("waitS", wait).with("absorbed", false));
    }
}

/// The costs of the pool: proxies for all accounts, and the price of each new account. Prices are invented.
fn pool_costs(seed: u64, day: i64, users: &[Sender], events: &mut Vec<Event>) {
    let Some(first) = users.first() else {
        return;
    };
    let language = first.language;
    let mut rng = Rng::keyed(&[seed, topic::SENDER_DAY, day.unsigned_abs(), language as u64]);
    let in_currency = if language.currency() == "RUB" { 80 } else { 1 };
    let mut cost = |kind: &str, hundredths: i64, at_ms: i64| {
        Event::new("cost_recorded", at_ms, &mut rng)
            .with("amount", Value::Hundredths(hundredths * in_currency))
            .with("currency", language.currency())
            .with("kind", kind)
    };
    let start = day_start(day, language);
    events.push(cost("proxy", 12 * i64::try_from(users.len()).unwrap_or(0), start + 7 * HOUR));
    for new in users.iter().filter(|sender| sender.since == day && day > FIRST_DAY) {
        events.push(cost("accounts", 650, start + 8 * HOUR).with("senderId", new.id.as_str()));
    }
}

fn ban_at(seed: u64, day: i64, language: Language, slot: u64) -> Option<i64> {
    let day_key = day.unsigned_abs();
    let mut wave = Rng::keyed(&[seed, topic::BAN_WAVE, day_key]);
    if wave.permille(10) {
        // A wave hits accounts of every audience within the hour.
        let start = day * DAY + wave.between(6 * HOUR, 14 * HOUR);
        let mut hit = Rng::keyed(&[seed, topic::BAN_WAVE, day_key, language as u64, slot]);
        return hit.permille(120).then(|| start + hit.between(0, 50 * MINUTE));
    }
    let mut rng = Rng::keyed(&[seed, topic::BAN, day_key, language as u64, slot]);
    // A few percent of the pool a month.
    rng.permille(2).then(|| day_start(day, language) + rng.between(9 * HOUR, 21 * HOUR))
}

/// The senders of all audiences, in the order of [`LANGUAGES`].
pub fn rosters(seed: u64, day: i64) -> Vec<Roster> {
    LANGUAGES.iter().map(|language| Roster::of(seed, day, *language)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSSIAN: Language = Language::Russian;

    #[test]
    fn banned_sender_is_replaced_the_next_day_and_never_returns() {
        let bans: Vec<_> = (FIRST_DAY..FIRST_DAY + 3_000).filter(|day| ban_at(1, *day, RUSSIAN, 0).is_some()).collect();
        assert!(bans.len() > 1, "a slot loses several accounts in 3,000 days");
        let id = |day| Roster::of(1, day, RUSSIAN).users[0].id.clone();
        assert_ne!(id(bans[0]), id(bans[0] + 1));
        assert_eq!(id(bans[0] + 1), id(bans[1]));
        let roster = Roster::of(1, bans[0], RUSSIAN);
        let banned_at = ban_at(1, bans[0], RUSSIAN, 0).expect("a ban on this day");
        assert_eq!(roster.users[0].fresh_trouble_at(banned_at), Some(Trouble::Banned));
        assert_ne!(roster.at_work(0, banned_at).id, roster.users[0].id);
    }

    #[test]
    fn trouble_that_lasts_is_known_on_the_days_after() {
        let lasting = (FIRST_DAY..FIRST_DAY + 1_000)
            .filter_map(|day| Some((day, incident(1, day, RUSSIAN, 0)?)))
            .find(|(day, incident)| incident.until > day_start(day + 1, RUSSIAN) + 12 * HOUR);
        let (day, incident) = lasting.expect("a long restriction");
        let next_day = &Roster::of(1, day + 1, RUSSIAN).users[0];
        assert_eq!(next_day.trouble_at(day_start(day + 1, RUSSIAN)), Some(incident.trouble));
        assert!(next_day.works_at(incident.until));
    }
}
