//! What a search asks for: read from query parameters, checked, and free of any storage's language.

use crate::{
    metric::{
        Filter, MOST_TESTS, check_path,
        filter::{Comparison, Literal, Test},
        path_of, read_filter,
    },
    number::Number,
    text::nfc,
    time::{self, EpochMillis},
};

/// Events in one page unless told otherwise, and at most.
pub const DEFAULT_LIMIT: u32 = 50;
pub const LARGEST_LIMIT: u32 = 1_000;

/// What a search can be asked.
pub const PARAMETERS: [&str; 15] = [
    "eventType",
    "eventName",
    "eventId",
    "sessionId",
    "userId",
    "from",
    "to",
    "q",
    "filter",
    "property.NAME",
    "status",
    "code",
    "limit",
    "cursor",
    "count",
];

/// A search for accepted events, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// One of these, if any is given.
    pub event_types: Vec<String>,
    /// One of these, if any is given.
    pub event_names: Vec<String>,
    pub event_id: Option<String>,
    pub session_id: Option<String>,
    pub user_id: Option<String>,
    /// Inclusive.
    pub from: Option<EpochMillis>,
    /// Exclusive.
    pub to: Option<EpochMillis>,
    /// Conditions on properties.
    pub filter: Filter,
    /// Each must be somewhere in the event's strings, whatever the case of both.
    pub phrases: Vec<String>,
    pub page: Page,
}

/// A search for rejected events, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedSearch {
    pub code: Option<String>,
    pub event_names: Vec<String>,
    pub from: Option<EpochMillis>,
    pub to: Option<EpochMillis>,
    pub page: Page,
}

/// What `GET /api/events/search` can look for.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    Accepted(Search),
    Rejected(RejectedSearch),
}

/// Which part of the answer is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub limit: u32,
    /// Everything after this position; opaque to clients.
    pub cursor: Option<String>,
    /// Whether to count all events that match.
    pub count: bool,
}

/// A query parameter that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterError {
    pub parameter: String,
    pub code: &'static str,
    pub detail: String,
}

impl ParameterError {
    #[must_use]
    pub fn new(parameter: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), code, detail: detail.into() }
    }
}

impl Query {
    /// Reads the decoded query parameters. A parameter may come more than once; `eventName` and `eventType` then mean
    /// any of the values, and so does a comma-separated list.
    ///
    /// # Errors
    /// Names every parameter that is unknown or makes no sense.
    pub fn parse<'q>(parameters: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Self, Vec<ParameterError>> {
        let mut reader = Reader::default();
        for (name, value) in parameters {
            reader.read(name, value);
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    errors: Vec<ParameterError>,
    rejected: bool,
    event_types: Vec<String>,
    event_names: Vec<String>,
    event_id: Option<String>,
    session_id: Option<String>,
    user_id: Option<String>,
    from: Option<EpochMillis>,
    to: Option<EpochMillis>,
    code: Option<String>,
    filters: Vec<Filter>,
    phrases: Vec<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    count: bool,
}

impl Reader {
    fn read(&mut self, name: &str, value: &str) {
        match name {
            "eventType" => self.event_types.extend(list(value).map(Item::into_text)),
            "eventName" => self.event_names.extend(list(value).map(Item::into_text)),
            "eventId" => self.event_id = Some(nfc(value).into_owned()),
            "sessionId" => self.session_id = Some(nfc(value).into_owned()),
            "userId" => self.user_id = Some(nfc(value).into_owned()),
            "filter" => match read_filter(value) {
                Ok(filter) => self.filters.push(filter),
                Err((code, detail)) => self.refuse(name, code, detail),
            },
            "code" => self.code = Some(value.to_owned()),
            "cursor" => self.cursor = Some(value.to_owned()),
            "from" => self.from = self.time(name, value),
            "to" => self.to = self.time(name, value),
            "q" => self.phrases.extend(phrases(value)),
            "limit" => match value.parse() {
                Ok(limit @ 1..=LARGEST_LIMIT) => self.limit = Some(limit),
                _ => self.refuse(name, "out_of_range", format!("must be a number from 1 to {LARGEST_LIMIT}")),
            },
            "count" => match value {
                "true" => self.count = true,
                "false" => self.count = false,
                _ => self.refuse(name, "invalid_value", "must be true or false"),
            },
            "status" => match value {
                "accepted" => self.rejected = false,
                "rejected" => self.rejected = true,
                _ => self.refuse(name, "invalid_value", "must be accepted or rejected"),
            },
            _ => match name.strip_prefix("property.") {
                Some(path) => self.property(name, path, value),
                None => self.refuse(name, "unknown_parameter", format!("is not one of {}", PARAMETERS.join(", "))),
            },
        }
    }

    fn refuse(&mut self, parameter: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(ParameterError::new(parameter, code, detail));
    }

    fn time(&mut self, name: &str, value: &str) -> Option<EpochMillis> {
        // In a query a '+' that was not escaped arrives as a space, and 12:00:00 03:00 can mean nothing else.
        let time = time::parse(value).or_else(|| time::parse(&plus_restored(value)?));
        if time.is_none() {
            self.refuse(name, "invalid_timestamp", time::problem(value));
        }
        time
    }

    /// `NAME[OP]`. A name that ends like an operator, or with any other brackets, goes in quotes.
    fn property(&mut self, parameter: &str, name: &str, value: &str) {
        let quoted = name.strip_prefix('"').and_then(|rest| rest.rsplit_once('"'));
        let (name, operator) = match quoted {
            Some((name, "")) => (name, "eq"),
            Some((name, operator)) => {
                (name, operator.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(""))
            }
            None => match name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
                Some((name, operator)) => (name, operator),
                None => (name, "eq"),
            },
        };
        let compare = |comparison| {
            let literal = Number::parse(value).map_or_else(|| Literal::Text(nfc(value).into_owned()), Literal::Amount);
            Test::Compare(comparison, literal)
        };
        let (test, holds) = match operator {
            "eq" => (equals(value), true),
            "ne" => (equals(value), false),
            "gt" => (compare(Comparison::Greater), true),
            "gte" => (compare(Comparison::GreaterOrEqual), true),
            "lt" => (compare(Comparison::Less), true),
            "lte" => (compare(Comparison::LessOrEqual), true),
            "contains" => (Test::Contains(value.to_owned()), true),
            "exists" if matches!(value, "true" | "false") => (Test::Exists, value == "true"),
            "exists" => return self.refuse(parameter, "invalid_value", "must be true or false"),
            _ => {
                let detail = format!(
                    "[{operator}] is not one of eq, ne, gt, gte, lt, lte, contains, exists; a name with brackets goes in \
                     quotes: property.\"{name}[{operator}]\""
                );
                return self.refuse(parameter, "unknown_operator", detail);
            }
        };
        let path = path_of(&nfc(name)).into_owned();
        if let Err(detail) = check_path(&path) {
            return self.refuse(parameter, "invalid_name", detail);
        }
        let test = Filter::Test { path, test };
        self.filters.push(if holds { test } else { Filter::Not(Box::new(test)) });
    }

    fn finish(mut self) -> Result<Query, Vec<ParameterError>> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            self.refuse("to", "invalid_range", "must be later than from");
        }
        let filter = Filter::All(std::mem::take(&mut self.filters));
        if filter.size() > MOST_TESTS {
            self.refuse("filter", "too_many", format!("a search makes at most {MOST_TESTS} tests"));
        }
        let only_accepted = [
            ("q", !self.phrases.is_empty()),
            ("filter", filter != Filter::EVERYTHING),
            ("eventType", !self.event_types.is_empty()),
            ("eventId", self.event_id.is_some()),
            ("sessionId", self.session_id.is_some()),
            ("userId", self.user_id.is_some()),
        ];
        for (name, _) in only_accepted.iter().filter(|(_, given)| self.rejected && *given) {
            let detail = "rejected events are found by eventName, code and time only";
            self.errors.push(ParameterError::new(*name, "not_applicable", detail));
        }
        if self.code.is_some() && !self.rejected {
            self.refuse("code", "not_applicable", "only rejected events have a code: add status=rejected");
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let page = Page { limit: self.limit.unwrap_or(DEFAULT_LIMIT), cursor: self.cursor, count: self.count };
        let Self { event_names, from, to, .. } = self;
        Ok(if self.rejected {
            Query::Rejected(RejectedSearch { code: self.code, event_names, from, to, page })
        } else {
            Query::Accepted(Search {
                event_types: self.event_types,
                event_names,
                event_id: self.event_id,
                session_id: self.session_id,
                user_id: self.user_id,
                from,
                to,
                filter,
                phrases: self.phrases,
                page,
            })
        })
    }
}

/// What a property equals that has this value in a query, where texts and numbers look alike.
fn equals(value: &str) -> Test {
    let text = Literal::Text(nfc(value).into_owned());
    Test::In([Some(text), Number::parse(value).map(Literal::Amount)].into_iter().flatten().collect())
}

/// An item of a list.
pub struct Item {
    text: String,
    is_quoted: bool,
}

impl Item {
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// As the name of a property or a field. In quotes it is a property's, whatever it starts with.
    #[must_use]
    pub fn into_path(self) -> String {
        if self.is_quoted { path_of(&self.text).into_owned() } else { self.text }
    }
}

/// The items of a list with commas between. An item in double quotes is taken as it stands; a quote within is written twice.
pub fn list(value: &str) -> impl Iterator<Item = Item> + '_ {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(|character: char| character == ',' || character.is_whitespace());
            if rest.is_empty() {
                return None;
            }
            if let Some((item, after)) = rest.strip_prefix('"').and_then(quoted) {
                rest = after;
                return Some(Item { text: nfc(&item).into_owned(), is_quoted: true });
            }
            let (item, after) = rest.split_once(',').unwrap_or((rest, ""));
            rest = after;
            let item = item.trim();
            if !item.is_empty() {
                return Some(Item { text: nfc(item).into_owned(), is_quoted: false });
            }
        }
    })
}

/// What stands before the closing quote, and what follows it: the end, or a comma.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut end = 0;
    loop {
        end += text[end..].find('"')?;
        let after = &text[end + 1..];
        if after.starts_with('"') {
            end += 2;
            continue;
        }
        let after = after.trim_start();
        return (after.is_empty() || after.starts_with(',')).then(|| (text[..end].replace("\"\"", "\""), after));
    }
}

fn plus_restored(value: &str) -> Option<String> {
    let (front, offset) = value.rsplit_once(' ')?;
    Some(format!("{front}+{offset}"))
}

/// Words must all be found, in any order; what stands in double quotes must be found as it stands.
fn phrases(query: &str) -> Vec<String> {
    let quoted = query.split('"').enumerate();
    quoted
        .flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part.trim()],
        })
        .filter(|phrase: &&str| !phrase.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(parameters: &[(&str, &str)]) -> Search {
        match Query::parse(parameters.iter().copied()) {
            Ok(Query::Accepted(search)) => search,
            other => panic!("{other:?}"),
        }
    }

    fn refusals(parameters: &[(&str, &str)]) -> Vec<(String, &'static str)> {
        let errors = Query::parse(parameters.iter().copied()).expect_err("refused");
        errors.into_iter().map(|error| (error.parameter, error.code)).collect()
    }

    #[test]
    fn reads_names_times_properties_and_text() {
        let found = search(&[
            ("eventName", "message_sent,message_read"),
            ("from", "2026-11-24T09:30:00 03:00"),
            ("property.campaignId", "123"),
            ("property.sender.age[gte]", "18"),
            ("q", "Скидка \"限时 优惠\""),
            ("count", "true"),
        ]);
        assert_eq!(found.event_names, ["message_sent", "message_read"]);
        assert_eq!(found.from, time::parse("2026-11-24T06:30:00Z"));
        let test = |path: &str, test| Filter::Test { path: path.to_owned(), test };
        let number = |number| Literal::Amount(Number::Integer(number));
        let expected = [
            test("campaignId", Test::In(vec![Literal::Text("123".into()), number(123)])),
            test("sender.age", Test::Compare(Comparison::GreaterOrEqual, number(18))),
        ];
        assert_eq!(found.filter, Filter::All(expected.to_vec()));
        assert_eq!(found.phrases, ["Скидка", "限时 优惠"]);
        assert_eq!(found.page, Page { limit: DEFAULT_LIMIT, cursor: None, count: true });
    }

    #[test]
    fn names_in_quotes_are_taken_as_they_stand() {
        let found = search(&[
            ("eventName", "\"a, b\", c ,\"say \"\"hi\"\"\",\"open"),
            ("property.\"utm[source]\"", "x"),
            ("property.\"a[gt]\"[ne]", "y"),
            ("property.$userId", "007"),
            ("filter", "\"$browser\" = Firefox and $userId != null"),
        ]);
        assert_eq!(found.event_names, ["a, b", "c", "say \"hi\"", "\"open"]);
        assert_eq!(found.filter.paths(), ["utm[source]", "a[gt]", "$$userId", "$$browser", "$userId"]);
        let Filter::All(parts) = &found.filter else { panic!("all conditions hold") };
        assert!(
            matches!(&parts[2], Filter::Test { test: Test::In(values), .. } if values.len() == 1),
            "007 is no number"
        );
    }

    #[test]
    fn names_each_parameter_that_makes_no_sense() {
        assert_eq!(
            refusals(&[
                ("limit", "0"),
                ("colour", "red"),
                ("from", "soon"),
                ("property.a[like]", "x"),
                ("property.a.:`Nope`", "x"),
                ("filter", "a = g-7")
            ]),
            [
                ("limit".to_owned(), "out_of_range"),
                ("colour".to_owned(), "unknown_parameter"),
                ("from".to_owned(), "invalid_timestamp"),
                ("property.a[like]".to_owned(), "unknown_operator"),
                ("property.a.:`Nope`".to_owned(), "invalid_name"),
                ("filter".to_owned(), "syntax"),
            ]
        );
        assert_eq!(
            refusals(&[("from", "1795512600000"), ("to", "1795512600000")]),
            [("to".to_owned(), "invalid_range")]
        );
        assert_eq!(refusals(&[("status", "rejected"), ("q", "x")]), [("q".to_owned(), "not_applicable")]);
        assert_eq!(refusals(&[("code", "required")]), [("code".to_owned(), "not_applicable")]);
    }
}
