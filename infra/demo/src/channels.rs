//! Statistics that the admins of a channel see: views and joins by source, invite links, boosts, stories, revenue.

use crate::cast::{DAY, FIRST_DAY, Group, HOUR, MINUTE, day_start};
use crate::crowd::{History, Origin, campaign_link, link_period};
use crate::event::{Event, Value, rfc3339};
use crate::rng::{Rng, mix};
use crate::{texts, topic};

/// Sources of views and joins, as Telegram's statistics name them. The weights are invented.
const VIEW_SOURCES: [(&str, i64); 5] =
    [("Followers", 78), ("Channels", 11), ("Groups", 4), ("Private Chats", 4), ("Search", 3)];
const JOIN_SOURCES: [(&str, i64); 5] =
    [("URL", 44), ("Channels", 24), ("Search", 17), ("Groups", 9), ("Private Chats", 6)];

/// The length of a boost.
const BOOST_DAYS: i64 = 30;

pub fn channel_day(seed: u64, day: i64, number: usize, history: &History, out: &mut Vec<Event>) {
    let channel = history.group;
    let mut rng = Rng::keyed(&[seed, topic::CHANNEL_DAY, day.unsigned_abs(), number as u64]);
    let start = day_start(day, channel.language);
    let (members, _) = history.level();
    // Telegram shows a day's statistics on the next one.
    let shown = start + DAY + 10 * HOUR;
    let views = members * rng.between(550, 950) / 1_000;
    source_stats(channel, day, shown, ("views", views, &VIEW_SOURCES), out, &mut rng);
    source_stats(channel, day, shown, ("joins", history.joined().cast_signed(), &JOIN_SOURCES), out, &mut rng);
    boost_changes(seed, day, channel, start, out, &mut rng);
    if rng.permille(400) {
        story(channel, start, members, out, &mut rng);
    }
    if channel.members > 8_000 {
        revenue(channel, day, start + 7 * HOUR, out, &mut rng);
    }
}

/// The parts of a day's total by source add up to the total.
fn source_stats(
    channel: &Group,
    day: i64,
    at_ms: i64,
    (what, total, sources): (&'static str, i64, &[(&'static str, i64)]),
    out: &mut Vec<Event>,
    rng: &mut Rng,
) {
    let mut rest = total;
    for (index, (source, share)) in sources.iter().enumerate().rev() {
        let value = if index == 0 { rest } else { total * share / 100 };
        rest -= value;
        let event = Event::new("source_stats_sampled", at_ms, rng).with("groupId", channel.id).with("what", what);
        out.push(event.with("source", *source).with("value", value).with("day", &rfc3339(day * DAY)[..10]));
    }
}

/// Samples the number of joins of each invite link of the day.
pub fn invite_stats(history: &History, day: i64, at_ms: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    let group = history.group;
    for (number, campaign) in texts::CAMPAIGNS.iter().enumerate() {
        if campaign.destination != group.id {
            continue;
        }
        for variant in 0..campaign.variants.len() {
            let origin = Origin::Campaign { number, variant };
            let joins = history.joined_by(origin, |past| link_period(past) == link_period(day));
            let event = Event::new("invite_stats_sampled", at_ms, rng)
                .with("inviteLinkId", campaign_link(campaign, variant, day))
                .with("campaignId", campaign.id);
            out.push(of_link(event, group, history.link_name(origin), joins));
        }
    }
    if let Some(placement) = history.placement(day) {
        let joins = history.joined_by(Origin::Placement, |past| past == day);
        let event = Event::new("invite_stats_sampled", at_ms, rng)
            .with("inviteLinkId", placement.link)
            .with("placementId", placement.id)
            .with("campaignId", placement.promotion.id);
        out.push(of_link(event, group, history.link_name(Origin::Placement), joins));
    }
}

fn of_link(event: Event, group: &Group, name: &str, joins: u64) -> Event {
    event.with("groupId", group.id).with("name", name).with("joins", joins.cast_signed()).with("pending", 0)
}

/// How many boosts a channel has gained on a day.
fn new_boosts(seed: u64, day: i64, channel: &Group) -> u64 {
    let key = [seed, topic::BOOST, day.unsigned_abs(), mix(channel.members.unsigned_abs())];
    Rng::keyed(&key).about(channel.members.unsigned_abs() / 40)
}

/// Boosts at the end of a day.
pub fn boosts(seed: u64, day: i64, channel: &Group) -> i64 {
    (0..BOOST_DAYS).map(|age| new_boosts(seed, day - age, channel)).sum::<u64>().cast_signed()
}

fn boost_changes(seed: u64, day: i64, channel: &Group, start: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    let changes = [("removed", day - BOOST_DAYS), ("added", day)];
    for (change, given) in changes {
        for index in 0..new_boosts(seed, given, channel) {
            let at_ms = start + rng.between(9 * HOUR, 23 * HOUR);
            let mut event = Event::new("boost_changed", at_ms, rng)
                .with("groupId", channel.id)
                .with("boostId", format!("boost-{}-{given}-{index}", &channel.id[4..]))
                .with("change", change)
                .with("source", *rng.pick(&["premium", "premium", "premium", "gift_code", "giveaway"]));
            if change == "added" {
                event = event.with("expiresAt", rfc3339(at_ms + BOOST_DAYS * DAY));
            }
            out.push(event);
        }
    }
}

/// A story is seen for a day.
fn story(channel: &Group, start: i64, members: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    let at_ms = start + rng.between(10 * HOUR, 19 * HOUR);
    let id = (at_ms / DAY - FIRST_DAY + 12).to_string();
    let reach = members * rng.between(50, 120) / 1_000;
    for (age, share) in [(60, 220), (1_435, 1_000)] {
        let views = reach * share / 1_000;
        let event = Event::new("story_stats_sampled", at_ms + age * MINUTE, rng)
            .with("groupId", channel.id)
            .with("storyId", id.as_str())
            .with("views", views)
            .with("forwards", views / 220)
            .with("reactions", views / 35);
        out.push(event.with("ageMinutes", age));
    }
}

/// Samples the revenue of the channel in Stars and in TON, and the part that is not yet paid out.
fn revenue(channel: &Group, day: i64, at_ms: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    let (days, members) = (day - FIRST_DAY, channel.members);
    let stars = days * members / 400;
    // Paid out every three weeks. 1,000 Stars are paid out at $13.
    let event = Event::new("revenue_stats_sampled", at_ms, rng).with("groupId", channel.id).with("currency", "XTR");
    out.push(
        event.with("total", stars).with("available", days % 21 * members / 400).with("usdRate", Value::Thousandths(13)),
    );
    let hundredths = days * members / 900;
    let event = Event::new("revenue_stats_sampled", at_ms, rng).with("groupId", channel.id).with("currency", "TON");
    out.push(
        event
            .with("total", Value::Hundredths(hundredths))
            .with("available", Value::Hundredths(days % 21 * members / 900))
            .with("usdRate", Value::Thousandths(2_900 + rng.between(0, 400))),
    );
}
