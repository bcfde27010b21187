//! One day of one group: members coming and going, posts and how far they get, hourly samples.

use crate::cast::{DAY, Group, HOUR, MINUTE, RHYTHM, day_start};
use crate::event::Event;
use crate::rng::Rng;
use crate::{chatter, topic};

/// 1 January 2025: the day on which every group had `Group::members`.
const FIRST_DAY: i64 = 20_089;

/// Age in minutes, and the share of its final reach a post has by then, in thousandths.
const POST_GROWTH: [(i64, i64); 9] =
    [(15, 60), (30, 110), (60, 190), (120, 300), (240, 440), (480, 610), (1_440, 850), (2_880, 950), (4_320, 1_000)];

const JOIN_SOURCES: [(&str, u64); 4] = [("search", 40), ("invite_link", 30), ("mention", 20), ("ad", 10)];
const LEAVE_REASONS: [(&str, u64); 3] = [("voluntary", 86), ("kicked", 9), ("account_deleted", 5)];

/// How many come and go on a day, and when the crowd comes if there is one.
struct Turnover {
    joins: i64,
    leaves: i64,
    join_spike: Option<i64>,
    leave_spike: Option<i64>,
}

fn turnover(seed: u64, day: i64, number: usize, group: &Group) -> Turnover {
    let mut rng = Rng::keyed(&[seed, topic::TURNOVER, day.unsigned_abs(), number as u64]);
    let usual = group.members.min(12_000) * 3 / 1_000 + 2;
    let joins = rng.between(usual / 2, usual * 3 / 2 + 1);
    let leaves = rng.between(usual / 3, usual * 5 / 4 + 1);
    // An advert elsewhere brings a crowd; an unpopular post drives one away.
    let join_spike = rng.permille(35).then(|| rng.between(9 * HOUR, 20 * HOUR));
    let leave_spike = rng.permille(22).then(|| rng.between(9 * HOUR, 20 * HOUR));
    Turnover {
        joins: joins * if join_spike.is_some() { 6 } else { 1 },
        leaves: leaves * if leave_spike.is_some() { 6 } else { 1 },
        join_spike,
        leave_spike,
    }
}

/// Members at the start of a day.
fn members_at_start(seed: u64, day: i64, number: usize, group: &Group) -> i64 {
    let net = |day| {
        let turnover = turnover(seed, day, number, group);
        turnover.joins - turnover.leaves
    };
    (group.members + (FIRST_DAY..day).map(net).sum::<i64>()).max(50)
}

/// All that happens in `group` on `day`; its posts are sampled for three more days.
pub fn group_day(seed: u64, day: i64, number: usize, group: &'static Group) -> Vec<Event> {
    let mut rng = Rng::keyed(&[seed, topic::GROUP_DAY, day.unsigned_abs(), number as u64]);
    let start = day_start(day, group.language);
    let turnover = turnover(seed, day, number, group);
    let members = members_at_start(seed, day, number, group);
    let mut out = Vec::new();

    coming_and_going(group, start, &turnover, &mut out, &mut rng);
    for hour in 0..24_i64 {
        let now = members + (turnover.joins - turnover.leaves) * hour / 24;
        let busy = i64::try_from(RHYTHM[usize::try_from(hour).unwrap_or(0)]).unwrap_or(0);
        let event = Event::new("group_stats_sampled", start + hour * HOUR + rng.between(1_000, 40_000), &mut rng)
            .with("groupId", group.id)
            .with("members", now)
            .with("online", now * busy * rng.between(8, 12) / 2_000)
            .with("slowmodeS", if group.channel { 0 } else { 30 })
            .with("groupName", group.name);
        out.push(event);
    }
    if group.channel {
        for _ in 0..rng.between(2, 5) {
            post(group, start, members, &mut out, &mut rng);
        }
    }
    if rng.permille(9) {
        let reason = *rng.pick(&["spam_reports", "copyright", "scam_flag"]);
        let event = Event::new("group_restricted", start + rng.between(8 * HOUR, 22 * HOUR), &mut rng);
        out.push(event.with("groupId", group.id).with("reason", reason).with("groupName", group.name));
    }
    out
}

fn coming_and_going(group: &Group, start: i64, turnover: &Turnover, out: &mut Vec<Event>, rng: &mut Rng) {
    for _ in 0..turnover.joins {
        let at = moment(start, turnover.join_spike, rng);
        let source = if turnover.join_spike.is_some() && rng.permille(800) {
            "ad"
        } else {
            JOIN_SOURCES[rng.weighted(&JOIN_SOURCES.map(|(_, weight)| weight))].0
        };
        let mut event = Event::new("member_joined", at, rng)
            .with("groupId", group.id)
            .with("memberHash", rng.hash())
            .with("source", source);
        if source == "invite_link" {
            event = event.with("inviteLinkId", format!("inv-{}-{}", &group.id[4..], rng.between(1, 5)));
        }
        out.push(event);
    }
    for _ in 0..turnover.leaves {
        let at = moment(start, turnover.leave_spike, rng);
        let reason = LEAVE_REASONS[rng.weighted(&LEAVE_REASONS.map(|(_, weight)| weight))].0;
        let event = Event::new("member_left", at, rng)
            .with("groupId", group.id)
            .with("memberHash", rng.hash())
            .with("reason", reason)
            .with("daysSinceJoin", rng.quantile(&[0, 1, 3, 9, 30, 120, 600]));
        out.push(event);
    }
}

/// A time of the day by the audience's rhythm; four in five within ninety minutes of a spike's start.
fn moment(start: i64, spike: Option<i64>, rng: &mut Rng) -> i64 {
    match spike.filter(|_| rng.permille(800)) {
        Some(spike) => start + spike + rng.between(0, 90 * MINUTE),
        None => start + i64::try_from(rng.weighted(&RHYTHM)).unwrap_or(12) * HOUR + rng.between(0, HOUR),
    }
}

fn post(group: &Group, start: i64, members: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    let at = moment(start, None, rng);
    let id = format!("post-{}-{}", &group.id[4..], at / 1_000 % (100 * DAY / 1_000));
    let text = *rng.pick(chatter::posts(group.language));
    let published = Event::new("post_published", at, rng).with("groupId", group.id);
    out.push(published.with("postId", id.as_str()).with("text", text));

    let reach = members * rng.between(300, 650) / 1_000;
    let (forwards, reactions, replies) = (rng.between(4, 16), rng.between(15, 60), rng.between(2, 14));
    for (age, share) in POST_GROWTH {
        let views = reach * share / 1_000;
        let event = Event::new("post_stats_sampled", at + age * MINUTE + rng.between(0, 20_000), rng)
            .with("groupId", group.id)
            .with("postId", id.as_str())
            .with("views", views)
            .with("forwards", views * forwards / 1_000)
            .with("reactions", views * reactions / 1_000)
            .with("replies", views * replies / 1_000)
            .with("ageMinutes", age);
        out.push(event);
    }
}
