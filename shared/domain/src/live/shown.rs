//! Accepted events as streams show them.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use crate::{
    event::{SealedBatch, SealedEvent, Tree},
    metric::Filtered,
    time,
};

/// The fields that an event is shown with.
pub const FIELDS: [&str; 13] = [
    "eventId",
    "accountId",
    "eventName",
    "eventType",
    "timestamp",
    "receivedAt",
    "userId",
    "sessionId",
    "context",
    "context.ip",
    "context.userAgent",
    "context.locale",
    "properties",
];

/// An accepted event on its way to those who watch.
pub struct Shown<'b> {
    pub(super) event: &'b SealedEvent<'b>,
    pub(super) batch: &'b SealedBatch<'b>,
    /// Parsed when they are first read.
    properties: OnceCell<Tree>,
}

impl<'b> Shown<'b> {
    #[must_use]
    pub const fn new(batch: &'b SealedBatch<'b>, event: &'b SealedEvent<'b>) -> Self {
        Self { event, batch, properties: OnceCell::new() }
    }

    #[must_use]
    pub fn name(&self) -> &'b str {
        &self.event.event_name
    }

    /// As JSON, with these fields, or all.
    #[must_use]
    pub fn to_json(&self, fields: &[String]) -> String {
        if fields.is_empty() {
            return self.encode(|_| true, None);
        }
        let paths: Vec<&str> = fields.iter().filter_map(|field| field.strip_prefix("properties.")).collect();
        let some = (!paths.is_empty()).then(|| {
            let value = |path: &&str| Some(((*path).to_owned(), self.properties().find(path)?.clone()));
            serde_json::to_string(&Tree::Object(paths.iter().filter_map(value).collect())).unwrap_or_default()
        });
        self.encode(|name| fields.iter().any(|field| field == name), some)
    }

    /// `some`: properties in the place of all.
    fn encode(&self, has: impl Fn(&str) -> bool, some: Option<String>) -> String {
        let event = self.event;
        let mut out = Map::new();
        let texts = [
            ("eventId", &*event.event_id),
            ("accountId", &*self.batch.account_id),
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
        let known =
            |(name, text): &(&str, &str)| !text.is_empty() && (has("context") || has(&format!("context.{name}")));
        let context: Map<String, Value> =
            self.context().into_iter().filter(known).map(|(name, text)| (name.to_owned(), json!(text))).collect();
        if !context.is_empty() {
            out.insert("context".to_owned(), Value::Object(context));
        }
        let mut text = Value::Object(out).to_string();
        // They are JSON already.
        let properties = match (&some, has("properties")) {
            (_, true) => Some(&*event.properties),
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

    /// Where it came from, as search shows it.
    fn context(&self) -> [(&'static str, &str); 3] {
        let context = self.batch.context_of(self.event);
        [("ip", context.ip), ("userAgent", context.user_agent), ("locale", context.locale)]
    }
}

impl Filtered for Shown<'_> {
    fn field(&self, name: &str) -> &str {
        match name {
            "$userId" => &self.event.user_id,
            "$sessionId" => &self.event.session_id,
            "$eventType" => &self.event.event_type,
            _ => self.batch.context_of(self.event).locale,
        }
    }

    fn properties(&self) -> &Tree {
        self.properties.get_or_init(|| Tree::object(&self.event.properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{meets, parse_filter};

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
            properties: PROPERTIES.into(),
            own_context: None,
        };
        let batch = SealedBatch {
            account_id: "shop".into(),
            received_at: 1_795_512_600_005,
            ip: "203.0.113.9".into(),
            locale: "zh-CN".into(),
            events: vec![event],
            ..SealedBatch::default()
        };
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
                "list = 1 and list > 0",
                "user exists and user.a exists",
                "missing != \"x\" and none = null",
            ];
            let fails = [
                "n = 8",
                "list = 2",
                "none exists or none != null",
                "$sessionId exists",
                "missing < 3",
                "campaignId < 3",
            ];
            for text in holds {
                assert!(meets(shown, &parse_filter(text).expect(text)), "{text}");
            }
            for text in fails {
                assert!(!meets(shown, &parse_filter(text).expect(text)), "{text}");
            }
        });
    }

    #[test]
    fn an_event_is_shown_whole_or_with_the_fields_asked_for() {
        with(|shown| {
            let whole: Value = serde_json::from_str(&shown.to_json(&[])).expect("is JSON");
            assert_eq!(whole["properties"], serde_json::from_str::<Value>(PROPERTIES).expect("is JSON"));
            assert_eq!((&whole["timestamp"], &whole["sessionId"]), (&json!("2026-11-24T09:30:00.000Z"), &Value::Null));
            assert_eq!(
                (&whole["accountId"], &whole["context"]),
                (&json!("shop"), &json!({"ip": "203.0.113.9", "locale": "zh-CN"}))
            );
            let some = shown.to_json(&["accountId".to_owned(), "context.locale".to_owned()]);
            assert_eq!(some, r#"{"accountId":"shop","context":{"locale":"zh-CN"}}"#);
            assert_eq!(shown.to_json(&["context.userAgent".to_owned()]), "{}", "nothing is known of it");
            let some = shown.to_json(&["eventName".to_owned(), "properties.user.age".to_owned()]);
            let some: Value = serde_json::from_str(&some).expect("is JSON");
            assert_eq!(some, json!({"eventName": "message_sent", "properties": {"user.age": 30}}));
            let one: Value = serde_json::from_str(&shown.to_json(&["properties".to_owned()])).expect("is JSON");
            assert_eq!(one["properties"]["n"], 7);
        });
    }
}
