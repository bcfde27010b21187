//! Judges and enriches the events of one request: the rules an event must keep, and what is added to it.

use std::borrow::Cow;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    context,
    draft::{Broken, Draft, Drafts, FIELDS},
    fields::{id, moment, name, optional, text},
    limits,
    names::Unknown,
    normal::nfc_cow,
    properties,
    rejection::{Code, Rejection},
    sealed::{OwnContext, RejectedEvent, SealedBatch, SealedEvent},
};
use crate::{account::AccountId, catalogue, text::nfc, time};

/// Said of an event with U+FFFD in a body that may have been damaged on its way.
const DAMAGED: &str = "holds U+FFFD, which a gateway puts in the place of bytes that are not UTF-8: encode the text as \
                       UTF-8. If the character is meant, write it as \\ufffd, or send the body with Content-Type: \
                       application/x-ndjson or application/gzip, which arrives as it was sent";

/// What is known of a request apart from its body.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub account_id: AccountId,
    /// Epoch milliseconds, by our clock.
    pub received_at: i64,
    /// Events that bring no id get one made of this and their place: the same seed and time, the same ids. Random, or
    /// derived from the client's idempotency key.
    pub seed: [u8; 10],
    pub ip: String,
    pub user_agent: String,
    pub locale: String,
    /// The body came as text, so that whatever was not UTF-8 in it may have been replaced on its way.
    pub is_text: bool,
    /// Events older than this many days are refused.
    pub retention_days: u32,
}

impl Arrival {
    /// A request of which nothing else is known.
    #[must_use]
    pub const fn new(account_id: AccountId, received_at: i64, retention_days: u32) -> Self {
        Self {
            account_id,
            received_at,
            seed: [0; 10],
            ip: String::new(),
            user_agent: String::new(),
            locale: String::new(),
            is_text: false,
            retention_days,
        }
    }
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
    let rules = Rules::new(arrival, drafts);
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
    // Room for the names of an event's properties, used again for each.
    let mut names = Vec::new();
    for (draft, position) in drafts.events.iter().zip(0_u32..) {
        match rules.judge(draft, position, &mut names) {
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
    let name = draft.fields[1].and_then(|raw| text(raw).ok()).map(nfc_cow).unwrap_or_default();
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
    /// By the request's `sentAt`.
    clock_skew_ms: Option<i64>,
    is_damaged: bool,
    oldest: i64,
    newest: i64,
}

impl<'r> Rules<'r> {
    fn new(arrival: &'r Arrival, drafts: &Drafts) -> Self {
        Self {
            arrival,
            clock_skew_ms: drafts.sent_at.map(|millis| arrival.received_at - millis),
            is_damaged: drafts.is_damaged,
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

    fn judge<'a>(
        &self,
        draft: &Draft<'a>,
        position: u32,
        names: &mut Vec<&'a str>,
    ) -> Result<SealedEvent<'a>, Vec<Rejection>> {
        self.check_whole(draft).map_err(|problem| vec![problem])?;
        let [
            event_type,
            event_name,
            event_id,
            timestamp,
            session_id,
            user_id,
            properties,
            sent_at,
            account_id,
            context,
        ] = draft.fields;
        let mut problems = Problems(Vec::new());
        problems.0.extend(draft.unknown.as_ref().map(unknown_field));
        problems.take(self.check_account(account_id));
        let event_name = problems.take(name(event_name, "/eventName")).flatten();
        if event_name.is_none() && problems.0.iter().all(|problem| problem.pointer != "/eventName") {
            problems.add(Rejection::new(Code::Required, "/eventName", "an event needs a name"));
        }
        let event_name = event_name.unwrap_or_default();
        let event_type = problems.take(name(event_type, "/eventType")).flatten();
        let event_id = problems.take(id(event_id, "/eventId"));
        let timestamp = problems.take(optional(timestamp).map(|raw| moment(raw, "/timestamp")).transpose());
        let session_id = problems.take(id(session_id, "/sessionId")).flatten();
        let user_id = problems.take(id(user_id, "/userId")).flatten();
        let properties = problems.take(read_properties(properties, names)).unwrap_or_default();
        let own_context = self.own_context(context, sent_at, &mut problems);
        let clock_skew_ms = own_context.as_ref().and_then(|own| own.clock_skew_ms).or(self.clock_skew_ms);
        let timestamp = match (&event_id, timestamp) {
            (Some(event_id), Some(timestamp)) => {
                problems.take(self.time(event_id.as_deref(), timestamp, clock_skew_ms))
            }
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
            own_context,
        })
    }

    /// What makes an event unusable as a whole, so that its fields need not be looked at.
    fn check_whole(&self, draft: &Draft) -> Result<(), Rejection> {
        let (code, pointer, detail) = match draft.broken.as_deref() {
            Some(Broken::NotAnObject(what)) => {
                (Code::InvalidType, String::new(), format!("an event is a JSON object, this is {what}"))
            }
            Some(Broken::NotJson { why, .. }) => {
                (Code::InvalidJson, String::new(), format!("the line is not valid JSON: {why}"))
            }
            None if draft.size() > limits::EVENT_BYTES => {
                (Code::TooLarge, String::new(), format!("an event has at most {} bytes", limits::EVENT_BYTES))
            }
            None => match self.is_damaged.then(|| draft.damaged_field()).flatten() {
                Some(field) => (Code::InvalidUtf8, format!("/{field}"), DAMAGED.to_owned()),
                None => return Ok(()),
            },
        };
        Err(Rejection::new(code, pointer, detail))
    }

    fn check_account(&self, raw: Option<&RawValue>) -> Result<(), Rejection> {
        match id(raw, "/accountId")? {
            Some(account_id) if account_id != nfc(&self.arrival.account_id) => {
                let detail = format!("the token belongs to the account \"{}\"", self.arrival.account_id);
                Err(Rejection::new(Code::AccountMismatch, "/accountId", detail))
            }
            _ => Ok(()),
        }
    }

    /// What the event says of its sender and its sender's clock, where that is not what the request says.
    fn own_context<'a>(
        &self,
        context: Option<&'a RawValue>,
        sent_at: Option<&RawValue>,
        problems: &mut Problems,
    ) -> Option<Box<OwnContext<'a>>> {
        if context.is_none() && sent_at.is_none() {
            return None;
        }
        let mut own = context::read(context, problems);
        let of_request = [&self.arrival.ip, &self.arrival.user_agent, &self.arrival.locale];
        for (value, of_request) in [&mut own.ip, &mut own.user_agent, &mut own.locale].into_iter().zip(of_request) {
            if value == of_request {
                *value = Cow::Borrowed("");
            }
        }
        let sent_at = problems.take(optional(sent_at).map(|raw| moment(raw, "/sentAt")).transpose()).flatten();
        let skew = sent_at.map(|millis| self.arrival.received_at - millis);
        own.clock_skew_ms = skew.filter(|_| skew != self.clock_skew_ms);
        (own != OwnContext::default()).then(|| Box::new(own))
    }

    /// When the event happened. An event that brings an id must bring a time too, in itself or in its id: if the time
    /// were ours, the same event sent again would be another one.
    fn time(
        &self,
        event_id: Option<&str>,
        timestamp: Option<i64>,
        clock_skew_ms: Option<i64>,
    ) -> Result<i64, Rejection> {
        let Some(millis) = timestamp.or_else(|| time_of_uuid(event_id?)) else {
            return if event_id.is_none() {
                Ok(self.arrival.received_at)
            } else {
                Err(Rejection::new(
                    Code::TimestampRequired,
                    "/timestamp",
                    "send timestamp with eventId, or a version 7 UUID as eventId: otherwise a retry would be a second event",
                ))
            };
        };
        if millis > self.newest {
            let mut detail = format!(
                "the time is {} ahead of ours; at most {} is taken",
                time::humanize(millis - self.arrival.received_at),
                time::humanize(limits::FUTURE_MILLIS)
            );
            if let Some(skew @ ..=-60_000) = clock_skew_ms {
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
pub(super) struct Problems(Vec<Rejection>);

impl Problems {
    pub(super) fn take<T>(&mut self, result: Result<T, Rejection>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    pub(super) fn add(&mut self, problem: Rejection) {
        self.0.push(problem);
    }
}

fn unknown_field(unknown: &Unknown) -> Rejection {
    let otherwise = match unknown {
        Unknown::Name(name) if context::FIELDS.contains(&&**name) => "; ip, userAgent and locale belong in context",
        _ => "; anything else belongs in properties",
    };
    unknown.refuse("", "events have", &FIELDS, otherwise)
}

fn read_properties<'a>(raw: Option<&'a RawValue>, names: &mut Vec<&'a str>) -> Result<Cow<'a, str>, Rejection> {
    let Some(raw) = optional(raw) else { return Ok(Cow::Borrowed("{}")) };
    if !raw.get().starts_with('{') {
        return Err(Rejection::new(Code::InvalidType, "/properties", "must be an object of names and values"));
    }
    properties::canonical(raw.get(), names)
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
        Arrival::new(AccountId::stored("demo"), NOW, 400)
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
            (r#"{"eventName":"a","eventId":5.0}"#.to_owned(), InvalidType, "/eventId"),
            (r#"{"eventName":"a","eventId":5}"#.to_owned(), TimestampRequired, "/timestamp"),
            (r#"{"eventName":"a","eventId":"x"}"#.to_owned(), TimestampRequired, "/timestamp"),
            (r#"{"eventName":"a","timestamp":"24.11.2026"}"#.to_owned(), InvalidTimestamp, "/timestamp"),
            (r#"{"eventName":"a","timestamp":true}"#.to_owned(), InvalidType, "/timestamp"),
            (r#"{"eventName":"a","timestamp":1795516200001}"#.to_owned(), TimestampInFuture, "/timestamp"),
            (r#"{"eventName":"a","timestamp":"2020-01-01T00:00:00Z"}"#.to_owned(), TimestampTooOld, "/timestamp"),
            (r#"{"eventName":"a","event_name":"b"}"#.to_owned(), UnknownField, "/event_name"),
            (r#"{"eventName":"a","accountId":"other"}"#.to_owned(), AccountMismatch, "/accountId"),
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
