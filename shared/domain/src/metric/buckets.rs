//! Time in pieces: intervals that follow a time zone, and the periods that people name.

use jiff::{Span, Timestamp, ToSpan, ZonedDateTime, civil::Date, tz::TimeZone};

use super::local_clock;
use crate::time::{self, EpochMillis};

/// Buckets of one series at most.
pub const MOST: usize = 3_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// 1, 5, 10, 15 or 30.
    Minutes(u8),
    /// 1, 2, 3, 4, 6, 8 or 12, from midnight.
    Hours(u8),
    Day,
    /// From Monday (ISO 8601).
    Week,
    Month,
    Quarter,
    Year,
}

/// What `interval` may say.
pub const INTERVALS: &str =
    "auto, minute, 5m, 10m, 15m, 30m, hour, 2h, 3h, 4h, 6h, 8h, 12h, day, week, month, quarter, year";
/// What `period` may say.
pub const PERIODS: &str = "a number with m, h, d, w, mo or y (24h, 7d, 3mo), today, yesterday, wtd, mtd, qtd or ytd";

impl Interval {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "minute" => Self::Minutes(1),
            "hour" => Self::Hours(1),
            "day" | "1d" => Self::Day,
            "week" | "1w" => Self::Week,
            "month" | "1mo" => Self::Month,
            "quarter" => Self::Quarter,
            "year" | "1y" => Self::Year,
            _ => match text.split_at_checked(text.len().checked_sub(1)?)? {
                (digits, "m") => Self::Minutes(digits.parse().ok().filter(|n| matches!(n, 1 | 5 | 10 | 15 | 30))?),
                (digits, "h") => Self::Hours(digits.parse().ok().filter(|n| matches!(n, 1..=4 | 6 | 8 | 12))?),
                _ => return None,
            },
        })
    }

    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Minutes(1) => "minute".to_owned(),
            Self::Minutes(count) => format!("{count}m"),
            Self::Hours(1) => "hour".to_owned(),
            Self::Hours(count) => format!("{count}h"),
            Self::Day => "day".to_owned(),
            Self::Week => "week".to_owned(),
            Self::Month => "month".to_owned(),
            Self::Quarter => "quarter".to_owned(),
            Self::Year => "year".to_owned(),
        }
    }

    /// The one that shows a range of this length best: some dozens of buckets.
    #[must_use]
    pub const fn auto(length: i64) -> Self {
        match length / HOUR {
            0..3 => Self::Minutes(1),
            3..12 => Self::Minutes(15),
            12..96 => Self::Hours(1),
            96..2_400 => Self::Day,
            2_400..17_520 => Self::Week,
            _ => Self::Month,
        }
    }

    /// Milliseconds that it takes, about.
    #[must_use]
    pub const fn typical(self) -> i64 {
        match self {
            Self::Minutes(count) => count as i64 * MINUTE,
            Self::Hours(count) => count as i64 * HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Quarter => 91 * DAY,
            Self::Year => 365 * DAY,
        }
    }

    /// The next longer one.
    #[must_use]
    pub const fn coarser(self) -> Self {
        match self {
            Self::Minutes(1) => Self::Minutes(15),
            Self::Minutes(_) => Self::Hours(1),
            Self::Hours(_) => Self::Day,
            Self::Day => Self::Week,
            Self::Week => Self::Month,
            Self::Month => Self::Quarter,
            Self::Quarter | Self::Year => Self::Year,
        }
    }
}

/// A part of time: `from` inclusive, `to` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: EpochMillis,
    pub to: EpochMillis,
}

impl Range {
    #[must_use]
    pub const fn length(self) -> i64 {
        self.to - self.from
    }
}

/// A range cut into buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// Where each starts, ascending; the first may start before the range.
    pub starts: Vec<EpochMillis>,
    pub range: Range,
}

/// More buckets than one may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Buckets {
    /// # Errors
    /// If there are more than [`MOST`].
    pub fn cut(range: Range, interval: Interval, zone: &TimeZone) -> Result<Self, TooMany> {
        if range.length() / interval.typical() > 2 * i64::try_from(MOST).unwrap_or(i64::MAX) {
            return Err(TooMany);
        }
        let starts: Vec<EpochMillis> = local_clock::starts(interval, zone, range.from)
            .take_while(|start| *start < range.to)
            .take(MOST + 1)
            .collect();
        if starts.is_empty() || starts.len() > MOST {
            return Err(TooMany);
        }
        Ok(Self { starts, range })
    }

    /// The whole range as one bucket.
    #[must_use]
    pub fn whole(range: Range) -> Self {
        Self { starts: vec![range.from], range }
    }
}

/// A period by its name, up to now. One that is named after the calendar begins at midnight by the zone's clock. One that is
/// a length begins with a whole minute, from three days on with a whole hour of UTC: a part of a stored bucket would have to be
/// read from events.
#[must_use]
pub fn period(text: &str, now: EpochMillis, zone: &TimeZone) -> Option<Range> {
    let since = |interval| local_clock::start(interval, zone, now);
    let range = match text {
        "today" => Range { from: since(Interval::Day)?, to: now },
        "yesterday" => {
            let today = since(Interval::Day)?;
            Range { from: local_clock::start(Interval::Day, zone, today - 1)?, to: today }
        }
        "wtd" => Range { from: since(Interval::Week)?, to: now },
        "mtd" => Range { from: since(Interval::Month)?, to: now },
        "qtd" => Range { from: since(Interval::Quarter)?, to: now },
        "ytd" => Range { from: since(Interval::Year)?, to: now },
        _ => length_up_to(text, now, zone)?,
    };
    (range.from < range.to).then_some(range)
}

/// `24h`, `7d` and the like.
fn length_up_to(text: &str, now: EpochMillis, zone: &TimeZone) -> Option<Range> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (count, unit) = text.split_at(digits);
    let count: i64 = count.parse().ok().filter(|count| (1..=100_000).contains(count))?;
    // Days are those of the calendar: `7d` begins at the time of day at which it ends, whatever clocks did.
    let length = match unit {
        "m" => Span::new().try_minutes(count),
        "h" => Span::new().try_hours(count),
        "d" => Span::new().try_days(count),
        "w" => Span::new().try_weeks(count),
        "mo" => Span::new().try_months(count),
        "y" => Span::new().try_years(count),
        _ => return None,
    };
    let from = zoned(now, zone)?.checked_sub(length.ok()?).ok()?.timestamp().as_millisecond();
    let whole = if now - from < 3 * DAY { MINUTE } else { HOUR };
    Some(Range { from: from.div_euclid(whole) * whole, to: now })
}

fn zoned(millis: EpochMillis, zone: &TimeZone) -> Option<ZonedDateTime> {
    Timestamp::from_millisecond(millis).ok().map(|time| time.to_zoned_datetime(zone.clone()))
}

/// What a range is compared to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    PreviousPeriod,
    PreviousYear,
}

impl Compare {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreviousPeriod => "previous_period",
            Self::PreviousYear => "previous_year",
        }
    }

    /// The other range. Named periods (`mtd`) go back by what they are named after, whole days by days of the calendar,
    /// others by their length.
    #[must_use]
    pub fn of(self, range: Range, period: Option<&str>, zone: &TimeZone) -> Option<Range> {
        let starts_day = |millis| local_clock::start(Interval::Day, zone, millis) == Some(millis);
        let back: Span = match (self, period) {
            (Self::PreviousYear, _) => 1.year(),
            (Self::PreviousPeriod, Some("today" | "yesterday")) => 1.day(),
            (Self::PreviousPeriod, Some("wtd")) => 1.week(),
            (Self::PreviousPeriod, Some("mtd")) => 1.month(),
            (Self::PreviousPeriod, Some("qtd")) => 3.months(),
            (Self::PreviousPeriod, Some("ytd")) => 1.year(),
            (Self::PreviousPeriod, _) if starts_day(range.from) && starts_day(range.to) => {
                zoned(range.from, zone)?.date().until(zoned(range.to, zone)?.date()).ok()?
            }
            (Self::PreviousPeriod, _) => {
                return Some(Range { from: range.from - range.length(), to: range.from });
            }
        };
        // The start of a day goes back to the start of a day, though it need not be at the same time by the clock.
        let earlier = |millis| {
            let moment = zoned(millis, zone)?;
            if starts_day(millis) {
                return local_clock::start_of_day(zone, moment.date().checked_sub(back).ok()?);
            }
            Some(moment.checked_sub(back).ok()?.timestamp().as_millisecond())
        };
        let before = Range { from: earlier(range.from)?, to: earlier(range.to)? };
        (before.from < before.to).then_some(before)
    }
}

/// A time zone by its IANA name.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// A point in time, or the start of a day in the zone.
#[must_use]
pub fn moment(text: &str, zone: &TimeZone) -> Option<EpochMillis> {
    time::parse(text).or_else(|| {
        let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
        local_clock::start_of_day(zone, date)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> EpochMillis {
        time::parse(text).expect("is a time")
    }

    fn starts(from: &str, to: &str, interval: Interval, zone_name: &str) -> Vec<String> {
        let range = Range { from: millis(from), to: millis(to) };
        let buckets = Buckets::cut(range, interval, &zone(zone_name).expect("is a zone")).expect("few");
        buckets.starts.into_iter().map(time::format).collect()
    }

    #[test]
    fn days_follow_the_zone_across_a_change_of_clocks() {
        let days = starts("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", Interval::Day, "Europe/Berlin");
        assert_eq!(days, ["2026-03-27T23:00:00.000Z", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"]);
        let autumn = starts("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", Interval::Hours(1), "Europe/Berlin");
        assert_eq!(autumn.len(), 25, "the night that clocks go back has an hour twice");
        let spring = starts("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", Interval::Hours(6), "Europe/Berlin");
        assert_eq!(
            spring,
            ["23:00", "04:00", "10:00", "16:00"].map(|hour| match hour {
                "23:00" => format!("2026-03-28T{hour}:00.000Z"),
                _ => format!("2026-03-29T{hour}:00.000Z"),
            })
        );
    }

    #[test]
    fn hours_and_days_follow_zones_with_half_hours() {
        let hours = starts("2026-11-24T10:00:00Z", "2026-11-24T12:00:00Z", Interval::Hours(1), "Asia/Kolkata");
        assert_eq!(hours, ["2026-11-24T09:30:00.000Z", "2026-11-24T10:30:00.000Z", "2026-11-24T11:30:00.000Z"]);
        let days = starts("2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z", Interval::Day, "Asia/Kathmandu");
        assert_eq!(days, ["2026-11-23T18:15:00.000Z", "2026-11-24T18:15:00.000Z"]);
    }

    #[test]
    fn weeks_start_on_monday_and_quarters_in_january() {
        let weeks = starts("2026-11-24T00:00:00Z", "2026-12-01T00:00:00Z", Interval::Week, "UTC");
        assert_eq!(weeks, ["2026-11-23T00:00:00.000Z", "2026-11-30T00:00:00.000Z"]);
        let quarters = starts("2026-02-24T00:00:00Z", "2026-08-01T00:00:00Z", Interval::Quarter, "UTC");
        assert_eq!(quarters, ["2026-01-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"]);
    }

    #[test]
    fn minutes_over_ten_years_are_too_many() {
        let range = Range { from: millis("2016-01-01T00:00:00Z"), to: millis("2026-01-01T00:00:00Z") };
        assert_eq!(Buckets::cut(range, Interval::Minutes(1), &TimeZone::UTC), Err(TooMany));
    }

    #[test]
    fn periods_end_now_and_compare_with_the_one_before() {
        let now = millis("2026-11-24T09:30:00Z");
        let zone = zone("Asia/Shanghai").expect("is a zone");
        let range = |name| period(name, now, &zone).expect("is a period");
        assert_eq!(range("24h"), Range { from: now - DAY, to: now });
        assert_eq!(range("3d").from, now - 30 * MINUTE - 3 * DAY);
        assert_eq!(period("1h", now + 59_000, &zone), Some(Range { from: now - HOUR, to: now + 59_000 }));
        assert_eq!(range("today").from, millis("2026-11-23T16:00:00Z"));
        assert_eq!(range("mtd").from, millis("2026-10-31T16:00:00Z"));
        assert_eq!(range("yesterday").to, range("today").from);
        let before = Compare::PreviousPeriod.of(range("mtd"), Some("mtd"), &zone).expect("exists");
        assert_eq!(time::format(before.from), "2026-09-30T16:00:00.000Z");
        assert_eq!(time::format(before.to), "2026-10-24T09:30:00.000Z");
        let before = Compare::PreviousPeriod.of(range("24h"), Some("24h"), &zone).expect("exists");
        assert_eq!(before, Range { from: now - 2 * DAY, to: now - DAY });
        for nonsense in ["", "7", "d", "0d", "7days", "-7d", "9999999d"] {
            assert_eq!(period(nonsense, now, &zone), None, "{nonsense}");
        }
    }

    #[test]
    fn named_periods_begin_at_midnight_of_their_zone_and_so_does_what_they_compare_with() {
        // Chatham is 45 minutes off the hours, and 30 of November is a Monday.
        for (name, now) in [
            ("Asia/Kolkata", "2026-11-30T09:30:00Z"),
            ("Asia/Kathmandu", "2026-11-30T09:30:00Z"),
            ("Australia/Lord_Howe", "2026-10-05T09:30:00Z"),
            ("Pacific/Chatham", "2026-10-05T09:30:00Z"),
            ("America/St_Johns", "2026-03-09T09:30:00Z"),
            // Midnight of 29 March does not exist there.
            ("Asia/Beirut", "2026-03-29T09:30:00Z"),
            ("Asia/Beirut", "2026-03-30T09:30:00Z"),
            // Midnight of 1 November comes twice.
            ("America/Havana", "2026-11-01T09:30:00Z"),
        ] {
            let zone = zone(name).expect("is a zone");
            let is_midnight =
                |millis| local_clock::start(Interval::Day, &zone, millis) == Some(millis) && millis % MINUTE == 0;
            for named in ["today", "yesterday", "wtd", "mtd", "qtd", "ytd"] {
                let range = period(named, millis(now), &zone).expect("is a period");
                assert!(is_midnight(range.from), "{named} in {name}: {}", time::format(range.from));
                for compare in [Compare::PreviousPeriod, Compare::PreviousYear] {
                    let before = compare.of(range, Some(named), &zone).expect("exists");
                    assert!(is_midnight(before.from), "before {named} in {name}: {}", time::format(before.from));
                }
            }
        }
        let kolkata = zone("Asia/Kolkata").expect("is a zone");
        let november = period("mtd", millis("2026-11-24T09:30:00Z"), &kolkata).expect("is a period");
        assert_eq!(time::format(november.from), "2026-10-31T18:30:00.000Z");
        let october = Compare::PreviousPeriod.of(november, Some("mtd"), &kolkata).expect("exists");
        assert_eq!(time::format(october.from), "2026-09-30T18:30:00.000Z");
    }

    #[test]
    fn buckets_of_several_hours_keep_to_the_clock_after_it_goes_forward() {
        let wanted = ["23:00", "01:00", "02:00", "04:00", "06:00", "08:00", "10:00"];
        let hours = starts("2026-03-28T23:00:00Z", "2026-03-29T11:00:00Z", Interval::Hours(2), "Europe/Berlin");
        assert_eq!(hours.iter().map(|start| &start[11..16]).collect::<Vec<_>>(), wanted);
        let from_noon = starts("2026-03-29T10:00:00Z", "2026-03-29T14:00:00Z", Interval::Hours(2), "Europe/Berlin");
        assert_eq!(from_noon, ["2026-03-29T10:00:00.000Z", "2026-03-29T12:00:00.000Z"]);
        let hours = starts("2026-10-03T14:00:00Z", "2026-10-03T18:00:00Z", Interval::Hours(1), "Australia/Lord_Howe");
        // From +10:30 to +11:00 at 15:30 UTC.
        assert_eq!(
            hours.iter().map(|start| &start[11..16]).collect::<Vec<_>>(),
            ["13:30", "14:30", "15:30", "16:00", "17:00"]
        );
    }

    #[test]
    fn a_week_of_days_compares_with_the_week_before_across_a_change_of_clocks() {
        let zone = zone("Europe/Berlin").expect("is a zone");
        let day = |text| moment(text, &zone).expect("is a day");
        let range = Range { from: day("2026-03-30"), to: day("2026-04-06") };
        let before = Compare::PreviousPeriod.of(range, None, &zone).expect("exists");
        assert_eq!(before, Range { from: day("2026-03-23"), to: day("2026-03-30") });
        assert_eq!(before.length(), 7 * DAY - HOUR);
    }
}
