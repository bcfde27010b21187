//! The OpenAPI 3.1 document, made from the table of routes, the limits and the codes that the functions themselves use.

mod metrics;

use analytics_domain::{
    access::{Access, Operation, ROUTES, Role, Route},
    event::{Code, limits},
    idempotency, search, time,
};
use serde_json::{Map, Value, json};

use crate::LISTED_ERRORS;

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Analytics",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Event analytics for Telegram marketing: events in, exact counts out.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "Claims: iss, aud, exp, accountId (the tenant), role (ingest, viewer, analyst, admin)."}},
            "schemas": schemas(),
            "responses": {"Problem": problem("What went wrong, in a form for programs and people (RFC 9457)")},
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = match route.operation {
        Operation::TrackEvent => json!({
            "summary": "Send one event",
            "parameters": [idempotency_key()],
            "requestBody": {"required": true, "content": {"application/json": {"schema": reference("Event")}}},
            "responses": {"202": answer("The event is safe and will be in every answer exactly once", "AcceptedEvent")},
        }),
        Operation::TrackEvents => json!({
            "summary": "Send a batch of events",
            "description": format!("At most {} events and {} bytes after decompression. Send gzip as \
                `application/gzip` (JSON inside), or as `application/x-ndjson` with `Content-Encoding: gzip`. Valid events are \
                accepted whatever the others are.", limits::BATCH_EVENTS, limits::BODY_BYTES),
            "parameters": [idempotency_key()],
            "requestBody": {"required": true, "content": {
                "application/json": {"schema": reference("Batch")},
                "application/x-ndjson": {"schema": {"type": "string", "description": "An event a line"}},
            }},
            "responses": {"202": answer("The accepted events are safe; `errors` names every other one", "Verdict")},
        }),
        Operation::SearchEvents => json!({
            "summary": "Find events, newest first",
            "parameters": search_parameters(),
            "responses": {"200": answer("A page of events", "FoundEvents")},
        }),
        Operation::ListMetrics
        | Operation::CreateMetric
        | Operation::GetMetric
        | Operation::UpdateMetric
        | Operation::DeleteMetric
        | Operation::GetMetricData
        | Operation::QueryMetrics => metrics::operation(route.operation),
        Operation::GetHealth => json!({
            "summary": "The state of each dependency",
            "responses": {
                "200": answer("Everything answers", "Health"),
                "503": answer("Something does not", "Health"),
            },
        }),
        Operation::GetAsyncapi => json!({
            "summary": "The description of the live streams",
            "responses": {"200": {"description": "AsyncAPI 3.0", "content": {"application/json": {"schema": {"type": "object"}}}}},
        }),
        Operation::GetDashboard => json!({
            "summary": "The live dashboard, for a browser",
            "responses": {"200": {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}},
        }),
        Operation::GetDashboardFile => json!({
            "summary": "A part of the live dashboard",
            "parameters": [{"name": "file", "in": "path", "required": true, "schema": {"type": "string"}}],
            "responses": {
                "200": {"description": "A script or a style sheet; the name changes with the content"},
                "404": problem("There is no such file"),
            },
        }),
        Operation::GetOpenapi => json!({
            "summary": "This document",
            "responses": {"200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}},
        }),
    };
    operation["operationId"] = match route.operation {
        // One function serves both.
        Operation::GetDashboardFile => json!("get-dashboard-file"),
        _ => json!(route.function),
    };
    match route.roles {
        Access::Everyone => operation["security"] = json!([]),
        Access::Roles(roles) => {
            operation["security"] = json!([{"token": []}]);
            operation["x-roles"] = json!(roles.iter().copied().map(Role::name).collect::<Vec<_>>());
            operation["responses"]["default"] = json!({"$ref": "#/components/responses/Problem"});
        }
    }
    operation
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn answer(description: &str, schema: &str) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": reference(schema)}}})
}

fn problem(description: &str) -> Value {
    json!({"description": description, "content": {"application/problem+json": {"schema": reference("Problem")}}})
}

fn idempotency_key() -> Value {
    json!({"name": "Idempotency-Key", "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": idempotency::KEY_CHARS, "pattern": "^[ -~]+$"},
        "description": "Makes a request safe to send again whose events have no eventId and timestamp: the same key and \
            body get the first answer again, and no event counts twice."})
}

fn parameter(name: &str, schema: Value, description: &str) -> Value {
    json!({"name": name, "in": "query", "schema": schema, "description": description})
}

fn search_parameters() -> Value {
    let text = || json!({"type": "string"});
    json!([
        parameter("eventType", text(), "Any of these types, separated by commas"),
        parameter("eventName", text(), "Any of these names, separated by commas"),
        parameter("eventId", text(), ""),
        parameter("sessionId", text(), ""),
        parameter("userId", text(), ""),
        parameter("from", text(), &format!("Inclusive; {}", time::FORMATS)),
        parameter("to", text(), "Exclusive"),
        parameter("filter", text(), "Conditions on properties, such as: tags = vip and not (price >= 10)"),
        parameter("q", text(), "Words that must all stand somewhere in the event's strings, in any script and case; parts of \
            words count; \"in quotes\" as it stands"),
        {"name": "property", "in": "query", "style": "form", "explode": true,
         "schema": {"type": "object", "additionalProperties": {"type": "string"}},
         "description": "property.NAME=VALUE: text or number; property.NAME[gte]=VALUE with eq, ne, gt, gte, lt, lte, \
            contains, exists. A NAME with dots is a path."},
        parameter("status", json!({"enum": ["accepted", "rejected"], "default": "accepted"}),
            "rejected: events that were refused, each with its reason"),
        parameter("code", text(), "With status=rejected: only events refused for this reason"),
        parameter("limit", json!({"type": "integer", "minimum": 1, "maximum": search::LARGEST_LIMIT,
            "default": search::DEFAULT_LIMIT}), ""),
        parameter("cursor", text(), "nextCursor of the page before"),
        parameter("count", json!({"type": "boolean", "default": false}), "Whether to count all events that match"),
    ])
}

fn schemas() -> Value {
    let mut schemas = event_schemas();
    if let (Value::Object(schemas), Value::Object(more)) = (&mut schemas, metrics::schemas()) {
        schemas.extend(more);
    }
    schemas
}

fn event_schemas() -> Value {
    let name = |description: &str| json!({"type": "string", "minLength": 1, "maxLength": limits::NAME_CHARS, "description": description});
    let id = |description: &str| {
        json!({"type": ["string", "integer", "null"], "minLength": 1, "maxLength": limits::NAME_CHARS,
        "description": format!("{description}. An integer of 64 bits stands for its decimal text")})
    };
    let when = json!({"type": ["string", "integer", "null"], "description": format!("Must be {}", time::FORMATS)});
    let computed =
        json!({"description": "Ignored: the service computes it, and an event that was found may be sent again"});
    let properties = json!({"type": "object", "description": format!("Anything you want to filter and count by: up to {} \
        names, {} levels deep", limits::PROPERTIES, limits::DEPTH)});
    json!({
        "Event": {
            "type": "object", "required": ["eventName"], "additionalProperties": false,
            "description": format!("At most {} bytes. The same account, eventName, timestamp and eventId are the same \
                event: sending it again changes nothing.", limits::EVENT_BYTES),
            "properties": {
                "eventName": name("What happened, such as message_sent"),
                "eventType": name("Kind of event; by default that of a known name, else custom"),
                "eventId": id("Your id of the event; needs a timestamp, unless it is a version 7 UUID"),
                "accountId": id("The account of the token; any other is refused with account_mismatch"),
                "timestamp": when,
                "sessionId": id("What belongs together"),
                "userId": id("Who did it"),
                "properties": properties,
                "context": reference("EventContext"),
                "sentAt": when,
                "receivedAt": computed, "clockSkewMs": computed, "correctedTimestamp": computed,
            },
        },
        "EventContext": {
            "type": ["object", "null"], "additionalProperties": false,
            "description": "Who did it, when a server sends for its users; what is absent, null or empty is taken from the \
                request",
            "properties": {
                "ip": {"type": ["string", "null"], "description": "An IPv4 or IPv6 address"},
                "userAgent": {"type": ["string", "null"], "maxLength": limits::USER_AGENT_CHARS},
                "locale": {"type": ["string", "null"], "maxLength": limits::LOCALE_CHARS,
                    "description": "A language tag (BCP 47), such as zh-CN"},
            },
        },
        "Batch": {
            "oneOf": [
                {"type": "array", "items": reference("Event")},
                {"type": "object", "required": ["events"], "properties": {
                    "events": {"type": "array", "minItems": 1, "maxItems": limits::BATCH_EVENTS, "items": reference("Event")},
                    "sentAt": when,
                }},
            ],
        },
        "AcceptedEvent": {
            "type": "object", "required": ["eventId", "timestamp"], "additionalProperties": false,
            "properties": {"eventId": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"}},
        },
        "Verdict": {
            "type": "object", "required": ["accepted", "rejected", "errors"], "additionalProperties": false,
            "properties": {
                "accepted": {"type": "integer"},
                "rejected": {"type": "integer"},
                "errors": {"type": "array", "maxItems": LISTED_ERRORS, "items": reference("FieldError")},
                "errorsOmitted": {"type": "integer", "description": "How many errors there are beyond those in errors"},
                "rejectedIndexes": {"type": "array", "items": {"type": "integer"},
                    "description": "With errorsOmitted: the places of all rejected events. Each is found with its reason \
                        by GET /api/events/search?status=rejected"},
            },
        },
        "FieldError": {
            "type": "object", "required": ["code", "detail"], "additionalProperties": false,
            "properties": {
                "index": {"type": "integer", "description": "Place of the event in the batch, from 0"},
                "code": {"type": "string", "examples": Code::ALL.map(Code::name)},
                "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) into the body"},
                "parameter": {"type": "string", "description": "Query parameter"},
                "detail": {"type": "string"},
            },
        },
        "FoundEvents": {
            "type": "object", "required": ["events", "nextCursor"], "additionalProperties": false,
            "properties": {
                "events": {"type": "array", "items": {"oneOf": [reference("FoundEvent"), reference("RejectedEvent")]}},
                "nextCursor": {"type": ["string", "null"]},
                "total": {"type": "integer"},
            },
        },
        "FoundEvent": {
            "type": "object", "additionalProperties": false,
            "required": ["accountId", "eventId", "eventName", "eventType", "timestamp", "receivedAt", "properties"],
            "properties": {
                "accountId": {"type": "string"},
                "eventId": {"type": "string"}, "eventName": {"type": "string"}, "eventType": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "receivedAt": {"type": "string", "format": "date-time"},
                "sessionId": {"type": "string"}, "userId": {"type": "string"},
                "properties": {"type": "object"},
                "context": reference("EventContext"),
                "clockSkewMs": {"type": "integer", "description": "How far the sender's clock was behind ours"},
                "correctedTimestamp": {"type": "string", "format": "date-time",
                    "description": "timestamp, corrected by clockSkewMs"},
            },
        },
        "RejectedEvent": {
            "type": "object", "additionalProperties": false,
            "required": ["status", "accountId", "receivedAt", "index", "code", "pointer", "detail", "eventName", "event"],
            "properties": {
                "status": {"const": "rejected"},
                "accountId": {"type": "string"},
                "receivedAt": {"type": "string", "format": "date-time"},
                "index": {"type": "integer"}, "code": {"type": "string"}, "pointer": {"type": "string"},
                "detail": {"type": "string"}, "eventName": {"type": "string"},
                "event": {"type": "string", "description": "The event as it came, perhaps cut"},
            },
        },
        "Health": {
            "type": "object", "required": ["status", "version", "dependencies"], "additionalProperties": false,
            "properties": {
                "status": {"enum": ["ok", "down"]},
                "version": {"type": "string"},
                "dependencies": {"type": "object", "additionalProperties": {
                    "type": "object", "required": ["status", "latencyMs"], "additionalProperties": false,
                    "properties": {"status": {"enum": ["ok", "down"]}, "latencyMs": {"type": "number"}},
                }},
            },
        },
        "Problem": {
            "type": "object", "required": ["title", "status", "code", "detail", "requestId"], "additionalProperties": false,
            "properties": {
                "title": {"type": "string"}, "status": {"type": "integer"},
                "code": {"type": "string", "description": "Stable name of what went wrong"},
                "detail": {"type": "string"}, "requestId": {"type": "string"},
                "errors": {"type": "array", "maxItems": LISTED_ERRORS, "items": reference("FieldError")},
                "errorsOmitted": {"type": "integer", "description": "How many errors there are beyond those in errors"},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_operation_and_every_reference_its_target() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for route in &ROUTES {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(id.starts_with(route.function) && ids.insert(id.clone()), "{id}");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
        }
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
