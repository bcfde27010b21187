//! One day of one campaign: messages from the queue to the conversion.

use crate::cast::{Campaign, Group, HOUR, Language, MINUTE, Reach, SENDING_HOURS, Variant, day_start};
use crate::event::{Event, Value, rfc3339};
use crate::rng::Rng;
use crate::senders::Roster;
use crate::{texts, topic};

/// Milliseconds; equally likely steps between the quantiles.
const SEND_LATENCY: [i64; 9] = [35, 90, 140, 190, 260, 380, 620, 1_300, 6_500];
/// Seconds.
const FLOOD_WAIT: [i64; 8] = [3, 8, 15, 28, 45, 90, 240, 900];

/// What may go wrong in an attempt: weight out of a thousand, class, code, final.
const FAILURES: [(u64, &str, &str, bool); 8] = [
    (18, "flood", "FLOOD_WAIT_X", false),
    (8, "network", "TIMEOUT", false),
    (3, "flood", "PEER_FLOOD", false),
    (6, "blocked", "USER_IS_BLOCKED", true),
    (5, "permission", "CHAT_WRITE_FORBIDDEN", true),
    (3, "permission", "USER_PRIVACY_RESTRICTED", true),
    (4, "invalid_peer", "PEER_ID_INVALID", true),
    (1, "banned", "USER_DEACTIVATED_BAN", true),
];
const SUCCESS: u64 = 952;

/// A campaign's day in progress.
pub(crate) struct Run<'a> {
    pub campaign: &'a Campaign,
    roster: &'a Roster,
    groups: Vec<&'static Group>,
    session: String,
    pause: Option<(i64, i64)>,
    sent: i64,
    failed: i64,
    last_ms: i64,
    out: Vec<Event>,
}

/// All that follows from what `campaign` does on `day`; the last of it may happen three days later.
pub fn campaign_day(
    seed: u64,
    scale: f64,
    day: i64,
    number: usize,
    campaign: &Campaign,
    roster: &Roster,
) -> Vec<Event> {
    let day_key = day.unsigned_abs();
    let mut rng = Rng::keyed(&[seed, topic::CAMPAIGN_DAY, day_key, number as u64]);
    if !rng.permille(820) {
        return Vec::new();
    }
    let start = day_start(day, campaign.language);
    let date = &rfc3339(start + campaign.language.utc_offset_ms())[..10];
    let paused_at = start + rng.between(10 * HOUR, 19 * HOUR);
    let mut run = Run {
        campaign,
        roster,
        groups: texts::GROUPS.iter().filter(|group| group.language == campaign.language).collect(),
        session: format!("{}-{date}", campaign.id),
        pause: rng.permille(60).then(|| (paused_at, paused_at + rng.between(20 * MINUTE, 80 * MINUTE))),
        sent: 0,
        failed: 0,
        last_ms: start + 9 * HOUR,
        out: Vec::new(),
    };
    let started = start + rng.between(8 * HOUR + 30 * MINUTE, 8 * HOUR + 44 * MINUTE);
    run.tell_campaign(Event::new("campaign_started", started, &mut rng));
    if let Some((from, to)) = run.pause {
        let reason = *rng.pick(&["flood_wait", "budget", "manual", "error_rate"]);
        run.tell_campaign(Event::new("campaign_paused", from, &mut rng).with("reason", reason));
        run.tell_campaign(Event::new("campaign_started", to, &mut rng));
    }

    let targets = target_count(campaign, scale, day);
    for target in 0..targets {
        run.message(start, &mut Rng::keyed(&[seed, topic::MESSAGE, day_key, number as u64, target]));
    }

    let completed = run.last_ms + rng.between(20_000, 90_000);
    let event = Event::new("campaign_completed", completed, &mut rng)
        .with("targets", i64::try_from(targets).unwrap_or(i64::MAX))
        .with("sent", run.sent)
        .with("failed", run.failed)
        .with("durationS", (completed - started) / 1_000);
    run.tell_campaign(event);
    run.costs(completed, targets, &mut rng);
    run.out
}

fn target_count(campaign: &Campaign, scale: f64, day: i64) -> u64 {
    // 1 January 1970 was a Thursday.
    let weekend = matches!((day + 4).rem_euclid(7), 0 | 6);
    let weekday_share = if weekend { 0.7 } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "hundreds of targets")]
    let wanted = campaign.targets as f64 * scale * weekday_share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating is right")]
    let whole = wanted.round() as u64;
    whole.max(1)
}

/// What every event of one message has in common.
pub(crate) struct Message<'a> {
    pub variant: &'a Variant,
    pub group: &'static Group,
    sender: String,
    /// Whom it is for, when it is for one person.
    pub person: Option<String>,
}

impl Run<'_> {
    fn tell_campaign(&mut self, event: Event) {
        let event = event.session(&self.session).with("campaignId", self.campaign.id);
        self.out.push(event.with("campaignName", self.campaign.name));
    }

    pub fn tell(&mut self, message: &Message<'_>, event: Event) {
        let mut event = event
            .session(&self.session)
            .with("campaignId", self.campaign.id)
            .with("senderId", message.sender.as_str())
            .with("variantId", message.variant.id);
        event = match &message.person {
            Some(person) => event.user(person),
            None => event.with("groupId", message.group.id),
        };
        self.out.push(event);
    }

    fn message(&mut self, day_start_ms: i64, rng: &mut Rng) {
        let hour = i64::try_from(rng.weighted(&SENDING_HOURS)).unwrap_or(12);
        let mut due = day_start_ms + hour * HOUR + rng.between(0, HOUR);
        if let Some((from, to)) = self.pause.filter(|(from, to)| (*from..*to).contains(&due)) {
            // What was held back goes out in the half hour after the pause.
            due = to + (due - from) * 30 * MINUTE / (to - from);
        }
        let slot = rng.index(self.roster.senders.len());
        let person = (self.campaign.reach == Reach::People).then(|| format!("u{:06}", rng.below(600_000)));
        let mut message = Message {
            variant: &self.campaign.variants[rng.index(self.campaign.variants.len())],
            group: self.groups[rng.index(self.groups.len())],
            sender: self.roster.at_work(slot, due).id.clone(),
            person,
        };
        let queued = due - rng.between(MINUTE, 15 * MINUTE);
        self.tell(&message, Event::new("message_queued", queued, rng).with("scheduledAt", rfc3339(due)));
        if let Some(sent_at) = self.attempts(&mut message, slot, due + rng.between(200, 18_000), rng) {
            self.after_sending(&message, sent_at, rng);
        }
    }

    /// Tries until the message is sent or has finally failed. Returns when it was sent.
    fn attempts(&mut self, message: &mut Message<'_>, slot: usize, due: i64, rng: &mut Rng) -> Option<i64> {
        let mut at = due;
        let banned = &self.roster.senders[slot];
        let mut attempt = 1;
        if banned.was_just_banned(at) && rng.permille(300) {
            let other = std::mem::replace(&mut message.sender, banned.id.clone());
            self.fail(message, at, ("banned", "AUTH_KEY_UNREGISTERED", false), (attempt, None), rng);
            message.sender = other;
            at += rng.between(2_000, 30_000);
            attempt += 1;
        }
        let mut weights = [0; FAILURES.len() + 1];
        for (weight, failure) in weights.iter_mut().zip(FAILURES) {
            *weight = failure.0;
        }
        weights[FAILURES.len()] = SUCCESS;
        loop {
            self.last_ms = self.last_ms.max(at);
            let Some((_, class, code, hopeless)) = FAILURES.get(rng.weighted(&weights)).copied() else {
                self.sent += 1;
                let event = sent_event(message, at, rng);
                self.tell(message, event);
                return Some(at);
            };
            // Retries: three in all.
            let last = hopeless || attempt == 3;
            let mut wait_s = None;
            if code == "FLOOD_WAIT_X" {
                let wait = if rng.permille(4) { rng.between(3_600, 5_000) } else { rng.quantile(&FLOOD_WAIT) };
                wait_s = Some(wait);
                let method = *rng.pick(&["messages.sendMessage", "messages.sendMedia", "contacts.resolveUsername"]);
                let flood = Event::new("sender_flood_wait", at, rng).with("method", method).with("waitS", wait);
                self.out.push(flood.with("senderId", message.sender.as_str()).with("campaignId", self.campaign.id));
            }
            self.fail(message, at, (class, code, last), (attempt, wait_s), rng);
            if last {
                return None;
            }
            attempt += 1;
            at += match wait_s {
                Some(wait) => wait * 1_000 + rng.between(500, 5_000),
                None => rng.between(2_000, 40_000),
            };
            message.sender.clone_from(&self.roster.at_work(slot, at).id);
        }
    }

    fn fail(
        &mut self,
        message: &Message<'_>,
        at: i64,
        (class, code, last): (&str, &str, bool),
        (attempt, wait_s): (i64, Option<i64>),
        rng: &mut Rng,
    ) {
        self.failed += i64::from(last);
        let code = wait_s.map_or_else(|| code.to_owned(), |wait| format!("FLOOD_WAIT_{wait}"));
        let mut event = Event::new("message_failed", at, rng).with("errorCode", code).with("errorClass", class);
        if let Some(wait) = wait_s {
            event = event.with("retryAfterS", wait);
        }
        self.tell(message, event.with("attempt", attempt).with("final", last));
    }

    fn costs(&mut self, completed: i64, targets: u64, rng: &mut Rng) {
        // Hundredths of the currency for each message, and for the day's accounts and proxies.
        let (each, day) = match self.campaign.language {
            Language::Chinese => (9, 6_800),
            Language::Russian => (95, 74_000),
            Language::English => (1, 950),
            Language::Arabic => (5, 3_400),
        };
        let messages = i64::try_from(targets).unwrap_or(i64::MAX / 1_000) * each;
        for (kind, amount) in [("messages", messages), ("accounts", rng.between(day / 2, day)), ("proxy", day / 5)] {
            let event = Event::new("cost_recorded", completed + rng.between(1_000, 30_000), rng)
                .session(&self.session)
                .with("campaignId", self.campaign.id)
                .with("amount", Value::Hundredths(amount))
                .with("currency", self.campaign.language.currency())
                .with("kind", kind);
            self.out.push(event);
        }
    }
}

fn sent_event(message: &Message<'_>, at: i64, rng: &mut Rng) -> Event {
    let text = *rng.pick(message.variant.texts);
    let media = rng.permille(350);
    let kind = if media { *rng.pick(&["photo", "video", "document"]) } else { "text" };
    let characters = i64::try_from(text.chars().count()).unwrap_or(0) + rng.between(0, 700);
    Event::new("message_sent", at, rng)
        .with("messageId", rng.between(10_000, 9_000_000))
        .with("messageType", kind)
        .with("charactersCount", characters)
        .with("hasMedia", media)
        .with("latencyMs", rng.quantile(&SEND_LATENCY))
        .with("text", text)
}
