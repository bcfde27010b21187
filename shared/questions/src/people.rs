//! Questions about people as bodies of requests hold them, and their answers as JSON.

use std::collections::BTreeMap;

use analytics_answers::{Kept, Key, People, PeopleAnswer, Question, Reach, Told, Warning, Window};
use analytics_domain::{
    account::AccountId,
    metric::{Definition, Problem, check_path, unknown_field},
    text::nfc,
    time,
};
use analytics_http::ApiError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    errors::{self, invalid_fields},
    questions::{BESIDE_ONE, field, other_account, split},
};

/// Steps of a funnel, periods of retention, and how long both may reach, in days.
pub const STEPS: usize = 20;
pub const PERIODS: usize = 60;
const LONGEST_DAYS: i64 = 366;

const SECOND: i64 = 1_000;
const DAY: i64 = 86_400 * SECOND;

/// The parts of a window that mean nothing here, and those that do.
const UNFIT: [&str; 3] = ["compare", "currency", "orderBy"];
const FIT: [&str; 7] = ["accountId", "from", "to", "period", "timezone", "groupBy", "filter"];

/// A question about people with the window that it is about.
#[derive(Debug)]
pub struct PeopleQuestion {
    pub people: People,
    pub window: Window,
    /// The pointers of its steps.
    pointers: Vec<String>,
}

impl PeopleQuestion {
    /// Reads a body that has `funnel` or `retention`; none if it has neither.
    ///
    /// # Errors
    /// Names every field that makes no sense.
    pub fn from_json(body: &Map<String, Value>, account_id: &AccountId, now: i64) -> Option<Result<Self, ApiError>> {
        let kind =
            ["funnel", "retention"].into_iter().find(|kind| body.get(*kind).is_some_and(|value| !value.is_null()))?;
        Some(Self::read(kind, body, account_id, now))
    }

    fn read(kind: &'static str, body: &Map<String, Value>, account_id: &AccountId, now: i64) -> Result<Self, ApiError> {
        let mut reader = Reader { kind, problems: other_account(body, account_id).into_iter().collect() };
        let (mut draft, rest) = split(body, &mut reader.problems);
        let elsewhere = [&Definition::FIELDS[..], &BESIDE_ONE].concat();
        let known = [&FIT[..], &UNFIT, &[kind, "interval", "limit"]].concat();
        for name in rest.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str()) {
            if name == kind || name == "accountId" {
                continue;
            }
            let problem = match elsewhere.contains(&name) {
                true => Some(Problem::new(format!("/{name}"), "conflict", format!("cannot be combined with {kind}"))),
                false => unknown_field(name, &known),
            };
            reader.problems.extend(problem);
        }
        let unfit = UNFIT.into_iter().chain((kind == "funnel").then_some("interval"));
        for name in unfit.filter(|name| body.get(*name).is_some_and(|value| !value.is_null())) {
            reader.problems.push(Problem::new(format!("/{name}"), "conflict", format!("is not supported with {kind}")));
        }
        let people = match (body.get(kind).and_then(Value::as_object), kind) {
            (Some(question), "funnel") => reader.funnel(question),
            (Some(question), _) => reader.retention(question),
            (None, _) => {
                reader.refuse("", "wrong_type", "must be an object");
                None
            }
        };
        if kind == "funnel" {
            draft.interval = Some("none".to_owned());
        }
        let window = draft.read(now);
        let problems = &mut reader.problems;
        let window = window.map_err(|errors| problems.extend(errors.into_iter().map(field)));
        match (people, window) {
            (Some((people, pointers)), Ok(window)) if problems.is_empty() => Ok(Self { people, window, pointers }),
            _ => Err(invalid_fields(reader.problems)),
        }
    }

    /// Why there is no answer, with pointers into the body.
    #[must_use]
    pub fn refused(&self, error: analytics_answers::AskError) -> ApiError {
        match error {
            analytics_answers::AskError::Queries(refused) => {
                let problems = refused.into_iter().flat_map(|(index, refusal)| {
                    let pointer = self.pointers.get(index).map_or("", String::as_str);
                    // The step is a text by itself.
                    crate::questions::problems(refusal)
                        .into_iter()
                        .map(move |problem| Problem { pointer: pointer.to_owned(), ..problem })
                });
                invalid_fields(problems.collect())
            }
            analytics_answers::AskError::Window(errors) => invalid_fields(errors.into_iter().map(field).collect()),
            other => errors::unanswered(other),
        }
    }
}

type Read = Option<(People, Vec<String>)>;

struct Reader {
    kind: &'static str,
    problems: Vec<Problem>,
}

impl Reader {
    fn refuse(&mut self, place: &str, code: &'static str, detail: impl Into<String>) {
        self.problems.push(Problem::new(format!("/{}{place}", self.kind), code, detail));
    }

    fn known(&mut self, question: &Map<String, Value>, known: &[&str]) {
        let unknown: Vec<Problem> = question.keys().filter_map(|name| unknown_field(name, known)).collect();
        for Problem { pointer, code, detail } in unknown {
            self.refuse(&pointer, code, detail);
        }
    }

    fn funnel(&mut self, question: &Map<String, Value>) -> Read {
        self.known(question, &["steps", "by", "within"]);
        let steps = match question.get("steps") {
            Some(Value::Array(steps)) if (1..=STEPS).contains(&steps.len()) => steps.clone(),
            _ => {
                self.refuse("/steps", "invalid_value", format!("must be a list of 1 to {STEPS} events"));
                return None;
            }
        };
        let places: Vec<String> = (0..steps.len()).map(|place| format!("/steps/{place}")).collect();
        let steps: Vec<Definition> =
            steps.iter().zip(&places).filter_map(|(step, place)| self.step(place, Some(step))).collect();
        let by = self.by(question);
        let within = match question.get("within") {
            None | Some(Value::Null) => Some(7 * DAY),
            Some(value) => value.as_str().and_then(duration),
        };
        if within.is_none() {
            let detail = format!("must be a number with s, m, h, d or w, such as 7d: from 1s to {LONGEST_DAYS}d");
            self.refuse("/within", "invalid_period", detail);
        }
        let question = Question::Funnel { steps, within: within? };
        Some((People { by: by?, question }, self.pointers(places)))
    }

    fn retention(&mut self, question: &Map<String, Value>) -> Read {
        self.known(question, &["first", "return", "leave", "by", "period", "periods"]);
        let given = |name: &str| question.get(name).filter(|value| !value.is_null());
        let (name, second, is_end) = match (given("return"), given("leave")) {
            (Some(second), None) => ("return", second, false),
            (None, Some(second)) => ("leave", second, true),
            _ => {
                let detail = "send return (people come back) or leave (people do not stay), and not both";
                self.refuse("", "required", detail);
                return None;
            }
        };
        let places = vec!["/first".to_owned(), format!("/{name}")];
        if is_end && given("first") == Some(second) {
            self.refuse("/leave", "invalid_value", "must be another event than first");
        }
        let first = self.step("/first", given("first"));
        let second = self.step(&places[1], Some(second));
        let by = self.by(question);
        let (period, usual): (i64, &[i64]) = match given("period").map(Value::as_str) {
            None | Some(Some("day")) => (DAY, &[1, 7, 30]),
            Some(Some("week")) => (7 * DAY, &[1, 4, 12]),
            Some(_) => {
                self.refuse("/period", "invalid_value", "must be day or week");
                (DAY, &[])
            }
        };
        let numbers = match given("periods") {
            None => Some(usual.to_vec()),
            Some(Value::Array(numbers)) if (1..=PERIODS).contains(&numbers.len()) => {
                let fits = |number: &i64| (1..=LONGEST_DAYS * DAY / period).contains(number);
                numbers.iter().map(|number| number.as_i64().filter(fits)).collect::<Option<Vec<i64>>>()
            }
            Some(_) => None,
        };
        if numbers.is_none() {
            let most = LONGEST_DAYS * DAY / period;
            self.refuse(
                "/periods",
                "invalid_value",
                format!("must be a list of 1 to {PERIODS} numbers from 1 to {most}"),
            );
        }
        let mut numbers = numbers?;
        numbers.sort_unstable();
        numbers.dedup();
        let steps = Box::new([first?, second?]);
        let question = Question::Retention { steps, is_end, period, numbers };
        Some((People { by: by?, question }, self.pointers(places)))
    }

    fn pointers(&self, places: Vec<String>) -> Vec<String> {
        places.into_iter().map(|place| format!("/{}{place}", self.kind)).collect()
    }

    /// A step as a definition, which is compiled later.
    fn step(&mut self, place: &str, step: Option<&Value>) -> Option<Definition> {
        let Some(text) = step.and_then(Value::as_str) else {
            self.refuse(place, "wrong_type", "must be an event as formulas write it: link_clicked{not botSuspected}");
            return None;
        };
        let body = Map::from_iter([
            ("name".to_owned(), Value::from("step")),
            ("type".to_owned(), Value::from("gauge")),
            ("formula".to_owned(), Value::from(text)),
        ]);
        match Definition::from_json(&body, &[]) {
            Ok(definition) => Some(definition),
            Err(problems) => {
                for Problem { code, detail, .. } in problems {
                    self.refuse(place, code, detail);
                }
                None
            }
        }
    }

    /// The property that tells people apart: `userId` means the event's own field.
    fn by(&mut self, question: &Map<String, Value>) -> Option<String> {
        let path = match question.get("by") {
            None | Some(Value::Null) => "$userId".to_owned(),
            Some(Value::String(path)) if path == "userId" => "$userId".to_owned(),
            Some(Value::String(path)) => nfc(path).into_owned(),
            Some(_) => {
                self.refuse("/by", "wrong_type", "must be the name of a property, such as clickerHash, or userId");
                return None;
            }
        };
        match check_path(&path) {
            Ok(()) => Some(path),
            Err(detail) => {
                self.refuse("/by", "invalid_name", detail);
                None
            }
        }
    }
}

/// Milliseconds.
fn duration(text: &str) -> Option<i64> {
    let unit = match text.as_bytes().last()? {
        b's' => SECOND,
        b'm' => 60 * SECOND,
        b'h' => 3_600 * SECOND,
        b'd' => DAY,
        b'w' => 7 * DAY,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let number: i64 = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())??;
    number.checked_mul(unit).filter(|millis| (SECOND..=LONGEST_DAYS * DAY).contains(millis))
}

/// An answer about people as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PeopleData")]
pub struct PeopleOut<'a> {
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    timezone: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    group_by: &'a [String],
    /// Everything that was stored by then is in the answer.
    #[schemars(extend("format" = "date-time"))]
    as_of: String,
    series: Vec<SeriesOut<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PeopleSeries")]
struct SeriesOut<'a> {
    /// Values of the properties in `groupBy`; null for events without the property.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    key: BTreeMap<&'a str, Option<&'a str>>,
    /// True for the people of all groups beyond `limit`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    /// Of a funnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepOut<'a>>>,
    /// Of retention: people who did the first event.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    periods: Option<Vec<PeriodOut>>,
    /// The people of each bucket by themselves, unless the interval is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cohorts: Option<Vec<CohortOut>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FunnelStep")]
struct StepOut<'a> {
    event: &'a str,
    people: u64,
    /// Percent of those who took the first step; null if nobody did.
    of_first: Option<f64>,
    /// Percent of those who took the step before.
    of_previous: Option<f64>,
    /// How many seconds after the first step, for the person in the middle. Null for nobody, and for the other groups.
    median_seconds: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RetentionPeriod")]
struct PeriodOut {
    period: i64,
    /// People for whom the period is over: the others cannot tell yet.
    of: u64,
    /// Those of them who came back, or stayed.
    people: u64,
    /// Percent; null if the period is over for nobody.
    share: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cohort")]
struct CohortOut {
    /// Start of the bucket.
    #[schemars(extend("format" = "date-time"))]
    time: String,
    people: u64,
    periods: Vec<PeriodOut>,
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

impl<'a> PeopleOut<'a> {
    #[must_use]
    pub fn new(question: &PeopleQuestion, answer: &'a PeopleAnswer) -> Self {
        let numbers: &[i64] = match &question.people.question {
            Question::Funnel { .. } => &[],
            Question::Retention { numbers, .. } => numbers,
        };
        let is_retention = !numbers.is_empty();
        let interval = || answer.interval.map_or_else(|| "none".to_owned(), |interval| interval.name());
        let has_cohorts = is_retention && answer.interval.is_some();
        let series = answer.series.iter().map(|series| {
            let key = match &series.key {
                Key::All | Key::Other => BTreeMap::new(),
                Key::Group(values) => {
                    answer.group_by.iter().map(String::as_str).zip(values.iter().map(Option::as_deref)).collect()
                }
            };
            let empty = SeriesOut {
                key,
                other: series.key == Key::Other,
                steps: None,
                people: None,
                periods: None,
                cohorts: None,
            };
            match &series.told {
                Told::Funnel(reaches) => SeriesOut { steps: Some(steps(&answer.events, reaches)), ..empty },
                Told::Retention { all, cohorts } => {
                    let cohort = |(time, kept): &(i64, Kept)| CohortOut {
                        time: time::format(*time),
                        people: kept.people,
                        periods: periods(kept, numbers),
                    };
                    SeriesOut {
                        people: Some(all.people),
                        periods: Some(periods(all, numbers)),
                        cohorts: has_cohorts.then(|| cohorts.iter().map(cohort).collect()),
                        ..empty
                    }
                }
            }
        });
        Self {
            from: time::format(answer.range.from),
            to: time::format(answer.range.to),
            interval: is_retention.then(interval),
            timezone: &answer.zone,
            group_by: &answer.group_by,
            as_of: time::format(answer.as_of),
            series: series.collect(),
            warnings: &answer.warnings,
        }
    }
}

fn steps<'a>(events: &'a [String], reaches: &[Reach]) -> Vec<StepOut<'a>> {
    let first = reaches.first().map_or(0, |reach| reach.people);
    let step = |(place, (event, Reach { people, median })): (usize, (&'a String, &Reach))| {
        let previous = place.checked_sub(1).map_or(*people, |before| reaches[before].people);
        StepOut {
            event,
            people: *people,
            of_first: percent(*people, first),
            of_previous: percent(*people, previous),
            median_seconds: median.map(|millis| millis as f64 / 1_000.0),
        }
    };
    events.iter().zip(reaches).enumerate().map(step).collect()
}

fn periods(kept: &Kept, numbers: &[i64]) -> Vec<PeriodOut> {
    let period = |(period, (of, people)): (&i64, &(u64, u64))| PeriodOut {
        period: *period,
        of: *of,
        people: *people,
        share: percent(*people, *of),
    };
    numbers.iter().zip(&kept.periods).map(period).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<People, Vec<(String, String)>> {
        let body = body.as_object().expect("is an object");
        let read = PeopleQuestion::from_json(body, &AccountId::stored("shop"), 1_795_512_600_000);
        let problems = |error: ApiError| {
            let problem = |error: analytics_http::FieldError| (error.pointer.unwrap_or_default(), error.code);
            error.errors.into_iter().map(problem).collect()
        };
        read.expect("is about people").map(|question| question.people).map_err(problems)
    }

    fn refused(body: &Value) -> Vec<(String, String)> {
        read(body).expect_err("refused")
    }

    #[test]
    fn what_is_left_out_has_a_usual_value() {
        let People { by, question } = read(&json!({"funnel": {"steps": ["sent"]}})).expect("can be read");
        assert!(by == "$userId" && matches!(question, Question::Funnel { within, .. } if within == 7 * DAY));
        let retention =
            json!({"retention": {"first": "joined", "leave": "left", "by": "memberHash", "periods": [30, 1, 30]}});
        let People { by, question } = read(&retention).expect("can be read");
        let Question::Retention { is_end, period, numbers, .. } = question else { panic!("is retention") };
        assert_eq!((by.as_str(), is_end, period, numbers), ("memberHash", true, DAY, vec![1, 30]));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let one = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
        let funnel = |within: Value| json!({"funnel": {"steps": ["sent", "clicked"], "within": within}});
        for within in ["0s", "0d", "367d", "1y", "d", "-1d", "1.5h", "", "99999999999999999999d"] {
            assert_eq!(refused(&funnel(json!(within))), one("/funnel/within", "invalid_period"), "{within}");
        }
        assert!(read(&funnel(json!("1s"))).is_ok() && read(&funnel(json!("366d"))).is_ok());
        let steps = |count: usize| json!({"funnel": {"steps": vec!["sent"; count]}});
        assert_eq!(refused(&steps(0)), one("/funnel/steps", "invalid_value"));
        assert_eq!(refused(&steps(21)), one("/funnel/steps", "invalid_value"));
        assert!(read(&steps(20)).is_ok());
        assert_eq!(refused(&json!({"funnel": {"steps": ["sent", 7]}})), one("/funnel/steps/1", "wrong_type"));
        assert_eq!(
            refused(&json!({"funnel": {"steps": ["sent"], "window": "7d"}})),
            one("/funnel/window", "unknown_field")
        );
        assert_eq!(refused(&json!({"funnel": {"steps": ["sent"]}, "formula": "sent"})), one("/formula", "conflict"));
        assert_eq!(refused(&json!({"funnel": {"steps": ["sent"]}, "interval": "day"})), one("/interval", "conflict"));
        assert_eq!(refused(&json!({"funnel": {"steps": ["sent"], "by": "$name"}})), one("/funnel/by", "invalid_name"));
        assert_eq!(refused(&json!({"funnel": ["sent"]})), one("/funnel", "wrong_type"));
        let misspelt = json!({"funnel": {"steps": ["sent"]}, "timezon": "UTC"});
        assert_eq!(refused(&misspelt), one("/timezon", "unknown_field"));
        let same = json!({"retention": {"first": "joined", "leave": "joined"}});
        assert_eq!(refused(&same), one("/retention/leave", "invalid_value"));
        let both = json!({"retention": {"first": "joined", "leave": "left", "return": "sent"}});
        assert_eq!(refused(&both), one("/retention", "required"));
        let period = |periods: Value| json!({"retention": {"first": "joined", "return": "sent", "periods": periods}});
        for periods in [json!([]), json!([0]), json!([367]), json!([1.5]), json!(7)] {
            assert_eq!(refused(&period(periods)), one("/retention/periods", "invalid_value"));
        }
    }
}
