//! The responses to a sent message: delivery, reading, clicks, replies and answers, blocks.

use crate::cast::{DAY, HOUR, MINUTE, Reach};
use crate::event::Event;
use crate::messages::{Block, Message, Run};
use crate::rng::Rng;
use crate::{chatter, senders};

/// Milliseconds; equally likely steps between the quantiles.
const READ_DELAY: [i64; 8] = [8_000, 60_000, 240_000, 900_000, 2_700_000, 7_200_000, 21_600_000, 72_000_000];
const CLICK_DELAY: [i64; 6] = [15_000, 120_000, 600_000, 2_400_000, 10_800_000, 64_800_000];

impl Run<'_> {
    /// Records delivery and all responses. The last of them come days later. The shares are invented, in the range that
    /// agencies report.
    pub(crate) fn after_sending(&mut self, message: &Message<'_>, sent_at: i64, rng: &mut Rng) {
        if !rng.permille(if message.sender.is_bot { 990 } else { 972 }) {
            return;
        }
        let delivered = self.deliver(message, sent_at, rng);
        let seen = delivered + rng.quantile(&READ_DELAY);
        if message.is_read_trackable() && rng.permille(if message.is_personal() { 660 } else { 900 }) {
            self.record(message, Event::new("message_read", seen, rng));
        }
        self.clicks(message, delivered, rng);
        self.replies(message, seen, rng);
        self.removal(message, delivered, rng);
        if message.sender.is_bot {
            self.bot_responses(message, seen, rng);
        }
    }

    fn deliver(&mut self, message: &Message<'_>, sent_at: i64, rng: &mut Rng) -> i64 {
        let (confirmed_by, delay) = if message.sender.is_bot || rng.permille(860) {
            ("api_ack", rng.between(150, 3_000))
        } else {
            ("history_check", rng.between(20_000, 300_000))
        };
        let event = Event::new("message_delivered", sent_at + delay, rng).with("confirmedBy", confirmed_by);
        self.record(message, event.with("readTrackable", message.is_read_trackable()));
        sent_at + delay
    }

    fn clicks(&mut self, message: &Message<'_>, delivered: i64, rng: &mut Rng) {
        if rng.permille(6) {
            // Link scanners fetch the page before any person has seen it.
            self.click(message, delivered + rng.between(300, 4_000), true, rng);
        }
        if rng.permille(message.variant.appeal) {
            let clickers = if message.is_personal() { 1 } else { rng.between(1, 4) };
            for _ in 0..clickers {
                self.click(message, delivered + rng.quantile(&CLICK_DELAY), false, rng);
            }
        }
    }

    /// Records a click, bot starts and purchases. Joins are events of the group: see [`crate::crowd`].
    fn click(&mut self, message: &Message<'_>, at: i64, is_scanner: bool, rng: &mut Rng) {
        let event = Event::new("link_clicked", at, rng).with("linkId", self.campaign.link);
        self.record(message, event.with("clickerHash", rng.hash()).with("botSuspected", is_scanner));
        if is_scanner {
            return;
        }
        if rng.permille(130) {
            self.bot_start(message, at + rng.between(2_000, 40_000), rng);
        }
        if rng.permille(60) {
            self.conversion(message, at, rng);
        }
    }

    /// The link leads to the bot of the audience, if there is one.
    fn bot_start(&mut self, message: &Message<'_>, at: i64, rng: &mut Rng) {
        let Some(bot) = &self.roster.bot else {
            return;
        };
        let event = Event::new("bot_started", at, rng)
            .with("campaignId", self.campaign.id)
            .with("variantId", message.variant.id)
            .with("senderId", bot.id.as_str())
            .with("senderKind", "bot")
            .with("startParam", self.campaign.id)
            .with("isNew", rng.permille(if message.sender.is_bot { 150 } else { 850 }))
            .with("surface", if rng.permille(220) { "mini_app" } else { "chat" });
        // In a group, only the bot knows the person.
        let person = match message.is_personal() {
            true => message.chat().into_owned(),
            false => (5_000_000_000 + rng.below(900_000) * 1_009).to_string(),
        };
        self.book.events.push(event.user(&person));
    }

    fn replies(&mut self, message: &Message<'_>, seen: i64, rng: &mut Rng) {
        let share = match (message.is_personal(), message.sender.is_bot) {
            (true, false) => 52,
            (true, true) => 14,
            (false, _) if self.campaign.reach == Reach::Stream => 120,
            (false, _) => 17,
        };
        if !rng.permille(share) {
            return;
        }
        let reply = rng.pick(chatter::replies(self.campaign.language));
        let at = seen + rng.between(10_000, 1_800_000);
        let event = Event::new("reply_received", at, rng).with("sentiment", reply.sentiment);
        self.record(message, event.with("intent", reply.intent).with("text", reply.text));
        if message.is_personal() && reply.intent != chatter::STOP && rng.permille(700) {
            self.answer(message, at, rng);
        }
    }

    /// A manager writes back.
    fn answer(&mut self, message: &Message<'_>, replied: i64, rng: &mut Rng) {
        let at = self.in_office_hours(replied + rng.quantile(&[90_000, 600_000, 2_700_000, 10_800_000]));
        if !senders::can_answer(self.seed, message.sender, at) {
            return;
        }
        let text = *rng.pick(chatter::answers(self.campaign.language));
        let answer = message.answer();
        let sent = Event::new("message_sent", at, rng)
            .with("messageId", answer.id)
            .with("messageType", "text")
            .with("charactersCount", i64::try_from(text.chars().count()).unwrap_or(0))
            .with("hasMedia", false)
            .with("latencyMs", rng.between(60, 700));
        self.record_apart(&answer, sent.with("text", text));
        let delivered =
            Event::new("message_delivered", at + rng.between(150, 3_000), rng).with("confirmedBy", "api_ack");
        self.record_apart(&answer, delivered.with("readTrackable", answer.is_read_trackable()));
        if answer.is_read_trackable() && rng.permille(850) {
            self.record_apart(&answer, Event::new("message_read", at + rng.quantile(&READ_DELAY), rng));
        }
    }

    /// Returns `at` if it is between 9 and 21 on the audience's clock, else the next morning.
    fn in_office_hours(&self, at: i64) -> i64 {
        let offset = self.campaign.language.utc_offset_ms();
        let (day, time) = ((at + offset).div_euclid(DAY), (at + offset).rem_euclid(DAY));
        let morning = 9 * HOUR + time % HOUR;
        match time / HOUR {
            9..=20 => at,
            0..=8 => day * DAY + morning - offset,
            _ => (day + 1) * DAY + morning - offset,
        }
    }

    fn removal(&mut self, message: &Message<'_>, delivered: i64, rng: &mut Rng) {
        // Bots get no update of deletions.
        if message.sender.is_bot || !rng.permille(if message.is_personal() { 3 } else { 24 }) {
            return;
        }
        // Only the admin log of a group names the person.
        let (removed_by, by_moderator) = match (message.is_personal(), rng.permille(850)) {
            (true, _) => ("unknown", false),
            (false, true) => ("other", true),
            (false, false) => ("self", false),
        };
        let event = Event::new("message_deleted", delivered + rng.between(MINUTE, 5 * HOUR), rng);
        self.record(message, event.with("removedBy", removed_by).with("byModerator", by_moderator));
    }

    fn bot_responses(&mut self, message: &Message<'_>, seen: i64, rng: &mut Rng) {
        if message.blocks == Some(Block::After) {
            let blocked = Event::new("bot_blocked", seen + rng.between(2_000, 60_000), rng);
            self.record(message, blocked.with("detectedBy", "update"));
            if rng.permille(150) {
                self.record(message, Event::new("bot_unblocked", seen + rng.between(HOUR, DAY), rng));
            }
            return;
        }
        if rng.permille(130) {
            let button = *rng.pick(&["remind", "details", "catalogue", "not_now"]);
            let pressed = Event::new("button_pressed", seen + rng.between(1_000, 90_000), rng);
            self.record(message, pressed.with("buttonId", button));
        }
        if rng.permille(25) {
            let voted = Event::new("poll_voted", seen + rng.between(3_000, 120_000), rng)
                .with("pollId", format!("poll-{}-{}", self.campaign.id, message.variant.id))
                .with("options", *rng.pick(&["0", "1", "2"]));
            self.record(message, voted.with("retracted", rng.permille(50)));
        }
    }
}
