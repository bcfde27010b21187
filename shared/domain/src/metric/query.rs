//! What is asked of formulas: which time, cut how, split and filtered by what.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    buckets::{self, Buckets, Compare, INTERVALS, Interval, PERIODS, Range, moment, period, zone},
    definition::DIMENSIONS,
    filter::Filter,
    parser::parse_filter,
    path::check_path,
    resolve::MOST_TESTS,
};
use crate::{
    search::{self, ParameterError},
    text::nfc,
    time,
    time::EpochMillis,
};

/// Groups in an answer unless told otherwise, and at most.
const GROUPS: usize = 10;
pub const MOST_GROUPS: usize = 100;
/// Points of an answer: formulas times groups times buckets, those to compare with included. Of the 6 MB that a function's
/// answer may have, each takes 90 bytes at most.
const MOST_POINTS: usize = 50_000;
/// Characters of a currency's name.
pub const CURRENCY_CHARS: usize = 32;

/// Which groups come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Largest,
    Smallest,
    /// By the values of the dimensions.
    Key,
}

/// Which groups are shown; the others are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranking {
    pub order: Order,
    pub limit: usize,
}

/// What a question is about besides its formulas: which time, cut how, split and filtered by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub range: Range,
    /// The name of the period that the range stands for, if it was asked for by one.
    pub period: Option<String>,
    /// None: totals only.
    pub interval: Option<Interval>,
    pub zone: TimeZone,
    pub zone_name: String,
    pub group_by: Vec<String>,
    pub filter: Filter,
    pub compare: Option<Compare>,
    pub ranking: Ranking,
    /// The currency that amounts are taken in; none for the only one there is.
    pub currency: Option<String>,
}

/// A window, cut into buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub buckets: Buckets,
    /// None: totals only.
    pub interval: Option<Interval>,
    pub zone: TimeZone,
    pub zone_name: String,
    pub group_by: Vec<String>,
    pub filter: Filter,
    /// The range to compare with, cut in the same way.
    pub compare: Option<(Compare, Buckets)>,
    pub ranking: Ranking,
    /// The currency that amounts are taken in; none for the only one there is.
    pub currency: Option<String>,
    /// Whether the range was cut where retention ends, or the one to compare with was left out for it.
    pub clipped: bool,
}

/// Formulas and metrics that may be asked at once.
pub const QUERIES: usize = 10;

/// A question as it was asked. Empty texts count as not given.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryDraft {
    pub from: Option<String>,
    pub to: Option<String>,
    pub period: Option<String>,
    pub interval: Option<String>,
    pub timezone: Option<String>,
    pub group_by: Vec<String>,
    pub filter: Option<String>,
    pub compare: Option<String>,
    pub limit: Option<String>,
    pub order_by: Option<String>,
    pub currency: Option<String>,
}

impl QueryDraft {
    /// The names of its parts, as parameters and as fields.
    pub const NAMES: [&str; 11] = [
        "from", "to", "period", "interval", "timezone", "groupBy", "filter", "compare", "limit", "orderBy", "currency",
    ];

    /// Takes in one part by its name; false if there is none of this name.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let place = match name {
            "from" => &mut self.from,
            "to" => &mut self.to,
            "period" => &mut self.period,
            "interval" => &mut self.interval,
            "timezone" => &mut self.timezone,
            "filter" => &mut self.filter,
            "compare" => &mut self.compare,
            "limit" => &mut self.limit,
            "orderBy" => &mut self.order_by,
            "currency" => &mut self.currency,
            "groupBy" => {
                self.group_by.extend(search::list(value).map(search::Item::into_path));
                return true;
            }
            _ => return false,
        };
        *place = Some(value.to_owned()).filter(|value| !value.is_empty());
        true
    }

    /// Reads the parts at a time in epoch milliseconds.
    ///
    /// # Errors
    /// Names each part that makes no sense, and what would.
    pub fn read(self, now: EpochMillis) -> Result<Window, Vec<ParameterError>> {
        let mut reader = Reader { errors: Vec::new() };
        let zone_name = self.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
        let zone = zone(&zone_name).unwrap_or_else(|| {
            reader.refuse(
                "timezone",
                "unknown_timezone",
                "must be an IANA name, such as Asia/Shanghai or Europe/Moscow",
            );
            TimeZone::UTC
        });
        let range = reader.range(&self, now, &zone);
        let window = Window {
            range,
            interval: reader.interval(self.interval.as_deref(), range),
            zone,
            zone_name,
            group_by: reader.group_by(self.group_by),
            filter: reader.filter(self.filter.as_deref()),
            compare: reader.compare(self.compare.as_deref()),
            ranking: reader.ranking(self.limit.as_deref(), self.order_by.as_deref()),
            currency: reader.currency(self.currency),
            period: self.period,
        };
        if reader.errors.is_empty() { Ok(window) } else { Err(reader.errors) }
    }
}

impl Window {
    /// Cuts the window for a question of so many formulas. `now` and how many days events are kept bound its time.
    ///
    /// # Errors
    /// If the answer would have too many buckets, with an interval or a range that fits.
    pub fn settle(self, formulas: usize, now: EpochMillis, retention_days: i64) -> Result<Query, Vec<ParameterError>> {
        let Self { range, period, interval, zone, zone_name, group_by, filter, compare, ranking, currency } = self;
        let kept_from = now - retention_days * 86_400_000;
        let clipped = range.from < kept_from;
        let range = Range { from: range.from.max(kept_from).min(range.to - 1), to: range.to };
        let cut = |range: Range| match interval {
            None => Ok(Buckets::whole(range)),
            Some(interval) => {
                Buckets::cut(range, interval, &zone).map_err(|_| too_many(interval, range, buckets::MOST))
            }
        };
        let groups = if group_by.is_empty() { 1 } else { ranking.limit + 1 };
        let shown = groups * formulas.max(1) * if compare.is_some() { 2 } else { 1 };
        let buckets = cut(range)?;
        if let Some(interval) = interval
            && buckets.starts.len() * shown > MOST_POINTS
        {
            return Err(too_many(interval, range, MOST_POINTS / shown));
        }
        let other = compare.and_then(|compare| Some((compare, compare.of(range, period.as_deref(), &zone)?)));
        // Half of what was is no measure for what is.
        let clipped = clipped || other.is_some_and(|(_, other)| other.from < kept_from);
        let kept = other.filter(|(_, other)| other.from >= kept_from);
        let compare = kept.and_then(|(compare, other)| Some((compare, cut(other).ok()?)));
        Ok(Query { buckets, interval, zone, zone_name, group_by, filter, compare, ranking, currency, clipped })
    }
}

fn too_many(interval: Interval, range: Range, most: usize) -> Vec<ParameterError> {
    let reaches = |interval: Interval| interval.typical().saturating_mul(i64::try_from(most).unwrap_or(i64::MAX));
    let mut fitting = interval.coarser();
    while reaches(fitting) < range.length() && fitting != Interval::Year {
        fitting = fitting.coarser();
    }
    let detail = format!(
        "an interval of a {} allows {most} buckets here, which is a range of {}: take a shorter range, fewer groups or formulas, \
         no comparison, or interval={}",
        interval.name(),
        time::humanize(reaches(interval)),
        fitting.name()
    );
    vec![ParameterError::new("interval", "too_many_buckets", detail)]
}

struct Reader {
    errors: Vec<ParameterError>,
}

/// Reads a filter as users write it.
///
/// # Errors
/// A code, and what is wrong where.
pub fn read_filter(text: &str) -> Result<Filter, (&'static str, String)> {
    let filter = parse_filter(text).map_err(|error| (error.code, error.explain(text)))?;
    if filter.size() > MOST_TESTS {
        return Err(("too_many", format!("a filter has at most {MOST_TESTS} tests; each value of a list is one")));
    }
    match filter.paths().into_iter().find_map(|path| check_path(path).err()) {
        None => Ok(filter),
        Some(detail) => Err(("invalid_name", detail)),
    }
}

impl Reader {
    fn refuse(&mut self, parameter: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(ParameterError::new(parameter, code, detail));
    }

    fn range(&mut self, draft: &QueryDraft, now: EpochMillis, zone: &TimeZone) -> Range {
        let usual = Range { from: now - 7 * 86_400_000, to: now };
        if let Some(name) = &draft.period {
            if draft.from.is_some() || draft.to.is_some() {
                self.refuse("period", "conflict", "stands for from and to: give one or the other");
            }
            return period(name, now, zone).unwrap_or_else(|| {
                self.refuse("period", "invalid_period", format!("must be {PERIODS}"));
                usual
            });
        }
        let mut read = |name: &str, value: Option<&str>| {
            let value = value?;
            let found = moment(value, zone).or_else(|| moment(&value.replacen(' ', "+", 1), zone));
            if found.is_none() {
                let detail = format!("{}; a day of the time zone (2026-11-24) is taken too", time::problem(value));
                self.refuse(name, "invalid_timestamp", detail);
            }
            found
        };
        let from = read("from", draft.from.as_deref());
        let to = read("to", draft.to.as_deref());
        let to = to.unwrap_or_else(|| from.map_or(now, |from| now.max(from + 1)));
        let from = from.unwrap_or(to - 7 * 86_400_000);
        if from >= to {
            self.refuse("to", "empty_range", "must be later than from");
            return usual;
        }
        Range { from, to }
    }

    fn interval(&mut self, text: Option<&str>, range: Range) -> Option<Interval> {
        match text {
            None | Some("auto") => Some(Interval::auto(range.length())),
            Some("none" | "total") => None,
            Some(text) => {
                let interval = Interval::parse(text);
                if interval.is_none() {
                    self.refuse(
                        "interval",
                        "invalid_interval",
                        format!("must be one of {INTERVALS}, or none for totals"),
                    );
                }
                interval.or(Some(Interval::Year))
            }
        }
    }

    fn group_by(&mut self, dimensions: Vec<String>) -> Vec<String> {
        if dimensions.len() > DIMENSIONS {
            self.refuse("groupBy", "too_many", format!("an answer can be split by {DIMENSIONS} properties at most"));
        }
        let mut known: Vec<String> = Vec::new();
        for dimension in dimensions {
            if let Err(detail) = check_path(&dimension) {
                self.refuse("groupBy", "invalid_name", detail);
            } else if !known.contains(&dimension) {
                known.push(dimension);
            }
        }
        known
    }

    fn filter(&mut self, text: Option<&str>) -> Filter {
        let Some(text) = text else { return Filter::EVERYTHING };
        read_filter(text).unwrap_or_else(|(code, detail)| {
            self.refuse("filter", code, detail);
            Filter::EVERYTHING
        })
    }

    fn ranking(&mut self, limit: Option<&str>, order: Option<&str>) -> Ranking {
        let limit = match limit.map(str::parse) {
            None => GROUPS,
            Some(Ok(limit @ 1..=MOST_GROUPS)) => limit,
            Some(_) => {
                self.refuse("limit", "out_of_range", format!("must be a number from 1 to {MOST_GROUPS}"));
                GROUPS
            }
        };
        let order = match order {
            None | Some("-total" | "-value") => Order::Largest,
            Some("total" | "value") => Order::Smallest,
            Some("key") => Order::Key,
            Some(_) => {
                self.refuse("orderBy", "invalid_value", "must be -total (largest first), total or key");
                Order::Largest
            }
        };
        Ranking { order, limit }
    }

    fn currency(&mut self, text: Option<String>) -> Option<String> {
        let is_name = |text: &String| text.chars().count() <= CURRENCY_CHARS && !text.chars().any(char::is_control);
        if text.as_ref().is_some_and(|text| !is_name(text)) {
            let detail =
                format!("must be a currency as events name it, such as USD: {CURRENCY_CHARS} characters at most");
            self.refuse("currency", "invalid_value", detail);
        }
        text.map(|text| nfc(&text).into_owned())
    }

    fn compare(&mut self, text: Option<&str>) -> Option<Compare> {
        match text {
            None => None,
            Some("previous_period") => Some(Compare::PreviousPeriod),
            Some("previous_year") => Some(Compare::PreviousYear),
            Some(_) => {
                self.refuse("compare", "invalid_value", "must be previous_period or previous_year");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EpochMillis = 1_795_512_600_000;

    fn settle(parts: &[(&str, &str)]) -> Result<Query, Vec<ParameterError>> {
        let mut draft = QueryDraft::default();
        for (name, value) in parts {
            assert!(draft.set(name, value), "{name}");
        }
        draft.read(NOW)?.settle(1, NOW, 400)
    }

    fn code(parts: &[(&str, &str)]) -> &'static str {
        settle(parts).expect_err("refused")[0].code
    }

    #[test]
    fn a_week_up_to_now_by_day_is_the_default() {
        let query = settle(&[]).expect("makes sense");
        assert_eq!(query.buckets.range, Range { from: NOW - 7 * 86_400_000, to: NOW });
        assert_eq!((query.interval, query.buckets.starts.len()), (Some(Interval::Day), 8));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        assert_eq!(code(&[("timezone", "Mars/Olympus")]), "unknown_timezone");
        assert_eq!(code(&[("from", "2026-11-24"), ("to", "2026-11-23")]), "empty_range");
        assert_eq!(code(&[("from", "soon")]), "invalid_timestamp");
        assert_eq!(code(&[("period", "7d"), ("from", "2026-11-24")]), "conflict");
        assert_eq!(code(&[("interval", "fortnight")]), "invalid_interval");
        assert_eq!(code(&[("filter", "a = 'x' or")]), "syntax");
        assert_eq!(code(&[("groupBy", "a,b,c,d,e")]), "too_many");
        assert_eq!(code(&[("groupBy", "$password")]), "invalid_name");
        assert_eq!(code(&[("limit", "0")]), "out_of_range");
        assert_eq!(code(&[("compare", "yesterday")]), "invalid_value");
    }

    #[test]
    fn a_minute_interval_over_ten_years_is_refused_with_the_largest_allowed() {
        let errors = settle(&[("from", "2016-11-24"), ("to", "2026-11-24"), ("interval", "minute")]);
        let errors = errors.expect_err("refused");
        assert_eq!(errors[0].code, "too_many_buckets");
        assert!(errors[0].detail.contains("50h") && errors[0].detail.ends_with("interval=day"), "{}", errors[0].detail);
    }

    #[test]
    fn many_groups_allow_fewer_buckets() {
        let parts = [("period", "7d"), ("interval", "5m"), ("groupBy", "campaignId")];
        settle(&parts).expect("makes sense");
        assert_eq!(code(&[parts.as_slice(), &[("limit", "50")]].concat()), "too_many_buckets");
    }

    #[test]
    fn the_points_of_all_formulas_and_of_what_they_compare_with_are_bounded_together() {
        let points = |formulas: usize, parts: &[(&str, &str)]| {
            let mut draft = QueryDraft::default();
            for (name, value) in parts {
                assert!(draft.set(name, value), "{name}");
            }
            let window = draft.read(NOW).expect("makes sense");
            window.settle(formulas, NOW, 400).map_err(|errors| errors[0].detail.clone())
        };
        let (minutes, by_group) =
            ([("period", "40h"), ("interval", "minute")], [("period", "7d"), ("interval", "5m"), ("groupBy", "a")]);
        points(10, &minutes).expect("24,000 points");
        points(10, &[minutes.as_slice(), &[("compare", "previous_period")]].concat()).expect("48,000 points");
        points(2, &by_group).expect("44,484 points");
        let detail = points(3, &by_group).expect_err("66,726 points");
        assert!(detail.contains("fewer groups or formulas") && detail.ends_with("interval=hour"), "{detail}");
        points(2, &[by_group.as_slice(), &[("compare", "previous_period")]].concat()).expect_err("88,968 points");
        points(10, &[("period", "30d"), ("interval", "hour"), ("groupBy", "a")]).expect_err("79,310 points");
        points(10, &[("period", "30d"), ("interval", "none"), ("groupBy", "a"), ("limit", "100")])
            .expect("totals only");
    }

    #[test]
    fn seconds_are_told_from_milliseconds() {
        for name in ["from", "to"] {
            let errors = settle(&[(name, "1795512600")]).expect_err("refused");
            assert_eq!(errors[0].code, "invalid_timestamp");
            assert!(errors[0].detail.contains("looks like seconds") && errors[0].detail.contains("1795512600000"));
        }
        let detail = settle(&[("from", "17955126")]).expect_err("refused")[0].detail.clone();
        assert!(!detail.contains("seconds:"), "{detail}");
    }

    #[test]
    fn a_currency_is_a_name() {
        assert_eq!(settle(&[("currency", "USD")]).expect("makes sense").currency.as_deref(), Some("USD"));
        assert_eq!(settle(&[("currency", "")]).expect("makes sense").currency, None);
        assert_eq!(code(&[("currency", &"x".repeat(33))]), "invalid_value");
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let query = settle(&[("from", "2026-11-20"), ("to", "2026-11-22"), ("timezone", "Asia/Shanghai")]);
        let query = query.expect("makes sense");
        assert_eq!(time::format(query.buckets.range.from), "2026-11-19T16:00:00.000Z");
        assert_eq!(query.interval, Some(Interval::Hours(1)));
    }
}
