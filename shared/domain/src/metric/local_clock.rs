//! Where buckets begin by the clock of a time zone.
//!
//! An interval has marks: the readings of a clock at which a bucket begins, such as each even hour for `2h`. A bucket begins
//! when the clock reads a mark, or is put forward over one. When clocks go back, they read some marks twice: a bucket of up to
//! an hour begins each time, since the time in between is as long as a bucket. A longer bucket begins the first time only,
//! so that a day has one midnight.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Weekday},
    tz::{Offset, TimeZone},
};

use super::buckets::Interval;
use crate::time::EpochMillis;

impl Interval {
    /// The last mark up to a reading of the clock.
    fn floor(self, reading: DateTime) -> Option<DateTime> {
        let date = reading.date();
        let first = match self {
            Self::Minutes(count) => {
                let minute = reading.minute() - reading.minute() % i8::try_from(count).ok()?;
                return Some(date.at(reading.hour(), minute, 0, 0));
            }
            Self::Hours(count) => {
                let hour = reading.hour() - reading.hour() % i8::try_from(count).ok()?;
                return Some(date.at(hour, 0, 0, 0));
            }
            Self::Day => date,
            Self::Week => date.checked_sub(i64::from(Weekday::Monday.until(date.weekday())).days()).ok()?,
            Self::Month => date.first_of_month(),
            Self::Quarter => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok()?,
            Self::Year => date.first_of_year(),
        };
        Some(first.at(0, 0, 0, 0))
    }

    /// The mark after this one.
    fn mark_after(self, mark: DateTime) -> Option<DateTime> {
        let span = match self {
            Self::Minutes(count) => i64::from(count).minutes(),
            Self::Hours(count) => i64::from(count).hours(),
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Quarter => 3.months(),
            Self::Year => 1.year(),
        };
        mark.checked_add(span).ok()
    }

    /// Whether a bucket begins each time that clocks read its mark.
    const fn repeats(self) -> bool {
        matches!(self, Self::Minutes(_) | Self::Hours(1))
    }
}

/// A change of clocks.
#[derive(Clone, Copy)]
struct Change {
    at: EpochMillis,
    /// What the clocks would read then had they not been changed.
    unchanged: DateTime,
}

/// A time between two changes of clocks.
struct Stretch {
    offset: Offset,
    begins: Option<Change>,
    /// When clocks change next.
    ends: EpochMillis,
}

impl Stretch {
    fn of(zone: &TimeZone, moment: EpochMillis) -> Option<Self> {
        let time = |millis| Timestamp::from_millisecond(millis).ok();
        // Clocks change at whole seconds.
        let change = zone.preceding(time(moment + 1)?).next().map(|change| change.timestamp().as_millisecond());
        let begins = change.and_then(|at| {
            let unchanged = zone.to_offset(time(at - 1)?).to_datetime(time(at)?);
            Some(Change { at, unchanged })
        });
        let ends = zone.following(time(moment)?).next();
        let ends = ends.map_or(EpochMillis::MAX, |change| change.timestamp().as_millisecond());
        Some(Self { offset: zone.to_offset(time(moment)?), begins, ends })
    }

    fn reading(&self, moment: EpochMillis) -> Option<DateTime> {
        Some(self.offset.to_datetime(Timestamp::from_millisecond(moment).ok()?))
    }

    /// When clocks read this, were they never changed.
    fn moment(&self, reading: DateTime) -> Option<EpochMillis> {
        Some(self.offset.to_timestamp(reading).ok()?.as_millisecond())
    }

    /// Whether clocks have not read the mark before this stretch.
    fn is_new(&self, mark: DateTime) -> bool {
        self.begins.is_none_or(|change| mark >= change.unchanged)
    }
}

/// Where the bucket of a moment begins; none beyond the times that can be told.
pub(super) fn start(interval: Interval, zone: &TimeZone, mut moment: EpochMillis) -> Option<EpochMillis> {
    loop {
        let stretch = Stretch::of(zone, moment)?;
        let mark = interval.floor(stretch.reading(moment)?)?;
        let start = stretch.moment(mark)?;
        let is_new = stretch.is_new(mark);
        match stretch.begins {
            Some(change) if start < change.at && is_new => return Some(change.at),
            Some(change) if start < change.at || !(is_new || interval.repeats()) => moment = change.at - 1,
            _ => return Some(start),
        }
    }
}

/// Where buckets begin, from that of a moment on.
pub(super) fn starts(interval: Interval, zone: &TimeZone, moment: EpochMillis) -> impl Iterator<Item = EpochMillis> {
    let mut next = start(interval, zone, moment);
    let mut stretch = next.and_then(|first| Stretch::of(zone, first));
    let mut mark = next.zip(stretch.as_ref()).and_then(|(first, stretch)| interval.floor(stretch.reading(first)?));
    let mut advance = move || loop {
        let current = stretch.as_ref()?;
        let following = interval.mark_after(mark?)?;
        let moment = current.moment(following)?;
        mark = Some(following);
        if moment < current.ends {
            if interval.repeats() || current.is_new(following) {
                return Some(moment);
            }
            continue;
        }
        let change = current.ends;
        let changed = Stretch::of(zone, change)?;
        let reading = changed.reading(change)?;
        let first = interval.floor(reading)?;
        let begins = changed.is_new(first) || (interval.repeats() && first == reading);
        (stretch, mark) = (Some(changed), Some(first));
        if begins {
            return Some(change);
        }
    };
    std::iter::from_fn(move || {
        let start = next?;
        next = advance();
        Some(start)
    })
}

/// When a day of the calendar begins.
pub(super) fn start_of_day(zone: &TimeZone, date: Date) -> Option<EpochMillis> {
    let noon = zone.to_timestamp(date.at(12, 0, 0, 0)).ok()?;
    start(Interval::Day, zone, noon.as_millisecond())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::metric::buckets::{Buckets, Range, zone};

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;

    const INTERVALS: [Interval; 13] = [
        Interval::Minutes(1),
        Interval::Minutes(5),
        Interval::Minutes(10),
        Interval::Minutes(15),
        Interval::Minutes(30),
        Interval::Hours(1),
        Interval::Hours(2),
        Interval::Hours(3),
        Interval::Hours(4),
        Interval::Hours(6),
        Interval::Hours(8),
        Interval::Hours(12),
        Interval::Day,
    ];

    fn moment(text: &str) -> EpochMillis {
        crate::time::parse(text).expect("is a time")
    }

    /// Every zone, those with the same clocks once, with its changes from 2024 to 2027.
    fn zones() -> Vec<(String, TimeZone, Vec<EpochMillis>)> {
        let (from, to) = (moment("2024-01-01T00:00:00Z"), moment("2028-01-01T00:00:00Z"));
        let mut by_clock = BTreeMap::new();
        for name in jiff::tz::db().available() {
            let Some(zone) = zone(name.as_str()) else { continue };
            let begin = Timestamp::from_millisecond(from).expect("is a time");
            let changes: Vec<(i64, i32)> = zone
                .following(begin)
                .map(|change| (change.timestamp().as_millisecond(), change.offset().seconds()))
                .take_while(|(at, _)| *at < to)
                .collect();
            let key = (zone.to_offset(begin).seconds(), changes.clone());
            let changes = changes.into_iter().map(|(at, _)| at).collect();
            by_clock.entry(key).or_insert((name.as_str().to_owned(), zone, changes));
        }
        by_clock.into_values().collect()
    }

    /// Where buckets begin, found by looking at the clock each minute.
    fn watched(interval: Interval, zone: &TimeZone, range: Range) -> Vec<EpochMillis> {
        let reading = |millis| zone.to_datetime(Timestamp::from_millisecond(millis).expect("is a time"));
        let mut starts = Vec::new();
        // What the clock would read next, and the most of that so far.
        let mut moment = range.from - 6 * HOUR;
        let mut expected = reading(moment);
        let mut most = expected;
        while moment < range.to {
            let now = reading(moment);
            let mark = interval.floor(now).expect("has a mark");
            let begins = if interval.repeats() { mark == now || mark >= expected } else { mark >= most };
            if begins && moment >= range.from {
                starts.push(moment);
            }
            expected = now + 1.minute();
            most = most.max(expected);
            moment += MINUTE;
        }
        starts
    }

    fn cut(interval: Interval, zone: &TimeZone, range: Range) -> Vec<EpochMillis> {
        Buckets::cut(range, interval, zone).expect("few").starts
    }

    #[test]
    fn buckets_keep_to_the_clock_at_every_change_of_every_zone() {
        let mut changes = 0;
        for (name, zone, all) in zones() {
            for change in all {
                changes += 1;
                for interval in INTERVALS {
                    let reach = if interval.typical() < 15 * MINUTE { 4 * HOUR } else { DAY };
                    let range = Range { from: change - reach, to: change + reach };
                    let wanted = watched(interval, &zone, range);
                    let found = cut(interval, &zone, range);
                    let within: Vec<i64> = found.iter().copied().filter(|start| *start >= range.from).collect();
                    let said = format!("{} in {name} at {}", interval.name(), crate::time::format(change));
                    assert_eq!(within, wanted, "{said}");
                    // Whatever the range, a moment's bucket begins there.
                    for minutes in [-239, -121, -60, -46, -1, 0, 14, 31, 75, 239] {
                        let from = change + minutes * MINUTE;
                        let other = cut(interval, &zone, Range { from, to: range.to });
                        let place = found.partition_point(|start| *start <= from) - 1;
                        assert_eq!(other, found[place..], "{said} from {}", crate::time::format(from));
                    }
                }
            }
        }
        assert!(changes > 200, "{changes} changes of clocks");
    }

    #[test]
    fn days_and_longer_begin_at_the_first_midnight_of_each_zone() {
        let range = Range { from: moment("2024-01-01T00:00:00Z"), to: moment("2028-01-01T00:00:00Z") };
        for (name, zone, changes) in zones() {
            for interval in [Interval::Day, Interval::Week, Interval::Month, Interval::Quarter, Interval::Year] {
                let starts = cut(interval, &zone, range);
                // The first may begin before the time whose changes are known.
                for start in &starts[1..] {
                    let reading = zone.to_datetime(Timestamp::from_millisecond(*start).expect("is a time"));
                    let mark = interval.floor(reading).expect("has a mark");
                    assert!(reading == mark || changes.contains(start), "{name}: {reading}");
                    let before = zone.to_datetime(Timestamp::from_millisecond(start - 1).expect("is a time"));
                    assert!(before < mark, "{name}: {before} is before {mark}");
                }
                let days = starts.windows(2).map(|pair| (pair[1] - pair[0]) / DAY);
                assert!(interval != Interval::Day || days.clone().all(|days| days <= 1), "{name}");
                // From within each bucket on, the others are the same.
                for (place, start) in starts.iter().enumerate().skip(1).step_by(41) {
                    let part = cut(interval, &zone, Range { from: start + 5 * MINUTE, to: range.to });
                    assert_eq!(part, starts[place..], "{name} {}", interval.name());
                }
            }
        }
    }

    #[test]
    fn clocks_that_go_back_by_two_hours_give_no_bucket_off_its_marks() {
        let zone = zone("Antarctica/Troll").expect("is a zone");
        let range = Range { from: moment("2026-10-24T22:00:00Z"), to: moment("2026-10-25T04:00:00Z") };
        let two_hours: Vec<String> =
            cut(Interval::Hours(2), &zone, range).into_iter().map(crate::time::format).collect();
        assert_eq!(two_hours, ["2026-10-24T22:00:00.000Z", "2026-10-25T00:00:00.000Z"]);
        assert_eq!(cut(Interval::Hours(1), &zone, range).len(), 6);
    }
}
