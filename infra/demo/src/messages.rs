//! One day of one campaign: messages from the queue until they are sent or given up.

use std::borrow::Cow;

use crate::cast::{By, Campaign, DAY, FIRST_DAY, Group, HOUR, Kind, MINUTE, Reach, SENDING_HOURS, Variant, day_start};
use crate::event::{Event, rfc3339};
use crate::failures::{self, Failure};
use crate::rng::Rng;
use crate::senders::{Roster, Sender, Trouble};
use crate::{chats, groups, stream, texts, topic};

/// Milliseconds; equally likely steps between the quantiles.
const SEND_LATENCY: [i64; 9] = [35, 90, 140, 190, 260, 380, 620, 1_300, 6_500];
/// Tries in all.
const TRIES: i64 = 3;
/// Subscribers of a bot.
const SUBSCRIBERS: u64 = 6_000;

/// A pause that Telegram makes a sender keep.
pub(crate) struct Wait {
    pub sender: String,
    pub from: i64,
    pub until: i64,
    pub event: Event,
}

/// The events of all campaigns of a day.
#[derive(Default)]
pub(crate) struct Book {
    pub events: Vec<Event>,
    pub waits: Vec<Wait>,
}

impl Book {
    /// The events, with one `sender_flood_wait` for each sender and pause, however many messages met it.
    pub fn close(mut self) -> Vec<Event> {
        self.waits.sort_by(|a, b| (&a.sender, a.from, &a.event.id).cmp(&(&b.sender, b.from, &b.event.id)));
        let mut last: Option<(String, i64)> = None;
        for Wait { sender, from, until, event } in self.waits {
            if last.as_ref().is_some_and(|(before, end)| *before == sender && from < *end) {
                continue;
            }
            last = Some((sender, until));
            self.events.push(event);
        }
        self.events
    }
}

/// A campaign's day in progress.
pub(crate) struct Run<'a> {
    pub campaign: &'a Campaign,
    pub roster: &'a Roster,
    pub seed: u64,
    day: i64,
    number: usize,
    groups: Vec<(&'static Group, u64)>,
    session: String,
    pause: Option<(i64, i64)>,
    sent: i64,
    failed: i64,
    last_ms: i64,
    pub book: &'a mut Book,
}

/// Whether a campaign writes on a day.
pub fn runs_on(seed: u64, day: i64, number: usize) -> bool {
    Rng::keyed(&[seed, topic::CAMPAIGN_DAY, day.unsigned_abs(), number as u64, 0]).permille(820)
}

/// Records all consequences of a campaign's `day`. The last of them may happen five days later.
pub fn campaign_day(seed: u64, scale: f64, day: i64, number: usize, roster: &Roster, book: &mut Book) {
    let campaign = &texts::CAMPAIGNS[number];
    if !runs_on(seed, day, number) {
        return;
    }
    let day_key = day.unsigned_abs();
    let mut rng = Rng::keyed(&[seed, topic::CAMPAIGN_DAY, day_key, number as u64]);
    let start = day_start(day, campaign.language);
    let paused_at = start + rng.between(10 * HOUR, 19 * HOUR);
    let mut run = Run {
        campaign,
        roster,
        seed,
        day,
        number,
        groups: chats::to_write_into(campaign.language),
        session: format!("{}-{}", campaign.id, &rfc3339(day * DAY)[..10]),
        pause: rng.permille(60).then(|| (paused_at, paused_at + rng.between(20 * MINUTE, 80 * MINUTE))),
        sent: 0,
        failed: 0,
        last_ms: start + 9 * HOUR,
        book,
    };
    let targets = target_count(campaign, scale, day);
    let started = start + rng.between(8 * HOUR + 30 * MINUTE, 8 * HOUR + 44 * MINUTE);
    run.begin(started, targets, &mut rng);
    for target in 0..targets {
        run.message(target, start, &mut Rng::keyed(&[seed, topic::MESSAGE, day_key, number as u64, target]));
    }
    run.complete(started, targets, &mut rng);
}

pub fn target_count(campaign: &Campaign, scale: f64, day: i64) -> u64 {
    // 1 January 1970 was a Thursday.
    let weekend = matches!((day + 4).rem_euclid(7), 0 | 6);
    let weekday_share = if weekend { 0.7 } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "hundreds of targets")]
    let wanted = campaign.targets as f64 * scale * weekday_share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating is right")]
    let whole = wanted.round() as u64;
    whole.max(1)
}

/// The person or the group that a message is for.
pub(crate) enum Recipient {
    Person(String),
    Group(&'static Group),
}

/// The properties that all events of one message share.
pub(crate) struct Message<'a> {
    pub variant: &'a Variant,
    pub to: Recipient,
    pub sender: &'a Sender,
    /// Telegram's number of the message, which it has once it is sent.
    pub id: i64,
    is_sent: bool,
    /// A subscriber who has blocked the bot, or is about to.
    pub blocks: Option<Block>,
    /// When the message was last tried: a group's id depends on it.
    at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// The update was lost, so the next message fails.
    Before,
    After,
}

impl Message<'_> {
    pub fn is_personal(&self) -> bool {
        matches!(self.to, Recipient::Person(_))
    }

    /// Telegram shows readers in private chats of a user account, and in groups of up to 100 members.
    pub fn is_read_trackable(&self) -> bool {
        match &self.to {
            Recipient::Person(_) => !self.sender.is_bot,
            Recipient::Group(group) => group.is_small(),
        }
    }

    pub fn chat(&self) -> Cow<'_, str> {
        match &self.to {
            Recipient::Person(person) => person.into(),
            Recipient::Group(group) => group.id_at(self.at_ms),
        }
    }

    /// Supergroups number their messages. In other chats each account has its own numbers.
    fn key(&self) -> String {
        let chat = self.chat();
        match &self.to {
            Recipient::Group(group) if group.kind_at(self.at_ms) == Kind::Supergroup => format!("{chat}/{}", self.id),
            _ => format!("{}/{chat}/{}", self.sender.id, self.id),
        }
    }

    /// The next message in the same chat.
    pub fn answer(&self) -> Self {
        let to = match &self.to {
            Recipient::Person(person) => Recipient::Person(person.clone()),
            Recipient::Group(group) => Recipient::Group(group),
        };
        Self { to, id: self.id + 1, ..*self }
    }
}

impl<'a> Run<'a> {
    pub fn record_campaign(&mut self, event: Event) {
        let event = event.session(&self.session).with("campaignId", self.campaign.id);
        self.book.events.push(event.with("campaignName", self.campaign.name));
    }

    pub fn record(&mut self, message: &Message<'_>, event: Event) {
        let event = event.session(&self.session);
        self.record_apart(message, event);
    }

    /// Records an event of a message that is not part of the run.
    pub fn record_apart(&mut self, message: &Message<'_>, event: Event) {
        let mut event = event
            .with("campaignId", self.campaign.id)
            .with("senderId", message.sender.id.as_str())
            .with("senderKind", if message.sender.is_bot { "bot" } else { "user" })
            .with("variantId", message.variant.id);
        event = match &message.to {
            Recipient::Person(person) => event.user(person).with("audience", "person"),
            Recipient::Group(_) => event.with("groupId", message.chat().into_owned()).with("audience", "group"),
        };
        if message.is_sent {
            event = event.with("messageKey", message.key());
        }
        self.book.events.push(event);
    }

    fn begin(&mut self, started: i64, targets: u64, rng: &mut Rng) {
        let event = Event::new("campaign_started", started, rng).with("targets", targets.cast_signed());
        let event = self.with_budget(event);
        self.record_campaign(event);
        if let Some((from, to)) = self.pause {
            let reason = *rng.pick(&["flood_wait", "budget", "manual", "error_rate"]);
            self.record_campaign(Event::new("campaign_paused", from, rng).with("reason", reason));
            self.record_campaign(Event::new("campaign_started", to, rng));
        }
    }

    fn complete(&mut self, started: i64, targets: u64, rng: &mut Rng) {
        let completed = self.last_ms + rng.between(20_000, 90_000);
        let event = Event::new("campaign_completed", completed, rng)
            .with("targets", targets.cast_signed())
            .with("sent", self.sent)
            .with("failed", self.failed)
            .with("durationS", (completed - started) / 1_000);
        self.record_campaign(event);
        self.costs(completed, rng);
    }

    fn message(&mut self, target: u64, day_start_ms: i64, rng: &mut Rng) {
        let hour = i64::try_from(rng.weighted(&SENDING_HOURS)).unwrap_or(12);
        let mut due = day_start_ms + hour * HOUR + rng.between(0, HOUR);
        if let Some((from, to)) = self.pause.filter(|(from, to)| (*from..*to).contains(&due)) {
            // Messages that were held back are sent in the half hour after the pause.
            due = to + (due - from) * 30 * MINUTE / (to - from);
        }
        let queued = due - rng.between(MINUTE, 15 * MINUTE);
        let id = self.message_id(target);
        let slot = rng.index(self.roster.users.len());
        let blocks = (self.campaign.by == By::Bot && rng.permille(17))
            .then(|| if rng.permille(450) { Block::Before } else { Block::After });
        let mut message = Message {
            variant: &self.campaign.variants[rng.index(self.campaign.variants.len())],
            to: self.recipient(id, due, blocks, rng),
            sender: self.sender(slot, due),
            id,
            is_sent: false,
            blocks,
            at_ms: queued,
        };
        self.record(&message, Event::new("message_queued", queued, rng).with("scheduledAt", rfc3339(due)));
        if let Some(sent_at) = self.attempts(&mut message, slot, due + rng.between(200, 18_000), rng) {
            self.after_sending(&message, sent_at, rng);
        }
    }

    /// Each message of the demo has its own id. The next id is reserved for an answer in the same chat.
    fn message_id(&self, target: u64) -> i64 {
        ((self.day - FIRST_DAY) << 19) + ((self.number as i64) << 15) + (target.cast_signed() << 1)
    }

    fn recipient(&self, id: i64, due: i64, blocks: Option<Block>, rng: &mut Rng) -> Recipient {
        match (self.campaign.reach, self.campaign.by) {
            // A person who blocks the bot gets only this message, so that there is one block.
            (Reach::People, By::Bot) if blocks.is_some() => Recipient::Person((7_000_000_000 + id).to_string()),
            (Reach::People, By::Bot) => {
                let subscriber = 6_000_000_000 + self.number as u64 * 10_000_000 + rng.below(SUBSCRIBERS) * 1_009;
                Recipient::Person(subscriber.to_string())
            }
            (Reach::People, By::Users) => Recipient::Person((5_000_000_000 + rng.below(900_000) * 1_009).to_string()),
            (Reach::Groups, _) => Recipient::Group(self.group(due, rng)),
            (Reach::Stream, _) => {
                let stream = chats::GROUPS.iter().find(|group| group.is_stream());
                Recipient::Group(stream.unwrap_or(self.groups[0].0))
            }
        }
    }

    /// A group that our accounts can write into, as far as the sender knows.
    fn group(&self, due: i64, rng: &mut Rng) -> &'static Group {
        let weights: Vec<_> = self.groups.iter().map(|(_, weight)| *weight).collect();
        let mut group = self.groups[rng.weighted(&weights)].0;
        for _ in 0..5 {
            if self.lost_access_since(group, due).is_none_or(|ms| ms < 40 * MINUTE) {
                break;
            }
            group = self.groups[rng.weighted(&weights)].0;
        }
        group
    }

    /// How long ago a group removed our accounts, in milliseconds.
    fn lost_access_since(&self, group: &Group, at_ms: i64) -> Option<i64> {
        let number = chats::GROUPS.iter().position(|other| other.id == group.id).filter(|_| !group.ours)?;
        let lost = groups::access_lost(self.seed, self.day, number)?;
        let now = at_ms - day_start(self.day, group.language);
        lost.contains(&now).then(|| now - lost.start)
    }

    fn sender(&self, slot: usize, at_ms: i64) -> &'a Sender {
        match &self.roster.bot {
            Some(bot) if self.campaign.by == By::Bot => bot,
            _ => self.roster.at_work(slot, at_ms),
        }
    }

    /// Tries until the message is sent or given up. Returns when it was sent.
    fn attempts(&mut self, message: &mut Message<'a>, slot: usize, due: i64, rng: &mut Rng) -> Option<i64> {
        let mut at = due;
        for attempt in 1..=TRIES {
            self.last_ms = self.last_ms.max(at);
            message.at_ms = at;
            message.sender = self.sender(slot, at);
            let Some(failure) = self.failure(message, slot, attempt, rng) else {
                self.sent += 1;
                message.is_sent = true;
                self.absorbed_wait(message, at, rng);
                let event = sent_event(message, at, rng);
                self.record(message, event);
                return Some(at);
            };
            let number = (!failure.number.is_empty()).then(|| rng.quantile(failure.number));
            let gives_up = failure.is_hopeless || attempt == TRIES;
            self.fail(message, &failure, (attempt, number, gives_up), rng);
            if gives_up {
                return None;
            }
            at += match number {
                Some(wait) => wait * 1_000 + rng.between(500, 5_000),
                None => rng.between(2_000, 40_000),
            };
        }
        None
    }

    /// The failure of an attempt, if it fails.
    fn failure(&self, message: &mut Message<'a>, slot: usize, attempt: i64, rng: &mut Rng) -> Option<Failure> {
        let preferred = &self.roster.users[slot];
        let is_hit = |trouble: &Trouble| *trouble != Trouble::SpamBlock || !message.is_personal();
        let trouble = preferred.fresh_trouble_at(message.at_ms).filter(is_hit);
        if let Some(trouble) = trouble.filter(|_| attempt == 1 && !message.sender.is_bot) {
            message.sender = preferred;
            return Some(failures::of_trouble(trouble));
        }
        if message.blocks == Some(Block::Before) {
            return Some(failures::BOT_BLOCKED);
        }
        if let Recipient::Group(group) = &message.to {
            if self.lost_access_since(group, message.at_ms).is_some() {
                return Some(failures::NO_ACCESS);
            }
            if group.is_stream() && attempt == 1 {
                let migrated = stream::migration(self.day).at_ms;
                // The client learns the new id from the first failure.
                if (migrated..migrated + 20 * MINUTE).contains(&message.at_ms) {
                    message.at_ms = migrated - 1;
                    return Some(failures::MIGRATED);
                }
            }
        }
        let failure = failures::drawn(self.campaign, message.sender.is_bot, rng)?;
        let is_quick = matches!(message.to, Recipient::Group(group) if group.slowmode_s == 0);
        (failure.class != "slow_mode" || !is_quick).then_some(failure)
    }
}

/// The event of a message that Telegram has accepted.
pub(crate) fn sent_event(message: &Message<'_>, at: i64, rng: &mut Rng) -> Event {
    let text = *rng.pick(message.variant.texts);
    let media = rng.permille(350);
    let kind = if media { *rng.pick(&["photo", "video", "document"]) } else { "text" };
    let characters = i64::try_from(text.chars().count()).unwrap_or(0) + rng.between(0, 700);
    Event::new("message_sent", at, rng)
        .with("messageId", message.id)
        .with("messageType", kind)
        .with("charactersCount", characters)
        .with("hasMedia", media)
        .with("latencyMs", rng.quantile(&SEND_LATENCY))
        .with("text", text)
}

impl Run<'_> {
    fn fail(
        &mut self,
        message: &Message<'_>,
        failure: &Failure,
        (attempt, number, gives_up): (i64, Option<i64>, bool),
        rng: &mut Rng,
    ) {
        self.failed += i64::from(gives_up);
        let code = match number {
            Some(number) => failure.code.replace('X', &number.to_string()),
            None => failure.code.to_owned(),
        };
        let mut event = Event::new("message_failed", message.at_ms, rng)
            .with("errorCode", code)
            .with("errorClass", failure.class)
            .with("fault", failure.fault);
        if let Some(wait) = number.filter(|_| !failure.is_hopeless) {
            event = event.with("retryAfterS", wait);
        }
        self.record(message, event.with("attempt", attempt).with("final", gives_up));
        if let (Some(kind), Some(wait)) = (failure.wait_kind, number) {
            self.wait(message, kind, (message.at_ms, wait, false), rng);
        }
        if message.blocks == Some(Block::Before) && gives_up {
            let blocked = Event::new("bot_blocked", message.at_ms, rng).with("detectedBy", "send_error");
            self.record(message, blocked);
        }
    }

    /// The library sleeps through a short wait and reports it afterwards.
    fn absorbed_wait(&mut self, message: &Message<'_>, sent_at: i64, rng: &mut Rng) {
        if !message.sender.is_bot && rng.permille(8) {
            let wait = rng.between(2, 20);
            self.wait(message, "flood", (sent_at - wait * 1_000, wait, true), rng);
        }
    }

    fn wait(&mut self, message: &Message<'_>, kind: &str, (from, wait, absorbed): (i64, i64, bool), rng: &mut Rng) {
        let method = match (message.sender.is_bot, rng.permille(700)) {
            (true, _) => "sendMessage",
            (false, true) => "messages.sendMessage",
            (false, false) => "messages.sendMedia",
        };
        let event = Event::new("sender_flood_wait", from, rng)
            .with("senderId", message.sender.id.as_str())
            .with("senderKind", if message.sender.is_bot { "bot" } else { "user" })
            .with("campaignId", self.campaign.id)
            .with("kind", kind)
            .with("method", method)
            .with("waitS", wait)
            .with("absorbed", absorbed);
        self.book.waits.push(Wait { sender: message.sender.id.clone(), from, until: from + wait * 1_000, event });
    }
}
