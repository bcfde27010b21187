//! Costs and earnings of campaigns.

use crate::cast::{By, DAY, HOUR};
use crate::event::{Event, Value};
use crate::messages::{Message, Run};
use crate::rng::Rng;

/// Milliseconds; equally likely steps between the quantiles.
const CONVERSION_DELAY: [i64; 6] = [40_000, 240_000, 900_000, 5_400_000, 28_800_000, 93_600_000];

impl Run<'_> {
    /// What a day may cost, in hundredths. Invented.
    fn daily_budget(&self) -> i64 {
        match self.campaign.language.currency() {
            "RUB" => 130_000,
            _ => 1_300,
        }
    }

    /// A campaign has a budget for a month.
    pub(crate) fn with_budget(&self, event: Event) -> Event {
        event
            .with("budget", Value::Hundredths(30 * self.daily_budget()))
            .with("currency", self.campaign.language.currency())
    }

    pub(crate) fn costs(&mut self, completed: i64, rng: &mut Rng) {
        let spent = self.daily_budget() * rng.between(60, 108) / 100;
        for (kind, amount) in [("ads", spent * 7 / 10), ("other", spent * 3 / 10)] {
            let event = Event::new("cost_recorded", completed + rng.between(1_000, 30_000), rng)
                .with("amount", Value::Hundredths(amount))
                .with("currency", self.campaign.language.currency());
            self.record_campaign(event.with("kind", kind));
        }
    }

    /// Records a purchase. A few purchases are refunded.
    pub(crate) fn conversion(&mut self, message: &Message<'_>, clicked: i64, rng: &mut Rng) {
        let at = clicked + rng.quantile(&CONVERSION_DELAY);
        if self.campaign.by == By::Bot && rng.permille(180) {
            self.stars(message, at, rng);
            return;
        }
        let value = rng.between(self.campaign.value.start, self.campaign.value.end);
        let margin = value * rng.between(35, 70) / 100;
        let charge = format!("chg-{}", rng.hash());
        let goal = self.campaign.goal;
        let mut pay = |goal: &str, sign: i64, at: i64, rng: &mut Rng| {
            let event = Event::new("conversion_recorded", at, rng)
                .with("goal", goal)
                .with("value", Value::Hundredths(sign * value))
                .with("margin", Value::Hundredths(sign * margin))
                .with("currency", self.campaign.language.currency());
            self.record(message, event.with("chargeId", charge.as_str()));
        };
        pay(goal, 1, at, rng);
        if value > 0 && rng.permille(50) {
            pay("refund", -1, at + rng.between(2 * HOUR, 2 * DAY), rng);
        }
    }

    /// A payment in Stars to the bot.
    fn stars(&mut self, message: &Message<'_>, at: i64, rng: &mut Rng) {
        let stars = *rng.pick(&[50_i64, 100, 250, 500]);
        let event = Event::new("conversion_recorded", at, rng)
            .with("goal", self.campaign.goal)
            .with("value", stars)
            .with("margin", stars * 8 / 10)
            .with("currency", "XTR")
            .with("chargeId", format!("stx{}", rng.hash()));
        self.record(message, event.with("isRecurring", rng.permille(300)));
    }
}
