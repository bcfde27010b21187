//! What comes of a sent message: delivery, reading, clicks, replies, joins, conversions.

use crate::cast::{HOUR, MINUTE};
use crate::chatter;
use crate::event::{Event, Value};
use crate::messages::{Message, Run};
use crate::rng::Rng;

/// Milliseconds; equally likely steps between the quantiles.
const READ_DELAY: [i64; 8] = [8_000, 60_000, 240_000, 900_000, 2_700_000, 7_200_000, 21_600_000, 72_000_000];
const CLICK_DELAY: [i64; 6] = [15_000, 120_000, 600_000, 2_400_000, 10_800_000, 64_800_000];
const CONVERSION_DELAY: [i64; 6] = [40_000, 240_000, 900_000, 5_400_000, 28_800_000, 93_600_000];

impl Run<'_> {
    /// Delivery, and what people do with the message; the last of it days later.
    pub(crate) fn after_sending(&mut self, message: &Message<'_>, sent_at: i64, rng: &mut Rng) {
        if !rng.permille(976) {
            return;
        }
        let (confirmed_by, delay) = if rng.permille(860) {
            ("api_ack", rng.between(150, 3_000))
        } else {
            ("history_check", rng.between(20_000, 300_000))
        };
        let delivered = sent_at + delay;
        let personal = message.person.is_some();
        let trackable = if personal { rng.permille(800) } else { message.group.shows_readers() };
        let event = Event::new("message_delivered", delivered, rng);
        self.tell(message, event.with("confirmedBy", confirmed_by).with("readTrackable", trackable));

        let seen = delivered + rng.quantile(&READ_DELAY);
        if trackable && rng.permille(640) {
            self.tell(message, Event::new("message_read", seen, rng));
        }
        if rng.permille(6) {
            // Link scanners fetch the page before any person has seen it.
            self.click(message, delivered + rng.between(300, 4_000), true, rng);
        }
        if rng.permille(message.variant.appeal) {
            let clickers = if personal { 1 } else { rng.between(1, 3) };
            for _ in 0..clickers {
                self.click(message, delivered + rng.quantile(&CLICK_DELAY), false, rng);
            }
        }
        if rng.permille(if personal { 42 } else { 17 }) {
            let (sentiment, text) = *rng.pick(chatter::replies(self.campaign.language));
            let event = Event::new("reply_received", seen + rng.between(10_000, 1_800_000), rng);
            self.tell(message, event.with("sentiment", sentiment).with("text", text));
        }
        if rng.permille(if personal { 2 } else { 11 }) {
            let event = Event::new("message_deleted", delivered + rng.between(MINUTE, 5 * HOUR), rng);
            self.tell(message, event.with("byModerator", !personal && rng.permille(800)));
        }
        if personal && rng.permille(7) {
            self.tell(message, Event::new("bot_blocked", seen + rng.between(2_000, 60_000), rng));
            if rng.permille(150) {
                self.tell(message, Event::new("bot_unblocked", seen + rng.between(HOUR, 24 * HOUR), rng));
            }
        }
    }

    /// A click and what comes of it.
    fn click(&mut self, message: &Message<'_>, at: i64, bot: bool, rng: &mut Rng) {
        let clicker = rng.hash();
        let event = Event::new("link_clicked", at, rng).with("linkId", self.campaign.link);
        self.tell(message, event.with("clickerHash", clicker.as_str()).with("botSuspected", bot));
        if bot {
            return;
        }
        if rng.permille(260) {
            let event = Event::new("member_joined", at + rng.between(3_000, 90_000), rng)
                .with("memberHash", clicker.as_str())
                .with("source", "campaign")
                .with("inviteLinkId", format!("inv-{}", &self.campaign.id[4..]));
            // Someone written to in person joins one of the audience's groups.
            let event = if message.person.is_some() { event.with("groupId", message.group.id) } else { event };
            self.tell(message, event);
        }
        if rng.permille(130) {
            let event = Event::new("bot_started", at + rng.between(2_000, 40_000), rng);
            self.tell(message, event.with("startParam", self.campaign.id));
        }
        if rng.permille(120) {
            let event = Event::new("conversion_recorded", at + rng.quantile(&CONVERSION_DELAY), rng)
                .with("goal", self.campaign.goal)
                .with("value", Value::Hundredths(rng.between(self.campaign.value.start, self.campaign.value.end)))
                .with("currency", self.campaign.language.currency());
            self.tell(message, event);
        }
    }
}
