//! Posts that are bought in channels of others: their price, views, clicks and joins.

use crate::cast::{DAY, Group, HOUR, Language, day_start};
use crate::event::{Event, Value, rfc3339};
use crate::posts::{Numbers, Post, message_id};
use crate::rng::Rng;
use crate::texts::{PROMOTIONS, Promotion};
use crate::{chats, topic};

/// A bought post. One placement has one invite link.
pub struct Placement {
    pub promotion: &'static Promotion,
    pub id: String,
    pub link: String,
    pub at_ms: i64,
    pub joins: u64,
    host: &'static Group,
    day: i64,
    numbers: Numbers,
    clicks: u64,
    price: i64,
}

pub fn promotion(language: Language) -> Option<&'static Promotion> {
    PROMOTIONS.iter().find(|promotion| promotion.language == language)
}

/// Returns the post that is bought for an audience on a day, if there is one. The shares are invented, in the range that
/// buyers report.
pub fn of(seed: u64, day: i64, language: Language) -> Option<Placement> {
    let mut rng = Rng::keyed(&[seed, topic::PLACEMENT, day.unsigned_abs(), language as u64]);
    let promotion = promotion(language).filter(|_| rng.permille(400))?;
    let host = *rng.pick(&chats::hosts(language));
    let numbers = Numbers::drawn(host.members, 300..450, &mut rng);
    let views = numbers.views_after_a_day().unsigned_abs();
    let clicks = rng.share(views, 6..13);
    let price = views.cast_signed() * rng.between(promotion.cpm.start, promotion.cpm.end) / 1_000;
    let date = &rfc3339(day * DAY)[..10];
    Some(Placement {
        promotion,
        id: format!("plc-{}-{date}", language.code()),
        link: format!("inv-plc-{}-{date}", language.code()),
        at_ms: day_start(day, language) + rng.between(9 * HOUR, 14 * HOUR),
        joins: rng.share(clicks, 350..600),
        host,
        day,
        numbers,
        clicks,
        // Prices of posts are round.
        price: price / 1_000 * 1_000 + 1_000,
    })
}

impl Placement {
    /// Records the price, the post and its clicks. Joins are events of the group: see [`crate::crowd`].
    pub fn record(&self, seed: u64, out: &mut Vec<Event>) {
        let key = [seed, topic::PLACEMENT_EVENTS, self.day.unsigned_abs(), self.host.language as u64];
        let mut rng = Rng::keyed(&key);
        let currency = self.host.language.currency();
        let bought = self.at_ms - rng.between(HOUR, 9 * HOUR);
        let cost = Event::new("cost_recorded", bought, &mut rng)
            .with("amount", Value::Hundredths(self.price))
            .with("currency", currency)
            .with("kind", "placement")
            .with("inviteLinkId", self.link.as_str())
            .with("postId", self.post_id())
            .with("groupId", self.host.id)
            .with("topHours", 1)
            .with("feedHours", *rng.pick(&[24, 24, 48, 72]));
        out.push(self.of_placement(cost));
        let post = Post {
            chat: self.host.id,
            id: self.post_id(),
            at_ms: self.at_ms,
            text: rng.pick::<&str>(self.promotion.texts),
            album: rng.permille(150).then(|| rng.between(2, 5)),
            numbers: self.numbers,
            is_copy: false,
        };
        post.record(|event| out.push(self.of_placement(event)), &mut rng);
        for _ in 0..self.clicks {
            let clicked = post.click(self.promotion.link, &mut rng);
            out.push(self.of_placement(clicked).with("inviteLinkId", self.link.as_str()));
        }
    }

    fn post_id(&self) -> String {
        message_id(self.day, 1).to_string()
    }

    fn of_placement(&self, event: Event) -> Event {
        event.with("placementId", self.id.as_str()).with("campaignId", self.promotion.id)
    }
}
