//! Accepted events as streams show them, and which of them a subscription wants.

use std::{borrow::Cow, cell::OnceCell};

use serde_json::{Map, Value, json};

use super::Subscription;
use crate::{
    event::{SealedBatch, SealedEvent, canonical_number},
    metric::filter::{Comparison, Filter, Literal, Test},
    time,
};

/// The fields that an event is shown with.
pub const FIELDS: [&str; 8] =
    ["eventId", "eventName", "eventType", "timestamp", "receivedAt", "userId", "sessionId", "properties"];

/// An accepted event on its way to those who watch.
pub struct Shown<'b> {
    event: &'b SealedEvent<'b>,
    batch: &'b SealedBatch<'b>,
    properties: OnceCell<Map<String, Value>>,
    whole: OnceCell<String>,
}

impl<'b> Shown<'b> {
    #[must_use]
    pub const fn new(batch: &'b SealedBatch<'b>, event: &'b SealedEvent<'b>) -> Self {
        Self { event, batch, properties: OnceCell::new(), whole: OnceCell::new() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.event.event_name
    }

    /// Whether a subscription asks for it.
    #[must_use]
    pub fn is_wanted(&self, subscription: &Subscription) -> bool {
        let names = &subscription.event_names;
        (names.is_empty() || names.iter().any(|name| *name == self.event.event_name))
            && self.meets(&subscription.filter)
    }

    /// As JSON, with these fields, or all.
    #[must_use]
    pub fn to_json(&self, fields: &[String]) -> String {
        if fields.is_empty() {
            return self.whole.get_or_init(|| self.encode(|_| true, None)).clone();
        }
        let paths: Vec<&str> = fields.iter().filter_map(|field| field.strip_prefix("properties.")).collect();
        let some = (!paths.is_empty()).then(|| {
            let value = |path: &&str| Some(((*path).to_owned(), self.value(path)?.clone()));
            Value::Object(paths.iter().filter_map(value).collect()).to_string()
        });
        self.encode(|name| fields.iter().any(|field| field == name), some)
    }

    /// `some`: properties in the place of all.
    fn encode(&self, has: impl Fn(&str) -> bool, some: Option<String>) -> String {
        let event = self.event;
        let mut out = Map::new();
        let texts = [
            ("eventId", &*event.event_id),
            ("eventName", &*event.event_name),
            ("eventType", &*event.event_type),
            ("userId", &*event.user_id),
            ("sessionId", &*event.session_id),
        ];
        for (name, text) in texts {
            if has(name) && !text.is_empty() {
                out.insert(name.to_owned(), json!(text));
            }
        }
        for (name, moment) in [("timestamp", event.timestamp), ("receivedAt", self.batch.received_at)] {
            if has(name) {
                out.insert(name.to_owned(), json!(time::format(moment)));
            }
        }
        let mut text = Value::Object(out).to_string();
        // They are JSON already.
        let properties = match (&some, has("properties")) {
            (_, true) => Some(event.properties),
            (Some(some), false) => Some(some.as_str()),
            (None, false) => None,
        };
        if let Some(properties) = properties {
            text.pop();
            text += if text.len() > 1 { ",\"properties\":" } else { "\"properties\":" };
            text += properties;
            text.push('}');
        }
        text
    }

    fn properties(&self) -> &Map<String, Value> {
        self.properties.get_or_init(|| serde_json::from_str(self.event.properties).unwrap_or_default())
    }

    /// The value at a path, whose dots go into objects.
    fn value(&self, path: &str) -> Option<&Value> {
        find(self.properties(), path)
    }

    fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        let field = |text: &'b str| (!text.is_empty()).then_some(Cow::Borrowed(text));
        match path {
            "$userId" => field(&self.event.user_id),
            "$sessionId" => field(&self.event.session_id),
            "$eventType" => field(&self.event.event_type),
            "$locale" => field(&self.batch.locale),
            _ => match self.value(path)? {
                Value::String(text) => Some(Cow::Borrowed(text)),
                Value::Number(number) if number.is_f64() => {
                    number.as_f64().map(|number| canonical_number(number).into())
                }
                Value::Number(number) => Some(number.to_string().into()),
                Value::Bool(flag) => Some(flag.to_string().into()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            },
        }
    }

    fn number(&self, path: &str) -> Option<f64> {
        self.value(path)?.as_f64()
    }

    /// As the event store judges it.
    fn meets(&self, filter: &Filter) -> bool {
        match filter {
            Filter::All(parts) => parts.iter().all(|part| self.meets(part)),
            Filter::Any(parts) => parts.iter().any(|part| self.meets(part)),
            Filter::Not(part) => !self.meets(part),
            Filter::Test { path, test } => self.passes(path, test),
        }
    }

    fn passes(&self, path: &str, test: &Test) -> bool {
        match test {
            Test::In(values) => values.iter().any(|value| {
                self.text(path).is_some_and(|text| text == value.text().as_str())
                    || matches!(value, Literal::Number(wanted) if self.number(path) == Some(*wanted))
            }),
            Test::Compare(comparison, value) => {
                let order = match value {
                    Literal::Number(wanted) => self.number(path).and_then(|number| number.partial_cmp(wanted)),
                    other => self.text(path).map(|text| text.as_bytes().cmp(other.text().as_bytes())),
                };
                order.is_some_and(|order| match comparison {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                })
            }
            Test::Contains(part) => {
                self.text(path).is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
            }
            Test::Exists if path.starts_with('$') => self.text(path).is_some(),
            Test::Exists => self.value(path).is_some_and(|value| !value.is_null() && !value.is_object()),
        }
    }
}

/// The value at a path. A name with dots in it counts like the objects that it could stand for.
fn find<'v>(object: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(at, _)| match object.get(&path[..at]) {
        Some(Value::Object(inner)) => find(inner, &path[at + 1..]),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::parse_filter;

    const PROPERTIES: &str =
        r#"{"campaignId":"双11","n":7,"half":0.5,"ok":true,"none":null,"list":[1],"user":{"age":30,"a.b":"x"}}"#;

    fn with(test: impl FnOnce(&Shown<'_>)) {
        let event = SealedEvent {
            position: 0,
            timestamp: 1_795_512_600_000,
            event_type: "message".into(),
            event_name: "message_sent".into(),
            event_id: "e1".into(),
            session_id: "".into(),
            user_id: "u1".into(),
            properties: PROPERTIES,
        };
        let batch = SealedBatch { received_at: 1_795_512_600_005, events: vec![event], ..SealedBatch::default() };
        test(&Shown::new(&batch, &batch.events[0]));
    }

    #[test]
    fn filters_hold_for_what_the_store_would_find() {
        with(|shown| {
            let holds = [
                "campaignId = \"双11\"",
                "n = 7",
                "n = \"7\"",
                "n >= 7 and half < 1",
                "half = 0.5",
                "ok = true",
                "campaignId contains \"双\"",
                "user.age > 29",
                "user.a.b = \"x\"",
                "list exists and not (none exists)",
                "$userId = \"u1\"",
                "not (user exists)",
                "missing != \"x\"",
            ];
            let fails = [
                "n = 8",
                "list = 1",
                "none exists",
                "user exists",
                "$sessionId exists",
                "missing < 3",
                "campaignId < 3",
            ];
            for text in holds {
                assert!(shown.meets(&parse_filter(text).expect(text)), "{text}");
            }
            for text in fails {
                assert!(!shown.meets(&parse_filter(text).expect(text)), "{text}");
            }
        });
    }

    #[test]
    fn an_event_is_shown_whole_or_with_the_fields_asked_for() {
        with(|shown| {
            let whole: Value = serde_json::from_str(&shown.to_json(&[])).expect("is JSON");
            assert_eq!(whole["properties"], serde_json::from_str::<Value>(PROPERTIES).expect("is JSON"));
            assert_eq!((&whole["timestamp"], &whole["sessionId"]), (&json!("2026-11-24T09:30:00.000Z"), &Value::Null));
            let some = shown.to_json(&["eventName".to_owned(), "properties.user.age".to_owned()]);
            let some: Value = serde_json::from_str(&some).expect("is JSON");
            assert_eq!(some, json!({"eventName": "message_sent", "properties": {"user.age": 30}}));
            let one: Value = serde_json::from_str(&shown.to_json(&["properties".to_owned()])).expect("is JSON");
            assert_eq!(one["properties"]["n"], 7);
        });
    }
}
