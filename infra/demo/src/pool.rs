//! The hourly samples of the pool: each account with its state and the messages of the day.

use std::collections::HashMap;

use crate::cast::{HOUR, Language, day_start};
use crate::event::{Event, Value};
use crate::rng::Rng;
use crate::senders::{Roster, Sender, Trouble};
use crate::topic;

/// The constant properties of an account.
struct Account {
    proxy: String,
    dc: i64,
    country: &'static str,
    is_premium: bool,
    /// Age of the account when it was bought, in days.
    bought_at: i64,
    daily_limit: i64,
}

fn account(seed: u64, sender: &Sender) -> Account {
    let key = [seed, topic::ACCOUNT, sender.language as u64, sender.slot, sender.generation];
    let mut rng = Rng::keyed(&key);
    let countries: [(&str, i64); 2] = match sender.language {
        Language::Chinese => [("HK", 5), ("ID", 5)],
        Language::Russian => [("RU", 2), ("KZ", 2)],
        Language::English => [("GB", 4), ("US", 1)],
        Language::Arabic => [("AE", 4), ("EG", 4)],
    };
    let (country, dc) = *rng.pick(&countries);
    Account {
        proxy: format!("px-{}-{}", sender.language.code(), rng.between(1, 5)),
        dc,
        country,
        is_premium: rng.permille(200),
        bought_at: rng.between(40, 400),
        daily_limit: rng.between(14, 21) * 10,
    }
}

/// The time of each message by sender, and whether the message is private.
pub type Sent<'a> = HashMap<&'a str, Vec<(i64, bool)>>;

/// The messages of the campaigns of a day. Answers to replies belong to no run and do not count.
pub fn sent_by(events: &[Event]) -> Sent<'_> {
    let mut sent = Sent::new();
    let counts = |event: &&Event| event.name == "message_sent" && event.session_id.is_some();
    for event in events.iter().filter(counts) {
        if let Some(Value::Text(sender)) = event.property("senderId") {
            sent.entry(sender).or_default().push((event.at_ms, event.user_id.is_some()));
        }
    }
    sent
}

/// Samples each sender every hour. A banned account is sampled until the end of the day.
pub fn sample(seed: u64, scale: f64, day: i64, roster: &Roster, sent: &Sent<'_>, out: &mut Vec<Event>) {
    for sender in roster.all() {
        let key = [seed, topic::SAMPLES, day.unsigned_abs(), sender.language as u64, sender.slot];
        let mut rng = Rng::keyed(&key);
        let start = day_start(day, sender.language);
        let account = account(seed, sender);
        let sent = sent.get(sender.id.as_str()).map_or(&[][..], Vec::as_slice);
        for hour in 0..24 {
            let at_ms = start + hour * HOUR + rng.between(1_000, 50_000);
            let today = sent.iter().filter(|(sent_at, _)| *sent_at <= at_ms);
            let (sent_today, new_chats) =
                today.fold((0, 0), |(all, new), (_, is_new)| (all + 1, new + i64::from(*is_new)));
            let mut event = Event::new("sender_stats_sampled", at_ms, &mut rng)
                .with("senderId", sender.id.as_str())
                .with("senderKind", if sender.is_bot { "bot" } else { "user" })
                .with("state", state(sender.trouble_at(at_ms)))
                .with("sentToday", sent_today);
            if !sender.is_bot {
                event = event
                    .with("newChatsToday", new_chats)
                    .with("dailyLimit", scaled(account.daily_limit, scale))
                    .with("ageDays", account.bought_at + day - sender.since)
                    .with("proxyId", account.proxy.as_str())
                    .with("dc", account.dc)
                    .with("phoneCountry", account.country)
                    .with("isPremium", account.is_premium);
            }
            out.push(event);
        }
    }
}

const fn state(trouble: Option<Trouble>) -> &'static str {
    match trouble {
        None => "active",
        Some(Trouble::PeerFlood | Trouble::SpamBlock) => "limited",
        Some(Trouble::Frozen) => "frozen",
        Some(Trouble::LoggedOut) => "logged_out",
        Some(Trouble::Banned) => "banned",
    }
}

/// An agency with more messages has more accounts; the demo has the same number, which may send more.
fn scaled(limit: i64, scale: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a scale of at most thousands")]
    let times = scale.ceil() as i64;
    limit * times.max(1)
}
