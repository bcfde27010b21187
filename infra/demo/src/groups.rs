//! One day of one group or channel: members, samples, posts, access.

use std::ops::Range;

use crate::cast::{DAY, FIRST_DAY, Group, HOUR, Kind, MINUTE, RHYTHM, day_start};
use crate::crowd::{History, Move};
use crate::event::Event;
use crate::rng::Rng;
use crate::{channels, posts, stream, topic};

/// Records the last day of the history of a group of ours.
pub fn group_day(seed: u64, day: i64, history: &History, out: &mut Vec<Event>) {
    let (group, number) = (history.group, history.number);
    let mut rng = Rng::keyed(&[seed, topic::GROUP_DAY, day.unsigned_abs(), number as u64]);
    let start = day_start(day, group.language);
    let moves = history.moves(out);
    let (members, unseen) = history.level();
    for hour in 0..24 {
        let at_ms = start + hour * HOUR + rng.between(1_000, 40_000);
        // Telegram removes deleted accounts in the morning.
        let gone = if hour >= 4 { unseen } else { 0 };
        let now = members + moved_by(&moves, at_ms) - gone;
        out.push(sample(seed, day, group, at_ms, now, &mut rng));
    }
    if group.kind == Kind::Channel {
        posts::channel_posts(group, day, start, members, out, &mut rng);
        channels::channel_day(seed, day, number, history, out);
    } else {
        reactions(group, start, out, &mut rng);
    }
    channels::invite_stats(history, day, start + DAY - 5 * MINUTE, out, &mut rng);
    if group.is_stream() {
        migrate(day, out, &mut rng);
    }
    restrict(group, start, out, &mut rng);
}

/// Records the day of a group of others, as one of our accounts sees it.
pub fn foreign_day(seed: u64, day: i64, number: usize, group: &'static Group, out: &mut Vec<Event>) {
    let mut rng = Rng::keyed(&[seed, topic::GROUP_DAY, day.unsigned_abs(), number as u64]);
    let start = day_start(day, group.language);
    let growth = group.members * (day - FIRST_DAY).clamp(0, 3_000) / 20_000;
    let members = group.members + growth + rng.between(0, 3 + group.members / 4_000);
    out.push(sample(seed, day, group, start + 8 * HOUR + rng.between(0, 20 * MINUTE), members, &mut rng));
    if let Some(lost) = access_lost(seed, day, number) {
        for (at_ms, change) in [(start + lost.start, "access_lost"), (start + lost.end, "access_gained")] {
            let event = Event::new("group_changed", at_ms, &mut rng).with("groupId", group.id);
            out.push(event.with("change", change));
        }
    }
    restrict(group, start, out, &mut rng);
}

/// The time in which the admins of a foreign group have removed our accounts, in milliseconds of the day.
pub fn access_lost(seed: u64, day: i64, number: usize) -> Option<Range<i64>> {
    let mut rng = Rng::keyed(&[seed, topic::ACCESS, day.unsigned_abs(), number as u64]);
    let lost = rng.between(10 * HOUR, 16 * HOUR);
    rng.permille(10).then(|| lost..lost + rng.between(2 * HOUR, 7 * HOUR))
}

fn moved_by(moves: &[Move], at_ms: i64) -> i64 {
    moves.iter().filter(|moved| moved.at_ms <= at_ms).map(|moved| moved.change).sum()
}

fn sample(seed: u64, day: i64, group: &Group, at_ms: i64, members: i64, rng: &mut Rng) -> Event {
    let kind = group.kind_at(at_ms);
    let mut event = Event::new("group_stats_sampled", at_ms, rng)
        .with("groupId", group.id_at(at_ms).into_owned())
        .with("members", members)
        .with("kind", kind.word());
    if kind == Kind::Channel {
        if group.ours {
            // The number of boosts is read once a day, at its start.
            let boosts = channels::boosts(seed, day - 1, group);
            event = event.with("notificationsOn", rng.between(24, 46)).with("boosts", boosts);
        }
    } else {
        let hour = (at_ms + group.language.utc_offset_ms()).rem_euclid(DAY) / HOUR;
        let busy = RHYTHM[usize::try_from(hour).unwrap_or(0)].cast_signed();
        event = event.with("online", members * busy * rng.between(8, 12) / 2_000).with("slowmodeS", group.slowmode_s);
    }
    if group.by_request {
        event = event.with("joinRequestsPending", rng.between(0, 4));
    }
    if let Some(linked) = group.linked {
        event = event.with("linkedGroupId", linked);
    }
    event.with("groupName", group.name)
}

fn migrate(day: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    let migration = stream::migration(day);
    let start = day_start(day, crate::cast::Language::Russian);
    if (start..start + DAY).contains(&migration.at_ms) {
        let event = Event::new("group_changed", migration.at_ms, rng).with("groupId", migration.old_id);
        out.push(event.with("change", "migrated").with("newGroupId", migration.new_id));
    }
}

fn restrict(group: &Group, start: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    if group.is_small() || !rng.permille(4) {
        return;
    }
    let reason = *rng.pick(&["spam_reports", "copyright", "scam_flag"]);
    let event = Event::new("group_restricted", start + rng.between(8 * HOUR, 22 * HOUR), rng);
    out.push(event.with("groupId", group.id).with("reason", reason).with("groupName", group.name));
}

/// Reactions to messages in a supergroup. The update names the chat, the message and the change.
fn reactions(group: &Group, start: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    for _ in 0..rng.below(5) {
        let at_ms = start + rng.between(9 * HOUR, 23 * HOUR);
        if group.kind_at(at_ms) == Kind::Basic {
            continue;
        }
        let change = if rng.permille(880) { "added" } else { "removed" };
        let event = Event::new("reaction_changed", at_ms, rng)
            .with("groupId", group.id_at(at_ms).into_owned())
            .with("postId", rng.between(20_000, 90_000).to_string())
            .with(change, *rng.pick(&["👍", "❤️", "🔥", "😁", "👎"]));
        out.push(event.with("isPaid", rng.permille(20)));
    }
}
