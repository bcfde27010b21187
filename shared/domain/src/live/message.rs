//! What clients say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{STREAMS, Stream, Subscription};
use crate::{
    metric::{Filter, QUERIES, QueryDraft, check_path, read_filter},
    text::nfc,
    time::EpochMillis,
};

/// Bytes of a client's message. The gateway takes 128 KB, in frames of 32 KB; nothing that can be asked for needs as many.
const LONGEST: usize = 16 * 1024;
/// Bytes of a subscription as it is kept. Twenty of them, with all else that is kept of a connection, fit one item of the table.
const KEPT: usize = 16 * 1024;
/// Names and fields that a subscription may list.
const LISTED: usize = 50;

/// What a client wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// To all of these or none; numbers that come first are asked first.
    Subscribe(Vec<(Stream, Subscription)>),
    Unsubscribe(Stream),
    /// Another token, before the one that is used ends.
    Auth(String),
    Ping,
}

/// A message that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    pub code: &'static str,
    pub detail: String,
}

impl MessageError {
    #[must_use]
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl Action {
    /// Reads a client's message: an object whose `action` is `subscribe`, `unsubscribe`, `auth` or `ping`.
    ///
    /// # Errors
    /// Says what it lacks.
    pub fn from_json(text: &str, now: EpochMillis) -> Result<Self, MessageError> {
        if text.len() > LONGEST {
            let detail = format!("a message has at most {LONGEST} bytes, this one has {}", text.len());
            return Err(MessageError::new("message_too_large", detail));
        }
        let Ok(Value::Object(message)) = serde_json::from_str(text) else {
            return Err(MessageError::new("invalid_json", "a message is a JSON object with an action"));
        };
        match message.get("action").and_then(Value::as_str) {
            Some("subscribe") if message.contains_key("streams") => {
                known(&message, &["action", "streams"])?;
                several(&message["streams"], now).map(Self::Subscribe)
            }
            Some("subscribe") => Ok(Self::Subscribe(vec![one(&message, now)?])),
            Some("unsubscribe") => {
                known(&message, &["action", "stream"])?;
                stream(&message).map(Self::Unsubscribe)
            }
            Some("auth") => {
                known(&message, &["action", "token"])?;
                let token = message.get("token").and_then(Value::as_str);
                let token = token.ok_or_else(|| MessageError::new("token_missing", "auth needs a token"))?;
                Ok(Self::Auth(token.to_owned()))
            }
            Some("ping") => Ok(Self::Ping),
            _ => Err(MessageError::new("unknown_action", "action is one of subscribe, unsubscribe, auth, ping")),
        }
    }
}

fn one(message: &Map<String, Value>, now: EpochMillis) -> Result<(Stream, Subscription), MessageError> {
    let stream = stream(message)?;
    let subscription = match stream {
        Stream::Analytics => to_events(message, now)?,
        Stream::Metric(_) => to_numbers(message, &[], now)?,
        Stream::Query(_) => Subscription { queries: queries(message)?, ..to_numbers(message, &["queries"], now)? },
    };
    let kept = serde_json::to_string(&subscription).map_or(usize::MAX, |json| json.len());
    if kept > KEPT {
        let detail =
            format!("what {stream} asks for takes {kept} bytes, of {KEPT} at most: ask for less in one stream");
        return Err(MessageError::new("subscription_too_large", detail));
    }
    Ok((stream, subscription))
}

/// Several in one message, each as in a message of its own but without `action`.
fn several(list: &Value, now: EpochMillis) -> Result<Vec<(Stream, Subscription)>, MessageError> {
    let list = list.as_array().filter(|list| (1..=STREAMS).contains(&list.len()));
    let error = || MessageError::new("invalid_list", format!("streams must be a list of 1 to {STREAMS} objects"));
    let read = |(place, item): (usize, &Value)| {
        let item = item.as_object().filter(|item| !item.contains_key("action")).ok_or_else(error)?;
        let name =
            |problem: MessageError| MessageError { detail: format!("/streams/{place}: {}", problem.detail), ..problem };
        one(item, now).map_err(name)
    };
    let all = list.ok_or_else(error)?.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut seen = BTreeSet::new();
    match all.iter().find(|(stream, _)| !seen.insert(stream)) {
        Some((stream, _)) => Err(MessageError::new("duplicate", format!("{stream} is there twice"))),
        None => Ok(all),
    }
}

fn known(message: &Map<String, Value>, fields: &[&str]) -> Result<(), MessageError> {
    match message.keys().find(|name| !fields.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(MessageError::new("unknown_field", format!("{name} is not one of {}", fields.join(", ")))),
    }
}

fn stream(message: &Map<String, Value>) -> Result<Stream, MessageError> {
    let stream = message.get("stream").and_then(Value::as_str).unwrap_or_default();
    stream.parse().map_err(|detail| MessageError::new("unknown_stream", detail))
}

fn since_seq(message: &Map<String, Value>) -> Result<Option<i64>, MessageError> {
    match message.get("sinceSeq") {
        None | Some(Value::Null) => Ok(None),
        Some(seq) => {
            seq.as_i64().map(Some).ok_or_else(|| MessageError::new("invalid_seq", "sinceSeq must be a seq of ours"))
        }
    }
}

/// What they mean is found out when they are asked.
fn queries(message: &Map<String, Value>) -> Result<Vec<Value>, MessageError> {
    let list = message.get("queries").and_then(Value::as_array).filter(|list| (1..=QUERIES).contains(&list.len()));
    let error =
        || MessageError::new("invalid_list", format!("queries must be a list of 1 to {QUERIES} formulas or metrics"));
    list.cloned().ok_or_else(error)
}

fn to_numbers(message: &Map<String, Value>, more: &[&str], now: EpochMillis) -> Result<Subscription, MessageError> {
    // A range that does not move along has no use for being watched.
    let parts = || QueryDraft::NAMES.into_iter().filter(|name| !matches!(*name, "from" | "to"));
    let fields: Vec<&str> =
        ["action", "stream", "sinceSeq"].into_iter().chain(parts()).chain(more.iter().copied()).collect();
    known(message, &fields)?;
    let mut query = QueryDraft::default();
    for name in parts() {
        if name == "groupBy" && message.get(name).is_some_and(Value::is_array) {
            query.group_by = texts(message, "groupBy")?;
            continue;
        }
        let value = match message.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(MessageError::new("invalid_value", format!("{name} must be a string"))),
        };
        query.set(name, &value);
    }
    // When it is asked, the days that are kept are known.
    let settled = query.clone().read(now).and_then(|window| window.settle(1, now, i64::from(u16::MAX)));
    if let Err(errors) = settled {
        let (code, details) = (errors.first().map_or("invalid_value", |error| error.code), errors.iter());
        let details: Vec<String> = details.map(|error| format!("{}: {}", error.parameter, error.detail)).collect();
        return Err(MessageError::new(code, details.join("; ")));
    }
    Ok(Subscription { query, since_seq: since_seq(message)?, ..Subscription::whole(now) })
}

fn to_events(message: &Map<String, Value>, now: EpochMillis) -> Result<Subscription, MessageError> {
    known(message, &["action", "stream", "filter", "eventNames", "fields", "sinceSeq"])?;
    let filter = match message.get("filter") {
        None | Some(Value::Null) => Filter::EVERYTHING,
        Some(Value::String(text)) => {
            read_filter(text).map_err(|(code, detail)| MessageError::new(code, format!("filter: {detail}")))?
        }
        Some(_) => return Err(MessageError::new("invalid_filter", "filter must be a string")),
    };
    let fields = texts(message, "fields")?;
    for field in &fields {
        let path = field.strip_prefix("properties.");
        let is_known =
            super::shown::FIELDS.contains(&field.as_str()) || path.is_some_and(|path| check_path(path).is_ok());
        if !is_known {
            let detail = format!(
                "{field} is no field of an event: {}, or properties. and a path",
                super::shown::FIELDS.join(", ")
            );
            return Err(MessageError::new("unknown_field", detail));
        }
    }
    let event_names = texts(message, "eventNames")?;
    Ok(Subscription { filter, event_names, fields, since_seq: since_seq(message)?, ..Subscription::whole(now) })
}

/// Names, in the form that events are kept in.
fn texts(message: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, MessageError> {
    let error = || MessageError::new("invalid_list", format!("{name} must be a list of up to {LISTED} strings"));
    match message.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= LISTED => {
            items.iter().map(|item| item.as_str().map(|text| nfc(text).into_owned()).ok_or_else(error)).collect()
        }
        Some(_) => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Action, MessageError> {
        Action::from_json(text, 1_795_512_600_000)
    }

    #[test]
    fn fields_of_the_event_as_users_know_it_can_be_named() {
        let fields = ["accountId", "context", "context.ip", "context.userAgent", "context.locale", "properties.a.b"];
        let message = serde_json::json!({"action": "subscribe", "stream": "analytics", "fields": fields});
        let Ok(Action::Subscribe(streams)) = read(&message.to_string()) else { panic!("{message} is refused") };
        assert_eq!(streams[0].1.fields, fields);
        for field in ["ip", "context.", "context.port", "account"] {
            let message = serde_json::json!({"action": "subscribe", "stream": "analytics", "fields": [field]});
            assert_eq!(read(&message.to_string()).map_err(|error| error.code), Err("unknown_field"), "{field}");
        }
    }

    #[test]
    fn names_match_events_however_their_characters_are_composed() {
        let subscription = |message: Value| {
            let Ok(Action::Subscribe(mut streams)) = read(&message.to_string()) else { panic!("{message} is refused") };
            streams.remove(0).1
        };
        let events = subscription(serde_json::json!({
            "action": "subscribe", "stream": "analytics",
            "eventNames": ["cafe\u{301}"], "fields": ["properties.cafe\u{301}"],
        }));
        assert_eq!(events.event_names, ["caf\u{e9}"]);
        assert_eq!(events.fields, ["properties.caf\u{e9}"]);
        let numbers = serde_json::json!({"action": "subscribe", "stream": "metrics/ctr", "groupBy": ["cafe\u{301}"]});
        assert_eq!(subscription(numbers).query.group_by, ["caf\u{e9}"]);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_with_the_limit() {
        let message = |length: usize| format!("{{\"action\":\"ping\",\"pad\":\"{}\"}}", "x".repeat(length - 26));
        assert_eq!(message(LONGEST).len(), LONGEST);
        assert_eq!(read(&message(LONGEST)), Ok(Action::Ping));
        let error = read(&message(100_000)).expect_err("is too large");
        assert_eq!(error.code, "message_too_large");
        assert!(error.detail.contains("16384") && error.detail.contains("100000"), "{}", error.detail);
    }

    #[test]
    fn what_is_kept_of_a_subscription_is_bounded() {
        let tests: Vec<String> = (0..1_000).map(|number| format!("a={number}")).collect();
        let message =
            serde_json::json!({"action": "subscribe", "stream": "analytics", "filter": tests.join(" or ")}).to_string();
        assert!(message.len() < LONGEST);
        match read(&message) {
            Err(error) => assert!(!error.detail.is_empty()),
            Ok(Action::Subscribe(streams)) => {
                let kept = serde_json::to_string(&streams[0].1).expect("is JSON").len();
                assert!(kept <= KEPT, "{kept} bytes");
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
}
