//! Joins and leaves of a group of ours, and the number of members.

use std::collections::VecDeque;

use crate::cast::{Campaign, DAY, FIRST_DAY, Group, HOUR, MINUTE, RHYTHM, Reach, SMALL, day_start};
use crate::event::Event;
use crate::placements::Placement;
use crate::rng::{Rng, mix};
use crate::{messages, placements, stream, texts, topic};

/// Members are followed for so many days after joining.
const FOLLOWED: i64 = 30;

/// The way by which the members of a cohort joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Organic,
    Campaign { number: usize, variant: usize },
    Placement,
}

impl Origin {
    fn key(self) -> u64 {
        match self {
            Self::Organic => 0,
            Self::Placement => 1,
            Self::Campaign { number, variant } => 100 + number as u64 * 16 + variant as u64,
        }
    }

    /// How many of a thousand members have left by the end of the day of joining, and one, seven and thirty days later.
    /// Invented: practitioners report 5 to 70 % in all, depending on how well an advert is aimed.
    const fn leaving(self) -> [(i64, u64); 4] {
        match self {
            Self::Organic => [(0, 25), (1, 40), (7, 100), (FOLLOWED, 180)],
            Self::Campaign { .. } => [(0, 45), (1, 75), (7, 160), (FOLLOWED, 280)],
            Self::Placement => [(0, 90), (1, 140), (7, 270), (FOLLOWED, 390)],
        }
    }

    fn left_share(self, age: i64) -> u64 {
        let mut before = (0, 0);
        for (day, share) in self.leaving() {
            if age <= day {
                let grown = (share - before.1) * age.abs_diff(before.0);
                return if day == 0 { share } else { before.1 + grown / day.abs_diff(before.0) };
            }
            before = (day, share);
        }
        before.1
    }
}

/// The members who joined on one day in the same way.
struct Cohort {
    origin: Origin,
    joins: u64,
}

/// One day of a group.
struct Day {
    day: i64,
    /// At its start.
    members: i64,
    cohorts: Vec<Cohort>,
    /// Members of long standing who leave.
    veterans: u64,
    /// Members who disappear without an update: deleted accounts, lost updates.
    unseen: i64,
    /// The start of a rush of joins or leaves, in milliseconds of the day.
    rush: Option<i64>,
}

/// A join (+1) or a leave (-1).
pub struct Move {
    pub at_ms: i64,
    pub change: i64,
}

/// The last days of a group of ours.
pub struct History {
    seed: u64,
    scale: f64,
    pub number: usize,
    pub group: &'static Group,
    /// Oldest first.
    days: VecDeque<Day>,
}

impl History {
    pub fn new(seed: u64, scale: f64, number: usize, group: &'static Group) -> Self {
        Self { seed, scale, number, group, days: VecDeque::new() }
    }

    /// Continues to `day`. The days in between are always the same.
    pub fn advance_to(&mut self, day: i64) {
        let mut next = self.days.back().map_or(FIRST_DAY, |last| last.day + 1);
        while next <= day {
            let restarts = self.group.is_stream() && stream::begins_on(next);
            let members = if restarts { self.group.members } else { self.members_after_last() };
            if restarts {
                self.days.clear();
            }
            let planned = self.plan(next, members);
            self.days.push_back(planned);
            if self.days.len() > usize::try_from(FOLLOWED).unwrap_or(0) + 1 {
                self.days.pop_front();
            }
            next += 1;
        }
    }

    fn members_after_last(&self) -> i64 {
        let Some(last) = self.days.back() else {
            return self.group.members;
        };
        let joined: u64 = last.cohorts.iter().map(|cohort| cohort.joins).sum();
        let left: u64 = self.leaving(last.day).map(|(_, _, leavers)| leavers.end - leavers.start).sum();
        last.members.saturating_add_unsigned(joined).saturating_sub_unsigned(left + last.veterans) - last.unseen
    }

    /// The number of joins on the last day.
    pub fn joined(&self) -> u64 {
        self.days.back().map_or(0, |day| day.cohorts.iter().map(|cohort| cohort.joins).sum())
    }

    /// Joins by `origin` on the days for which `counts` holds.
    pub fn joined_by(&self, origin: Origin, counts: impl Fn(i64) -> bool) -> u64 {
        let days = self.days.iter().filter(|day| counts(day.day));
        let cohorts = days.flat_map(|day| &day.cohorts).filter(|cohort| cohort.origin == origin);
        cohorts.map(|cohort| cohort.joins).sum()
    }

    /// Members at the start of the last day, and how many of them disappear without an update.
    pub fn level(&self) -> (i64, i64) {
        self.days.back().map_or((self.group.members, 0), |day| (day.members, day.unseen))
    }

    fn plan(&self, day: i64, members: i64) -> Day {
        let mut rng = Rng::keyed(&[self.seed, topic::TURNOVER, day.unsigned_abs(), self.number as u64]);
        let crowd = if rng.permille(15) { 4 } else { 1 };
        let exodus = if rng.permille(20) { 4 } else { 1 };
        let rush = (crowd + exodus > 2).then(|| rng.between(9 * HOUR, 20 * HOUR));
        let (joins, leaves) = self.daily_rates();
        let joins = chance(members, joins * crowd, &mut rng);
        let veterans = chance(members, leaves * exodus, &mut rng);
        let unseen = rng.about(members.unsigned_abs() / 8).cast_signed();
        let mut cohorts = vec![Cohort { origin: Origin::Organic, joins: self.admitted(members, joins) }];
        self.paid_cohorts(day, &mut rng, &mut cohorts);
        cohorts.retain(|cohort| cohort.joins > 0);
        Day { day, members, cohorts, veterans, unseen, rush }
    }

    /// Joins without a link and leaves of veterans, in ten thousandths of the members a day. Invented: a few percent of
    /// churn a month, and slow growth.
    fn daily_rates(&self) -> (u64, u64) {
        if self.group.is_stream() {
            (700, 80)
        } else if self.group.is_small() {
            (75, 60)
        } else {
            (20, 14)
        }
    }

    /// A small group stays small.
    fn admitted(&self, members: i64, joins: u64) -> u64 {
        if self.group.is_small() { joins.min((SMALL - 2 - members).max(0).unsigned_abs()) } else { joins }
    }

    fn paid_cohorts(&self, day: i64, rng: &mut Rng, out: &mut Vec<Cohort>) {
        for (number, campaign) in texts::CAMPAIGNS.iter().enumerate() {
            if campaign.destination != self.group.id || !messages::runs_on(self.seed, day, number) {
                continue;
            }
            for variant in 0..campaign.variants.len() {
                let expected = expected_joins(campaign, variant, messages::target_count(campaign, self.scale, day));
                out.push(Cohort { origin: Origin::Campaign { number, variant }, joins: rng.about(expected) });
            }
        }
        if let Some(placement) = self.placement(day) {
            out.push(Cohort { origin: Origin::Placement, joins: placement.joins });
        }
    }

    /// The post that was bought for this group on a day.
    pub fn placement(&self, day: i64) -> Option<Placement> {
        placements::of(self.seed, day, self.group.language)
            .filter(|bought| bought.promotion.destination == self.group.id)
    }

    /// The followed members who leave on `day`: the day of joining, the cohort, and their indexes in the cohort.
    fn leaving(&self, day: i64) -> impl Iterator<Item = (&Day, &Cohort, std::ops::Range<u64>)> {
        self.days.iter().filter(move |joined| joined.day <= day).flat_map(move |joined| {
            joined.cohorts.iter().map(move |cohort| {
                let by = |age| if age < 0 { 0 } else { self.left_by(joined.day, cohort, age) };
                let age = day - joined.day;
                (joined, cohort, by(age - 1)..by(age))
            })
        })
    }

    fn left_by(&self, day: i64, cohort: &Cohort, age: i64) -> u64 {
        let rounding = mix(self.seed ^ mix(day.unsigned_abs() ^ mix(self.number as u64 ^ cohort.origin.key() << 32)));
        (cohort.joins * cohort.origin.left_share(age) + rounding % 1_000) / 1_000
    }

    fn join(&self, joined: &Day, origin: Origin, index: u64) -> Join {
        let key = [self.seed, topic::JOIN, joined.day.unsigned_abs(), self.number as u64, origin.key(), index];
        let mut rng = Rng::keyed(&key);
        let start = day_start(joined.day, self.group.language);
        let placement = if origin == Origin::Placement { self.placement(joined.day) } else { None };
        let at_ms = match placement {
            Some(placement) => placement.at_ms + rng.quantile(&[20_000, 15 * MINUTE, HOUR, 3 * HOUR, 9 * HOUR]),
            None => moment(start, joined.rush, &mut rng),
        };
        Join { at_ms, hash: rng.hash(), rng }
    }

    /// Returns the joins and leaves of the last day, and appends their events to `out`.
    pub fn moves(&self, out: &mut Vec<Event>) -> Vec<Move> {
        let mut moves = Vec::new();
        let Some(today) = self.days.back() else {
            return moves;
        };
        for cohort in &today.cohorts {
            for index in 0..cohort.joins {
                let join = self.join(today, cohort.origin, index);
                moves.push(Move { at_ms: join.at_ms, change: 1 });
                self.record_join(today, cohort.origin, join, out);
            }
        }
        let start = day_start(today.day, self.group.language);
        for (joined, cohort, leavers) in self.leaving(today.day) {
            for index in leavers {
                let mut join = self.join(joined, cohort.origin, index);
                let at_ms = if joined.day == today.day {
                    join.rng.between(join.at_ms + MINUTE, start + DAY)
                } else {
                    moment(start, None, &mut join.rng)
                };
                moves.push(Move { at_ms, change: -1 });
                let event = Event::new("member_left", at_ms, &mut join.rng)
                    .with("memberHash", join.hash.as_str())
                    .with("reason", reason(&mut join.rng))
                    .with("daysSinceJoin", (at_ms - join.at_ms) / DAY);
                out.push(self.by_origin(event, joined.day, cohort.origin));
            }
        }
        for index in 0..today.veterans {
            moves.push(Move { at_ms: self.record_veteran(today, index, out), change: -1 });
        }
        moves
    }

    fn record_join(&self, today: &Day, origin: Origin, join: Join, out: &mut Vec<Event>) {
        let Join { at_ms, hash, mut rng } = join;
        let source = match origin {
            Origin::Organic if self.group.by_request => "join_request",
            Origin::Organic => ORGANIC_SOURCES[rng.weighted(&ORGANIC_SOURCES.map(|(_, weight)| weight))].0,
            _ => "invite_link",
        };
        if source == "join_request" {
            let asked = Event::new("join_requested", at_ms - rng.between(MINUTE, 3 * HOUR), &mut rng);
            out.push(self.here(asked).with("memberHash", hash.as_str()));
            if rng.permille(250) {
                // A person who is not admitted.
                let asked = Event::new("join_requested", at_ms - rng.between(0, HOUR), &mut rng);
                out.push(self.here(asked).with("memberHash", rng.hash()));
            }
        }
        let mut event = Event::new("member_joined", at_ms, &mut rng).with("memberHash", hash).with("source", source);
        match source {
            "join_request" => event = event.with("viaJoinRequest", true),
            "folder" => event = event.with("viaFolderLink", true),
            "invite_link" => event = event.with("inviteLinkName", self.link_name(origin)),
            _ => {}
        }
        out.push(self.by_origin(event, today.day, origin));
    }

    /// Records the leave of a member of long standing. The bot has seen only some of them join.
    fn record_veteran(&self, today: &Day, index: u64, out: &mut Vec<Event>) -> i64 {
        let mut rng = Rng::keyed(&[self.seed, topic::LEAVE, today.day.unsigned_abs(), self.number as u64, index]);
        let at_ms = moment(day_start(today.day, self.group.language), today.rush, &mut rng);
        let mut event = Event::new("member_left", at_ms, &mut rng).with("memberHash", rng.hash());
        event = event.with("reason", reason(&mut rng));
        if rng.permille(600) {
            event = event.with("daysSinceJoin", rng.quantile(&[31, 45, 80, 150, 330, 700]));
        }
        out.push(self.here(event));
        at_ms
    }

    fn here(&self, event: Event) -> Event {
        let id = self.group.id_at(event.at_ms).into_owned();
        event.with("groupId", id)
    }

    /// Adds the group, and the link and campaign of the member's join.
    fn by_origin(&self, event: Event, day: i64, origin: Origin) -> Event {
        let event = self.here(event);
        match origin {
            Origin::Organic => event,
            Origin::Campaign { number, variant } => {
                let campaign = &texts::CAMPAIGNS[number];
                event
                    .with("inviteLinkId", campaign_link(campaign, variant, day))
                    .with("campaignId", campaign.id)
                    .with("variantId", campaign.variants[variant].id)
            }
            Origin::Placement => match self.placement(day) {
                Some(placement) => event
                    .with("inviteLinkId", placement.link)
                    .with("placementId", placement.id)
                    .with("campaignId", placement.promotion.id),
                None => event,
            },
        }
    }

    pub fn link_name(&self, origin: Origin) -> &'static str {
        match origin {
            Origin::Campaign { number, .. } => texts::CAMPAIGNS[number].name,
            _ => placements::promotion(self.group.language).map_or("", |promotion| promotion.name),
        }
    }
}

struct Join {
    at_ms: i64,
    hash: String,
    /// The stream for everything else about this member.
    rng: Rng,
}

/// The source of a join without a link, which an update rarely names. The weights are invented.
const ORGANIC_SOURCES: [(&str, u64); 3] = [("unknown", 88), ("folder", 8), ("added", 4)];
const REASONS: [(&str, u64); 4] = [("left", 90), ("kicked", 6), ("subscription_ended", 1), ("unknown", 3)];

fn reason(rng: &mut Rng) -> &'static str {
    REASONS[rng.weighted(&REASONS.map(|(_, weight)| weight))].0
}

/// Each campaign has an invite link for each variant, and renews the links every four weeks.
pub fn campaign_link(campaign: &Campaign, variant: usize, day: i64) -> String {
    format!("inv-{}-{}-{}", &campaign.id[4..], campaign.variants[variant].id, link_period(day))
}

pub const fn link_period(day: i64) -> i64 {
    day.div_euclid(28)
}

/// In thousandths: delivered messages, times clicks a message, times joins a click (a quarter: invented).
fn expected_joins(campaign: &Campaign, variant: usize, targets: u64) -> u64 {
    let messages = targets * 93 / 100 / campaign.variants.len() as u64;
    let clickers_in_tenths = if campaign.reach == Reach::People { 10 } else { 20 };
    messages * campaign.variants[variant].appeal * clickers_in_tenths / 10 / 4
}

/// About so many of each ten thousand `members`, more on some days than on others.
fn chance(members: i64, of_ten_thousand: u64, rng: &mut Rng) -> u64 {
    let expected = members.max(0).unsigned_abs() * of_ten_thousand / 10;
    let luck = 600 + rng.below(800);
    rng.about(expected * luck / 1_000)
}

/// A time of the day by the audience's rhythm; on some days two in three within ninety minutes of a rush.
fn moment(start: i64, rush: Option<i64>, rng: &mut Rng) -> i64 {
    match rush.filter(|_| rng.permille(660)) {
        Some(rush) => start + rush + rng.between(0, 90 * MINUTE),
        None => start + i64::try_from(rng.weighted(&RHYTHM)).unwrap_or(12) * HOUR + rng.between(0, 50 * MINUTE),
    }
}

/// The histories of all groups of ours.
pub fn histories(seed: u64, scale: f64, groups: &'static [Group]) -> Vec<History> {
    let ours = groups.iter().enumerate().filter(|(_, group)| group.ours);
    ours.map(|(number, group)| History::new(seed, scale, number, group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_of_a_cohort_have_left_the_older_it_is() {
        for origin in [Origin::Organic, Origin::Campaign { number: 0, variant: 0 }, Origin::Placement] {
            let shares: Vec<_> = (0..=FOLLOWED).map(|age| origin.left_share(age)).collect();
            assert!(shares.is_sorted(), "{shares:?}");
            assert_eq!((shares[0], shares[30]), (origin.leaving()[0].1, origin.leaving()[3].1));
        }
    }
}
