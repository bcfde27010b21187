//! What a search asks for: read from query parameters, checked, and free of any storage's language.

use crate::{
    event::limits,
    time::{self, EpochMillis},
};

/// Events in one page unless told otherwise, and at most.
pub const DEFAULT_LIMIT: u32 = 50;
pub const LARGEST_LIMIT: u32 = 1_000;
/// Conditions on properties in one search.
pub const PROPERTY_CONDITIONS: usize = 20;

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
    pub properties: Vec<Condition>,
    /// Lower-cased; each must stand somewhere in the event's strings.
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

/// A condition on one property.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Name, or path of names with dots: `sender.country`.
    pub path: String,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The same text, the same number, `true` or `false`, or a list that holds it.
    Equals(String),
    Differs(String),
    /// Compared as numbers where both are, else as text.
    Compare(Comparison, String),
    /// Upper and lower case are the same.
    Contains(String),
    Exists(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
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
    properties: Vec<Condition>,
    phrases: Vec<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    count: bool,
}

impl Reader {
    fn read(&mut self, name: &str, value: &str) {
        match name {
            "eventType" => self.event_types.extend(list(value)),
            "eventName" => self.event_names.extend(list(value)),
            "eventId" => self.event_id = Some(value.to_owned()),
            "sessionId" => self.session_id = Some(value.to_owned()),
            "userId" => self.user_id = Some(value.to_owned()),
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
                None => self.refuse(
                    name,
                    "unknown_parameter",
                    "is not one of eventType, eventName, eventId, sessionId, userId, from, to, q, property.NAME, \
                     status, code, limit, cursor, count",
                ),
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
            self.refuse(name, "invalid_timestamp", format!("must be {}", time::FORMATS));
        }
        time
    }

    fn property(&mut self, parameter: &str, name: &str, value: &str) {
        let (path, operator) = match name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
            Some((path, operator)) => (path, operator),
            None => (name, "eq"),
        };
        let value = value.to_owned();
        let test = match operator {
            "eq" => Test::Equals(value),
            "ne" => Test::Differs(value),
            "gt" => Test::Compare(Comparison::Greater, value),
            "gte" => Test::Compare(Comparison::GreaterOrEqual, value),
            "lt" => Test::Compare(Comparison::Less, value),
            "lte" => Test::Compare(Comparison::LessOrEqual, value),
            "contains" => Test::Contains(value.to_lowercase()),
            "exists" if matches!(&*value, "true" | "false") => Test::Exists(value == "true"),
            "exists" => return self.refuse(parameter, "invalid_value", "must be true or false"),
            _ => {
                let known = "eq, ne, gt, gte, lt, lte, contains, exists";
                return self.refuse(parameter, "unknown_operator", format!("[{operator}] is not one of {known}"));
            }
        };
        if path.is_empty() || path.chars().count() > limits::NAME_CHARS || path.chars().any(char::is_control) {
            let detail = format!("a property's name has 1 to {} characters", limits::NAME_CHARS);
            return self.refuse(parameter, "invalid_name", detail);
        }
        self.properties.push(Condition { path: path.to_owned(), test });
    }

    fn finish(mut self) -> Result<Query, Vec<ParameterError>> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            self.refuse("to", "invalid_range", "must be later than from");
        }
        if self.properties.len() > PROPERTY_CONDITIONS {
            let detail = format!("a search has at most {PROPERTY_CONDITIONS} conditions on properties");
            self.refuse("property", "too_many", detail);
        }
        let only_accepted = [
            ("q", !self.phrases.is_empty()),
            ("property", !self.properties.is_empty()),
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
                properties: self.properties,
                phrases: self.phrases,
                page,
            })
        })
    }
}

fn list(value: &str) -> impl Iterator<Item = String> + '_ {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned)
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
        .map(str::to_lowercase)
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
        assert_eq!(found.properties[0].test, Test::Equals("123".into()));
        assert_eq!(found.properties[1].path, "sender.age");
        assert_eq!(found.properties[1].test, Test::Compare(Comparison::GreaterOrEqual, "18".into()));
        assert_eq!(found.phrases, ["скидка", "限时 优惠"]);
        assert_eq!(found.page, Page { limit: DEFAULT_LIMIT, cursor: None, count: true });
    }

    #[test]
    fn names_each_parameter_that_makes_no_sense() {
        assert_eq!(
            refusals(&[("limit", "0"), ("colour", "red"), ("from", "soon"), ("property.a[like]", "x")]),
            [
                ("limit".to_owned(), "out_of_range"),
                ("colour".to_owned(), "unknown_parameter"),
                ("from".to_owned(), "invalid_timestamp"),
                ("property.a[like]".to_owned(), "unknown_operator"),
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
