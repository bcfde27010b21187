//! Time in pieces: intervals that follow a time zone, and the periods that people name.

use jiff::{
    Span, Timestamp, ToSpan, Unit, ZonedDateTime,
    civil::{Date, Weekday},
    tz::TimeZone,
};

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

    /// Where the bucket of a moment starts.
    fn start(self, moment: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        let date = moment.date();
        let date = match self {
            Self::Minutes(count) => {
                let start = moment
                    .round(jiff::ZonedDateTimeRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc))?;
                // Minutes pass evenly, whatever the clocks do: only where a change of offset is by less than an hour
                // does this differ from the clock's own.
                return start.checked_sub(i64::from(start.minute() % i8::try_from(count).unwrap_or(1)).minutes());
            }
            Self::Hours(1) => {
                let start = moment
                    .round(jiff::ZonedDateTimeRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc))?;
                return start.checked_sub(i64::from(start.minute()).minutes());
            }
            Self::Hours(count) => {
                let hour = moment.hour() - moment.hour() % i8::try_from(count).unwrap_or(1);
                return date.at(hour, 0, 0, 0).to_zoned_datetime(moment.time_zone().clone());
            }
            Self::Day => date,
            Self::Week => {
                let since = Weekday::Monday.until(date.weekday());
                date.checked_sub(i64::from(since).days())?
            }
            Self::Month => date.first_of_month(),
            Self::Quarter => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1)?,
            Self::Year => date.first_of_year(),
        };
        date.to_zoned_datetime(moment.time_zone().clone())
    }

    fn next(self, start: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        let span: Span = match self {
            Self::Minutes(count) => return start.checked_add(i64::from(count).minutes()),
            Self::Hours(1) => return start.checked_add(1.hour()),
            Self::Hours(count) => {
                let next = start.datetime().checked_add(i64::from(count).hours())?;
                let midnight = start.date().checked_add(1.day())?.at(0, 0, 0, 0);
                return next.min(midnight).to_zoned_datetime(start.time_zone().clone());
            }
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Quarter => 3.months(),
            Self::Year => 1.year(),
        };
        start.date().checked_add(span)?.to_zoned_datetime(start.time_zone().clone())
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
        let mut starts = Vec::new();
        let moment = |millis| Timestamp::from_millisecond(millis).map(|time| time.to_zoned_datetime(zone.clone()));
        let Ok(mut start) = moment(range.from).and_then(|from| interval.start(&from)) else { return Err(TooMany) };
        while start.timestamp().as_millisecond() < range.to {
            let millis = start.timestamp().as_millisecond();
            // Where clocks are put back, two starts by the clock can be one moment.
            if starts.last().is_none_or(|last| *last < millis) {
                starts.push(millis);
            }
            if starts.len() > MOST {
                return Err(TooMany);
            }
            let Ok(next) = interval.next(&start) else { break };
            // Where they are put forward, the time that a bucket would start at may not exist.
            start = if next > start { next } else { start.checked_add(1.hour()).map_err(|_| TooMany)? };
        }
        Ok(Self { starts, range })
    }

    /// The whole range as one bucket.
    #[must_use]
    pub fn whole(range: Range) -> Self {
        Self { starts: vec![range.from], range }
    }
}

/// A period by its name, up to now. It begins with a whole minute, from three days on with a whole hour of UTC: a part of a
/// stored bucket would have to be read from events.
#[must_use]
pub fn period(text: &str, now: EpochMillis, zone: &TimeZone) -> Option<Range> {
    let now = Timestamp::from_millisecond(now).ok()?.to_zoned_datetime(zone.clone());
    let start_of = |interval: Interval| interval.start(&now).ok();
    let (from, to) = match text {
        "today" => (start_of(Interval::Day)?, now),
        "yesterday" => {
            let today = start_of(Interval::Day)?;
            (today.yesterday().ok()?.start_of_day().ok()?, today)
        }
        "wtd" => (start_of(Interval::Week)?, now),
        "mtd" => (start_of(Interval::Month)?, now),
        "qtd" => (start_of(Interval::Quarter)?, now),
        "ytd" => (start_of(Interval::Year)?, now),
        _ => {
            let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
            let (count, unit) = text.split_at(digits);
            let count: i64 = count.parse().ok().filter(|count| (1..=100_000).contains(count))?;
            let from = match unit {
                // Days are those of the calendar: `7d` begins at the time of day at which it ends, whatever clocks did.
                "m" => now.checked_sub(Span::new().try_minutes(count).ok()?),
                "h" => now.checked_sub(Span::new().try_hours(count).ok()?),
                "d" => now.checked_sub(Span::new().try_days(count).ok()?),
                "w" => now.checked_sub(Span::new().try_weeks(count).ok()?),
                "mo" => now.checked_sub(Span::new().try_months(count).ok()?),
                "y" => now.checked_sub(Span::new().try_years(count).ok()?),
                _ => return None,
            };
            (from.ok()?, now)
        }
    };
    let (from, to) = (from.timestamp().as_millisecond(), to.timestamp().as_millisecond());
    let whole = if to - from < 3 * DAY { MINUTE } else { HOUR };
    let range = Range { from: from.div_euclid(whole) * whole, to };
    (range.from < range.to).then_some(range)
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
        let zoned = |millis| Timestamp::from_millisecond(millis).ok().map(|time| time.to_zoned_datetime(zone.clone()));
        let (from, to) = (zoned(range.from)?, zoned(range.to)?);
        let back: Span = match (self, period) {
            (Self::PreviousYear, _) => 1.year(),
            (Self::PreviousPeriod, Some("today" | "yesterday")) => 1.day(),
            (Self::PreviousPeriod, Some("wtd")) => 1.week(),
            (Self::PreviousPeriod, Some("mtd")) => 1.month(),
            (Self::PreviousPeriod, Some("qtd")) => 3.months(),
            (Self::PreviousPeriod, Some("ytd")) => 1.year(),
            (Self::PreviousPeriod, _) => {
                let starts_day = |moment: &ZonedDateTime| moment.start_of_day().is_ok_and(|start| start == *moment);
                if starts_day(&from) && starts_day(&to) {
                    from.date().until(to.date()).ok()?
                } else {
                    let length = range.length();
                    return Some(Range { from: range.from - length, to: range.from });
                }
            }
        };
        let from = from.checked_sub(back).ok()?.timestamp().as_millisecond();
        let to = to.checked_sub(back).ok()?.timestamp().as_millisecond();
        (from < to).then_some(Range { from, to })
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
        Some(date.to_zoned_datetime(zone.clone()).ok()?.timestamp().as_millisecond())
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
    fn a_week_of_days_compares_with_the_week_before_across_a_change_of_clocks() {
        let zone = zone("Europe/Berlin").expect("is a zone");
        let day = |text| moment(text, &zone).expect("is a day");
        let range = Range { from: day("2026-03-30"), to: day("2026-04-06") };
        let before = Compare::PreviousPeriod.of(range, None, &zone).expect("exists");
        assert_eq!(before, Range { from: day("2026-03-23"), to: day("2026-03-30") });
        assert_eq!(before.length(), 7 * DAY - HOUR);
    }
}
