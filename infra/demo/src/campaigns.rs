//! The demo's world as one stream of events.

use std::collections::VecDeque;

use crate::cast::{DAY, FIRST_DAY, HOUR, LANGUAGES};
use crate::crowd::History;
use crate::event::Event;
use crate::messages::Book;
use crate::{chats, crowd, groups, messages, placements, pool, senders, texts};

/// A stretch of time in milliseconds since 1970: `from_ms` is in it, `until_ms` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from_ms: i64,
    pub until_ms: i64,
}

impl Window {
    pub const fn days_until(days: i64, until_ms: i64) -> Self {
        Self { from_ms: until_ms - days * DAY, until_ms }
    }
}

/// Simulated campaigns of one account. Every event is a pure function of the seed and the scale: two windows that
/// overlap agree on what happened in both, so a history and a live run that follows it fit together.
#[derive(Clone, Copy, Debug)]
pub struct Campaigns {
    seed: u64,
    scale: f64,
}

/// The farthest an audience's clock is from UTC.
const MAX_OFFSET: i64 = 14 * HOUR;
/// A day's last consequences (post samples, refunds) come before this many days are over.
const AFTERMATH_DAYS: i64 = 6;

impl Campaigns {
    pub const fn new(seed: u64) -> Self {
        Self { seed, scale: 1.0 }
    }

    /// Campaigns with `scale` times as many messages. Groups keep their size.
    #[must_use]
    pub const fn scaled(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// The events of a window, oldest first.
    pub fn events(&self, window: Window) -> Events {
        let first = (window.from_ms - MAX_OFFSET).div_euclid(DAY) - AFTERMATH_DAYS;
        let histories = crowd::histories(self.seed, self.scale, chats::GROUPS);
        Events { campaigns: *self, window, next_day: first, histories, pending: Vec::new(), ready: VecDeque::new() }
    }

    /// Records all consequences of a day of the audiences' calendars.
    fn day(&self, day: i64, histories: &mut [History], out: &mut Vec<Event>) {
        let rosters = senders::rosters(self.seed, day);
        let mut book = Book::default();
        for (number, campaign) in texts::CAMPAIGNS.iter().enumerate() {
            let roster = &rosters[campaign.language as usize];
            messages::campaign_day(self.seed, self.scale, day, number, roster, &mut book);
        }
        let mut events = book.close();
        let mut samples = Vec::new();
        let sent = pool::sent_by(&events);
        for roster in &rosters {
            pool::sample(self.seed, self.scale, day, roster, &sent, &mut samples);
        }
        out.append(&mut events);
        out.append(&mut samples);
        out.extend(rosters.into_iter().flat_map(|roster| roster.events));
        if day >= FIRST_DAY {
            self.groups_day(day, histories, out);
        }
    }

    fn groups_day(&self, day: i64, histories: &mut [History], out: &mut Vec<Event>) {
        for history in histories {
            history.advance_to(day);
            groups::group_day(self.seed, day, history, out);
        }
        for (number, group) in chats::GROUPS.iter().enumerate().filter(|(_, group)| !group.ours) {
            groups::foreign_day(self.seed, day, number, group, out);
        }
        for placement in LANGUAGES.into_iter().filter_map(|language| placements::of(self.seed, day, language)) {
            placement.record(self.seed, out);
        }
    }
}

/// Iterator over a window's events; holds a few days of them at a time.
pub struct Events {
    campaigns: Campaigns,
    window: Window,
    next_day: i64,
    /// Histories of our groups, up to the day before.
    histories: Vec<History>,
    pending: Vec<Event>,
    ready: VecDeque<Event>,
}

impl Events {
    fn advance(&mut self) {
        self.campaigns.day(self.next_day, &mut self.histories, &mut self.pending);
        self.next_day += 1;
        // Nothing that a later day brings can happen before this.
        let settled_until = self.next_day * DAY - MAX_OFFSET;
        let window = self.window;
        let settled = self.pending.extract_if(.., |event| event.at_ms < settled_until);
        let mut settled: Vec<_> =
            settled.filter(|event| (window.from_ms..window.until_ms).contains(&event.at_ms)).collect();
        settled.sort_unstable_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
        self.ready.extend(settled);
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.next_day * DAY - MAX_OFFSET >= self.window.until_ms {
                return None;
            }
            self.advance();
        }
    }
}
