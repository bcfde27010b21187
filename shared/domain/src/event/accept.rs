//! Judges and enriches the events of one request: the rules an event must keep, and what is added to it.

use std::borrow::Cow;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    draft::{Broken, Draft, Drafts, FIELDS},
    limits, properties,
    rejection::{Code, Rejection},
    sealed::{RejectedEvent, SealedBatch, SealedEvent},
};
use crate::{catalogue, time};

/// What is known of a request apart from its body.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    pub account_id: String,
    /// Epoch milliseconds, by our clock.
    pub received_at: i64,
    /// Events that bring no id get one made of this and their place: the same seed and time, the same ids. Random, or
    /// derived from the client's idempotency key.
    pub seed: [u8; 10],
    pub ip: String,
    pub user_agent: String,
    pub locale: String,
    /// Events older than this many days are refused.
    pub retention_days: u32,
}

/// The judgement on a request's events.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The accepted events, enriched, and the rejected ones, each with its first reason.
    pub batch: SealedBatch<'a>,
    /// Everything wrong, by place in the request.
    pub rejections: Vec<(usize, Vec<Rejection>)>,
}

/// Judges each event by itself: the good ones are accepted whatever the others are.
#[must_use]
pub fn accept<'a>(drafts: &Drafts<'a>, arrival: &'a Arrival) -> Outcome<'a> {
    let rules = Rules::new(arrival, drafts.sent_at);
    let mut batch = SealedBatch {
        batch_id: Cow::Owned(rules.id(u32::MAX)),
        account_id: Cow::Borrowed(&arrival.account_id),
        received_at: arrival.received_at,
        clock_skew_ms: rules.clock_skew_ms,
        ip: Cow::Borrowed(&arrival.ip),
        user_agent: Cow::Borrowed(&arrival.user_agent),
        locale: Cow::Borrowed(&arrival.locale),
        events: Vec::with_capacity(drafts.events.len()),
        rejected: Vec::new(),
    };
    let mut rejections = Vec::new();
    for (draft, position) in drafts.events.iter().zip(0_u32..) {
        match rules.judge(draft, position) {
            Ok(event) => batch.events.push(event),
            Err(reasons) => {
                batch.rejected.extend(reasons.first().map(|first| rejected(draft, position, first)));
                rejections.push((position as usize, reasons));
            }
        }
    }
    Outcome { batch, rejections }
}

fn rejected<'a>(draft: &Draft<'a>, position: u32, reason: &Rejection) -> RejectedEvent<'a> {
    let name = draft.fields[1].and_then(|raw| text(raw).ok()).unwrap_or_default();
    RejectedEvent {
        position,
        code: reason.code,
        pointer: Cow::Owned(reason.pointer.clone()),
        detail: Cow::Owned(reason.detail.clone()),
        event_name: Cow::Owned(name.chars().take(limits::NAME_CHARS).collect()),
        event: Cow::Owned(draft.excerpt()),
    }
}

struct Rules<'r> {
    arrival: &'r Arrival,
    clock_skew_ms: Option<i64>,
    sent_at_problem: Option<Rejection>,
    oldest: i64,
    newest: i64,
}

impl<'r> Rules<'r> {
    fn new(arrival: &'r Arrival, sent_at: Option<&RawValue>) -> Self {
        let sent_at = sent_at.filter(|raw| raw.get() != "null").map(|raw| read_time(raw, "/sentAt"));
        let (sent_at, sent_at_problem) = match sent_at {
            None => (None, None),
            Some(Ok(millis)) => (Some(millis), None),
            Some(Err(problem)) => (None, Some(problem)),
        };
        Self {
            arrival,
            clock_skew_ms: sent_at.map(|millis| arrival.received_at - millis),
            sent_at_problem,
            oldest: arrival.received_at - i64::from(arrival.retention_days) * 86_400_000,
            newest: arrival.received_at + limits::FUTURE_MILLIS,
        }
    }

    /// A version 7 UUID of the time of arrival: the same seed and place give the same id.
    fn id(&self, position: u32) -> String {
        let mut random = self.arrival.seed;
        for (byte, place) in random[6..].iter_mut().zip(position.to_be_bytes()) {
            *byte ^= place;
        }
        let millis = u64::try_from(self.arrival.received_at).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
    }

    fn judge<'a>(&self, draft: &Draft<'a>, position: u32) -> Result<SealedEvent<'a>, Vec<Rejection>> {
        let whole = |code, detail: String| Err(vec![Rejection::new(code, "", detail)]);
        match draft.broken.as_deref() {
            Some(Broken::NotAnObject(what)) => {
                return whole(Code::InvalidType, format!("an event is a JSON object, this is {what}"));
            }
            Some(Broken::NotJson { why, .. }) => {
                return whole(Code::InvalidJson, format!("the line is not valid JSON: {why}"));
            }
            None => {}
        }
        if draft.size() > limits::EVENT_BYTES {
            return whole(Code::TooLarge, format!("an event has at most {} bytes", limits::EVENT_BYTES));
        }
        let [event_type, event_name, event_id, timestamp, session_id, user_id, properties, _] = draft.fields;
        let mut problems = Problems(Vec::new());
        problems.0.extend(self.sent_at_problem.clone());
        if let Some(name) = draft.unknown.as_deref() {
            problems.0.push(unknown_field(name));
        }
        let event_name = problems.take(name(event_name, "/eventName")).flatten();
        if event_name.is_none() && problems.0.iter().all(|problem| problem.pointer != "/eventName") {
            problems.0.push(Rejection::new(Code::Required, "/eventName", "an event needs a name"));
        }
        let event_name = event_name.unwrap_or_default();
        let event_type = problems.take(name(event_type, "/eventType")).flatten();
        let event_id = problems.take(name(event_id, "/eventId"));
        let timestamp = problems.take(optional(timestamp).map(|raw| read_time(raw, "/timestamp")).transpose());
        let session_id = problems.take(name(session_id, "/sessionId")).flatten();
        let user_id = problems.take(name(user_id, "/userId")).flatten();
        let properties = problems.take(read_properties(properties)).unwrap_or("{}");
        let timestamp = match (&event_id, timestamp) {
            (Some(event_id), Some(timestamp)) => problems.take(self.time(event_id.as_deref(), timestamp)),
            _ => None,
        };
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        Ok(SealedEvent {
            position,
            timestamp: timestamp.unwrap_or(self.arrival.received_at),
            event_type: event_type.unwrap_or_else(|| Cow::Borrowed(catalogue::type_of(&event_name))),
            event_name,
            event_id: event_id.flatten().unwrap_or_else(|| Cow::Owned(self.id(position))),
            session_id: session_id.unwrap_or_default(),
            user_id: user_id.unwrap_or_default(),
            properties,
        })
    }

    /// When the event happened. An event that brings an id must bring a time too, in itself or in its id: if the time
    /// were ours, the same event sent again would be another one.
    fn time(&self, event_id: Option<&str>, timestamp: Option<i64>) -> Result<i64, Rejection> {
        let Some(millis) = timestamp.or_else(|| time_of_uuid(event_id?)) else {
            return if event_id.is_none() {
                Ok(self.arrival.received_at)
            } else {
                Err(Rejection::new(
                    Code::TimestampRequired,
                    "/timestamp",
                    "an event with an eventId needs its timestamp too, or a version 7 UUID as eventId: \
                     without it the same event sent again could not be told from another one",
                ))
            };
        };
        if millis > self.newest {
            let mut detail = format!(
                "the time is {} ahead of ours; at most {} is taken",
                time::humanize(millis - self.arrival.received_at),
                time::humanize(limits::FUTURE_MILLIS)
            );
            if let Some(skew @ ..=-60_000) = self.clock_skew_ms {
                let ahead = time::humanize(skew);
                detail += &format!(". By sentAt, the sender's clock is {ahead} ahead: set it right");
            }
            return Err(Rejection::new(Code::TimestampInFuture, "/timestamp", detail));
        }
        if millis < self.oldest {
            let detail = format!("events are kept for {} days, this one is older", self.arrival.retention_days);
            return Err(Rejection::new(Code::TimestampTooOld, "/timestamp", detail));
        }
        Ok(millis)
    }
}

/// Gathers what is wrong, so that an answer names all of it at once.
struct Problems(Vec<Rejection>);

impl Problems {
    fn take<T>(&mut self, result: Result<T, Rejection>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }
}

fn unknown_field(name: &str) -> Rejection {
    let detail = match name {
        "accountId" => "the account comes from the token, not from the event".to_owned(),
        _ => {
            let is_close = |field: &&&str| field.eq_ignore_ascii_case(&name.replace(['_', '-'], ""));
            match FIELDS.iter().find(is_close) {
                Some(field) => format!("events have no such field; {field} is meant?"),
                None => format!("events have the fields {}; anything else belongs in properties", FIELDS.join(", ")),
            }
        }
    };
    let name: String = name.chars().take(limits::NAME_CHARS).collect();
    Rejection::new(Code::UnknownField, format!("/{}", super::rejection::pointer_segment(&name)), detail)
}

fn optional(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// The text of a JSON string; what it is instead, if it is none.
fn text(raw: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    let json = raw.get();
    match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(Cow::Borrowed(&json[1..json.len() - 1])),
        [b'"', ..] => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|_| Rejection::new(Code::InvalidString, "", "the string is not valid Unicode")),
        other => {
            let what = match other.first() {
                Some(b'{') => "an object",
                Some(b'[') => "an array",
                Some(b't' | b'f') => "a boolean",
                _ => "a number",
            };
            Err(Rejection::new(Code::InvalidType, "", format!("must be a string, this is {what}")))
        }
    }
}

/// What nearly every name and id is: a short string of visible ASCII without escapes, of which there is nothing more to
/// check.
fn plain_text(json: &str) -> Option<&str> {
    let [b'"', inner @ .., b'"'] = json.as_bytes() else { return None };
    let is_short = (1..=limits::NAME_CHARS).contains(&inner.len());
    // Without an early end, this is a few vector instructions.
    let is_plain = inner.iter().fold(true, |plain, &byte| plain & byte.is_ascii_graphic() & (byte != b'\\'));
    (is_short && is_plain).then(|| &json[1..json.len() - 1])
}

/// A name or an id: absent or null, or a string that a person could have meant.
fn name<'a>(raw: Option<&'a RawValue>, pointer: &str) -> Result<Option<Cow<'a, str>>, Rejection> {
    let Some(raw) = optional(raw) else { return Ok(None) };
    if let Some(plain) = plain_text(raw.get()) {
        return Ok(Some(Cow::Borrowed(plain)));
    }
    let text = text(raw).map_err(|problem| Rejection { pointer: pointer.to_owned(), ..problem })?;
    if text.trim().is_empty() {
        return Err(Rejection::new(Code::Empty, pointer, "must not be empty"));
    }
    if text.len() > limits::NAME_CHARS && text.chars().count() > limits::NAME_CHARS {
        let detail = format!("has at most {} characters", limits::NAME_CHARS);
        return Err(Rejection::new(Code::TooLong, pointer, detail));
    }
    if text.chars().any(char::is_control) {
        return Err(Rejection::new(Code::InvalidCharacter, pointer, "must not hold control characters"));
    }
    Ok(Some(text))
}

fn read_time(raw: &RawValue, pointer: &str) -> Result<i64, Rejection> {
    let said = match text(raw) {
        Ok(text) => text,
        // A number stands for itself; anything else is no time.
        Err(_) => Cow::Borrowed(raw.get()),
    };
    time::parse(&said).ok_or_else(|| {
        let code = if raw.get().starts_with(['{', '[', 't', 'f']) { Code::InvalidType } else { Code::InvalidTimestamp };
        Rejection::new(code, pointer, format!("must be {}", time::FORMATS))
    })
}

fn read_properties(raw: Option<&RawValue>) -> Result<&str, Rejection> {
    let Some(raw) = optional(raw) else { return Ok("{}") };
    if !raw.get().starts_with('{') {
        return Err(Rejection::new(Code::InvalidType, "/properties", "must be an object of names and values"));
    }
    properties::check(raw.get())?;
    Ok(raw.get())
}

fn time_of_uuid(event_id: &str) -> Option<i64> {
    let uuid = Uuid::try_parse(event_id).ok().filter(|uuid| uuid.get_version_num() == 7)?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1_000 + u64::from(nanos) / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{BodyError, open, parse_batch, parse_lines, parse_single, seal};

    const NOW: i64 = 1_795_512_600_000;

    fn arrival() -> Arrival {
        Arrival { account_id: "demo".into(), received_at: NOW, retention_days: 400, ..Arrival::default() }
    }

    /// The one thing that is wrong with a batch's only event: code and pointer.
    fn only(event: &str) -> (Code, String) {
        let body = format!("[{event}]");
        let drafts = parse_batch(body.as_bytes()).expect("the batch as such is fine");
        let arrival = arrival();
        let mut outcome = accept(&drafts, &arrival);
        assert!(outcome.batch.events.is_empty());
        let (_, reasons) = outcome.rejections.remove(0);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        (reasons[0].code, reasons[0].pointer.clone())
    }

    #[test]
    fn accepts_the_good_and_names_what_is_wrong_with_each_bad_event() {
        let body = r#"{"sentAt":"2026-11-24T09:29:58Z","events":[
            {"eventName":"message_sent","properties":{"text":"限时"},"timestamp":1795512000000,"eventId":"a"},
            {"eventName":7,"timestamp":"yesterday"}, 5,
            {"eventType":"webinar","eventName":"attended \u00e9"}]}"#;
        let (drafts, arrival) = (parse_batch(body.as_bytes()).expect("is a batch"), arrival());
        let outcome = accept(&drafts, &arrival);
        assert_eq!(outcome.batch.clock_skew_ms, Some(2_000));
        let accepted: Vec<_> =
            outcome.batch.events.iter().map(|e| (e.position, &*e.event_type, &*e.event_name)).collect();
        assert_eq!(accepted, [(0, "message", "message_sent"), (3, "webinar", "attended é")]);
        assert_eq!(outcome.batch.events[1].timestamp, NOW);
        let places: Vec<_> = outcome.rejections.iter().map(|(place, reasons)| (*place, reasons.len())).collect();
        assert_eq!(places, [(1, 2), (2, 1)]);
        assert_eq!(outcome.batch.rejected[0].event, r#"{"eventName":7,"timestamp":"yesterday"}"#);
        let messages = seal(outcome.batch.clone()).expect("seals");
        let bytes = open(&messages[0]).expect("opens");
        assert_eq!(SealedBatch::from_bytes(&bytes).expect("reads"), outcome.batch);
    }

    #[test]
    fn refuses_each_kind_of_bad_event_with_its_code_and_place() {
        use Code::*;
        let long = "я".repeat(129);
        let huge = "x".repeat(33 * 1024);
        let deep = format!(r#"{{"eventName":"a","properties":{{"d":{}{}}}}}"#, "[".repeat(99), "]".repeat(99));
        for (event, code, pointer) in [
            ("[]".to_owned(), InvalidType, ""),
            ("null".to_owned(), InvalidType, ""),
            ("{}".to_owned(), Required, "/eventName"),
            (r#"{"eventName":"  "}"#.to_owned(), Empty, "/eventName"),
            (r#"{"eventName":"a\u0000"}"#.to_owned(), InvalidCharacter, "/eventName"),
            (format!(r#"{{"eventName":"{long}"}}"#), TooLong, "/eventName"),
            (format!(r#"{{"eventName":"a","properties":{{"t":"{huge}"}}}}"#), TooLarge, ""),
            (deep, TooDeep, "/properties/d"),
            (r#"{"eventName":"a","properties":[1]}"#.to_owned(), InvalidType, "/properties"),
            (r#"{"eventName":"a","properties":{"n":1e999}}"#.to_owned(), NumberOutOfRange, "/properties/n"),
            (r#"{"eventName":"a","eventId":5}"#.to_owned(), InvalidType, "/eventId"),
            (r#"{"eventName":"a","eventId":"x"}"#.to_owned(), TimestampRequired, "/timestamp"),
            (r#"{"eventName":"a","timestamp":"24.11.2026"}"#.to_owned(), InvalidTimestamp, "/timestamp"),
            (r#"{"eventName":"a","timestamp":true}"#.to_owned(), InvalidType, "/timestamp"),
            (r#"{"eventName":"a","timestamp":1795516200001}"#.to_owned(), TimestampInFuture, "/timestamp"),
            (r#"{"eventName":"a","timestamp":"2020-01-01T00:00:00Z"}"#.to_owned(), TimestampTooOld, "/timestamp"),
            (r#"{"eventName":"a","event_name":"b"}"#.to_owned(), UnknownField, "/event_name"),
            (r#"{"eventName":"a","accountId":"other"}"#.to_owned(), UnknownField, "/accountId"),
        ] {
            assert_eq!(only(&event), (code, pointer.to_owned()), "{event}");
        }
    }

    #[test]
    fn takes_the_time_of_an_event_from_a_version_7_uuid() {
        let id = uuid::Builder::from_unix_timestamp_millis(NOW.unsigned_abs() - 5_000, &[7; 10]).into_uuid();
        let body = format!(r#"{{"eventName":"a","eventId":"{id}"}}"#);
        let (drafts, arrival) = (parse_single(body.as_bytes()).expect("is an event"), arrival());
        assert_eq!(accept(&drafts, &arrival).batch.events[0].timestamp, NOW - 5_000);
    }

    #[test]
    fn gives_the_same_ids_for_the_same_seed_and_different_ones_for_each_place() {
        let body = r#"[{"eventName":"a"},{"eventName":"a"}]"#;
        let drafts = parse_batch(body.as_bytes()).expect("is a batch");
        let ids = |seed| {
            let arrival = Arrival { seed, ..arrival() };
            let events = accept(&drafts, &arrival).batch.events;
            events.iter().map(|event| event.event_id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids([1; 10]), ids([1; 10]));
        assert_ne!(ids([1; 10]), ids([2; 10]));
        assert_ne!(ids([1; 10])[0], ids([1; 10])[1]);
        assert_eq!(time_of_uuid(&ids([1; 10])[0]), Some(NOW));
    }

    #[test]
    fn tells_bodies_that_are_no_batch_apart() {
        let batch = |body: &str| parse_batch(body.as_bytes()).map(|drafts| drafts.events.len());
        assert_eq!(batch("[]"), Err(BodyError::Empty));
        assert_eq!(batch(&format!("[{}{{}}]", "{},".repeat(2_000))), Err(BodyError::TooManyEvents));
        assert_eq!(batch(&format!("[{}{{}}]", "{},".repeat(1_999))), Ok(2_000));
        for body in ["{}", "5", r#"{"events":5}"#, r#"{"event":[]}"#] {
            assert!(matches!(batch(body), Err(BodyError::Shape(_))), "{body}");
        }
        for body in ["", "[", r#"{"events":[{"a":NaN}]}"#, "[{}] x", r#"[{"eventName":"a"},{"eventName" "b"}]"#] {
            assert!(matches!(batch(body), Err(BodyError::Json(_))), "{body}");
        }
        assert_eq!(parse_batch(b"[\"\xff\"]").err(), Some(BodyError::Utf8(2)));
    }

    #[test]
    fn a_broken_line_is_one_bad_event() {
        let body = b"{\"eventName\":\"a\"}\r\n{broken\n\n\xff\n{\"eventName\":\"b\"}";
        let (drafts, arrival) = (parse_lines(body).expect("are lines"), arrival());
        let outcome = accept(&drafts, &arrival);
        assert_eq!(outcome.batch.events.len(), 2);
        assert!(outcome.rejections.iter().all(|(_, reasons)| reasons[0].code == Code::InvalidJson));
        assert_eq!(outcome.batch.rejected[0].event, "{broken");
    }
}
