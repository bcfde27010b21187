//! The shapes of events, for the OpenAPI document alone. `analytics_domain::event` reads events and names all errors at once.
#![expect(dead_code, reason = "only the shapes are used")]

use std::borrow::Cow;

use analytics_domain::{event::limits, time};
use analytics_http::shape;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// What has happened.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, extend("description" = about()))]
pub struct Event {
    /// What happened, such as `message_sent`.
    event_name: Name,
    /// The kind of event; by default that of a known name, else `custom`.
    event_type: Option<Name>,
    /// Your id of the event. Send `timestamp` too, unless the id is a version 7 UUID. An integer of 64 bits stands for its
    /// decimal text.
    event_id: Option<Id>,
    /// When the event happened. By default the time of a version 7 UUID in `eventId`; without `eventId`, the time of arrival.
    timestamp: Option<Moment>,
    /// What belongs together. An integer of 64 bits stands for its decimal text.
    session_id: Option<Id>,
    /// Who did it. An integer of 64 bits stands for its decimal text.
    user_id: Option<Id>,
    /// Anything that you want to filter and count by.
    properties: Option<Properties>,
    context: Option<EventContext>,
    /// The client's clock when the event was sent. The clock skew is computed from it.
    sent_at: Option<Moment>,
    /// The account of the token. Any other is refused with `account_mismatch`.
    account_id: Option<AccountId>,
    /// Ignored: the service computes it, and an event that was found may be sent again.
    received_at: Option<Computed>,
    /// Ignored, as `receivedAt`.
    clock_skew_ms: Option<Computed>,
    /// Ignored, as `receivedAt`.
    corrected_timestamp: Option<Computed>,
}

/// The user that a server sends for. A value that is absent, null or empty is taken from the request.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct EventContext {
    /// An IPv4 or IPv6 address.
    #[schemars(extend("format" = "ip"))]
    ip: Option<String>,
    #[schemars(length(max = limits::USER_AGENT_CHARS), extend("pattern" = NO_CONTROL))]
    user_agent: Option<String>,
    /// A language tag (BCP 47), such as `zh-CN`.
    #[schemars(length(max = limits::LOCALE_CHARS), extend("pattern" = "^([A-Za-z]{1,8}([-_][A-Za-z0-9]{1,8})*)?$"))]
    locale: Option<String>,
}

/// Events, as a list or within an object.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Batch {
    List(#[schemars(length(min = 1, max = limits::BATCH_EVENTS))] Vec<Event>),
    Object(Events),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, inline)]
pub struct Events {
    #[schemars(length(min = 1, max = limits::BATCH_EVENTS))]
    events: Vec<Event>,
    /// The client's clock when the batch was sent, for events without a `sentAt` of their own.
    sent_at: Option<Moment>,
}

/// No control characters.
const NO_CONTROL: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// The same, and something to see.
const VISIBLE: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f\ufffd][^\u0000-\u001f\u007f-\u009f]*$";

shape!(Name, json_schema!({"type": "string", "minLength": 1, "maxLength": limits::NAME_CHARS, "pattern": VISIBLE}));
shape!(
    Id,
    json_schema!({"type": ["string", "integer"], "minLength": 1, "maxLength": limits::NAME_CHARS, "pattern": VISIBLE,
        "minimum": i64::MIN, "maximum": u64::MAX})
);
shape!(AccountId, json_schema!({"type": ["string", "integer"], "format": "account-id"}));
shape!(Computed, json_schema!({}));
shape!(
    Moment,
    json_schema!({"oneOf": [
        {"type": "string", "format": "moment", "description": format!("Must be {}", time::FORMATS)},
        {"type": "integer", "format": "epoch-ms", "minimum": 100_000_000_000_i64},
    ]})
);
/// What the document says of an event.
fn about() -> String {
    format!(
        "What has happened: at most {} bytes. The same account, eventName, timestamp and eventId are the same event.",
        limits::EVENT_BYTES
    )
}

/// Names and values.
pub struct Properties;

impl JsonSchema for Properties {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Properties".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let description = format!(
            "At most {} names, those of nested objects included, and {} levels deep",
            limits::PROPERTIES,
            limits::DEPTH
        );
        json_schema!({"type": "object", "maxProperties": limits::PROPERTIES, "propertyNames": property_name(),
            "additionalProperties": generator.subschema_for::<PropertyValue>(), "description": description})
    }
}

/// A text, a number, a flag, nothing, or a list or an object of such.
pub struct PropertyValue;

impl JsonSchema for PropertyValue {
    fn schema_name() -> Cow<'static, str> {
        "PropertyValue".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Self>();
        json_schema!({"anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": value},
            {"type": "object", "propertyNames": property_name(), "additionalProperties": value},
        ]})
    }
}

fn property_name() -> Schema {
    json_schema!({"minLength": 1, "maxLength": limits::NAME_CHARS})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use analytics_domain::event::{COMPUTED, FIELDS};
    use schemars::schema_for;

    use super::*;

    #[test]
    fn the_document_has_the_fields_that_are_read() {
        let schema = schema_for!(Event);
        let properties = schema.get("properties").and_then(|properties| properties.as_object()).expect("has fields");
        let fields: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS.into_iter().chain(COMPUTED).collect());
    }
}
