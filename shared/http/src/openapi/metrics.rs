//! What the document says of metrics.

use analytics_domain::{
    access::Operation,
    metric::{
        DIMENSIONS, FIELDS, LONGEST, METRICS,
        buckets::{INTERVALS, PERIODS},
    },
};
use serde_json::{Map, Value, json};

use super::{answer, parameter, reference};

pub(super) fn operation(operation: Operation) -> Value {
    let body = |schema: &str| json!({"required": true, "content": {"application/json": {"schema": reference(schema)}}});
    let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "Id of a metric, such as delivery_rate"});
    let if_match = json!({"name": "If-Match", "in": "header", "schema": {"type": "string"},
        "description": "ETag of the version that the change was made from; 412 if it is another by now"});
    match operation {
        Operation::ListMetrics => json!({
            "summary": "Metrics: the account's own, then the built-in ones",
            "parameters": [
                parameter("limit", json!({"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100}),
                    "Metrics of a page at most; it may have fewer"),
                parameter("cursor", json!({"type": "string"}), "nextCursor of the page before"),
            ],
            "responses": {"200": answer("A page of metrics", "Metrics")},
        }),
        Operation::CreateMetric => json!({
            "summary": "Define a metric",
            "description": format!("An account has at most {METRICS} metrics. A metricId in the body becomes the id, if no other \
                metric has it."),
            "requestBody": body("MetricDefinition"),
            "responses": {"201": answer("The metric, what the names in its formula mean, and what may surprise", "DefinedMetric")},
        }),
        Operation::UpdateMetric => json!({
            "summary": "Replace a metric's definition",
            "description": "Takes what GET gives. metricId, accountId and createdAt must be as they are, if they are sent.",
            "parameters": [id, if_match],
            "requestBody": body("MetricDefinition"),
            "responses": {"200": answer("The metric as it is now", "DefinedMetric")},
        }),
        Operation::DeleteMetric => json!({
            "summary": "Delete a metric that no other one uses",
            "parameters": [id, if_match],
            "responses": {"204": {"description": "It is gone"}},
        }),
        Operation::GetMetricData => {
            let mut parameters = vec![id];
            parameters.extend(
                QUERY.map(|(name, description)| parameter(name, json!({"type": "string"}), &words(description))),
            );
            parameters.push(parameter("format", json!({"enum": ["json", "csv"], "default": "json"}), ""));
            json!({
                "summary": "A metric's numbers over time",
                "parameters": parameters,
                "responses": {"200": {"description": "The numbers", "content": {
                    "application/json": {"schema": reference("MetricData")},
                    "text/csv": {"schema": {"type": "string"}},
                }}},
            })
        }
        Operation::QueryMetrics => json!({
            "summary": "Numbers for formulas that are not stored, or for several metrics at once",
            "requestBody": body("MetricQuery"),
            "responses": {"200": answer("An answer for each, in order", "MetricResults")},
        }),
        // The others have nothing to do with metrics.
        _ => json!({
            "summary": "A metric's definition",
            "parameters": [id],
            "responses": {"200": answer("The metric; its version is the ETag", "Metric")},
        }),
    }
}

/// The parts of a question. `{intervals}` and the like stand for what the code that reads them takes.
const QUERY: [(&str, &str); 11] = [
    (
        "from",
        "Inclusive: RFC 3339, epoch milliseconds, or a day of the time zone (2026-11-24). By default a week before `to`",
    ),
    ("to", "Exclusive; by default now"),
    ("period", "In place of from and to: {periods}"),
    ("interval", "{intervals}; none for totals only. auto by default"),
    ("timezone", "IANA name; days, weeks and months are its own. UTC by default"),
    ("groupBy", "Up to {dimensions} properties, separated by commas; of the event's own fields {fields}"),
    (
        "filter",
        "Conditions: campaignId = \"spring\" and (amount >= 5 or not test) and country in (\"DE\", \"FR\") and \
        name contains \"sale\" and groupId exists",
    ),
    ("compare", "previous_period or previous_year"),
    ("limit", "Groups shown by themselves, the others put together; 10 by default, 100 at most"),
    (
        "currency",
        "The currency that amounts are taken in, such as USD. By default the only one there is; amounts of several are not \
        added",
    ),
    ("orderBy", "-total (largest first, the default), total, or key"),
];

fn words(description: &str) -> String {
    description
        .replace("{periods}", PERIODS)
        .replace("{intervals}", INTERVALS)
        .replace("{dimensions}", &DIMENSIONS.to_string())
        .replace("{fields}", &FIELDS.join(", "))
}

pub(super) fn schemas() -> Value {
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let definition = json!({
        "name": {"type": "string", "minLength": 1, "maxLength": 120},
        "type": {"enum": ["counter", "gauge", "histogram"], "description": "counter: adds up, empty buckets are 0. gauge: a \
            level or ratio. histogram: one aggregation of one property"},
        "formula": {"type": "string", "maxLength": LONGEST, "description": "Arithmetic over counts of events (sent / \
            delivered), sum(name.property), avg, min, max, unique, first, last, p1 to p99, each with a filter in braces, \
            and over other metrics by their ids"},
        "unit": {"type": "string"},
        "aggregation": {"type": "string", "description": "How a bare name.property in the formula is aggregated"},
        "filters": texts(),
        "dimensions": texts(),
        "description": {"type": "string"},
    });
    let mut metric: Map<String, Value> = definition.as_object().cloned().unwrap_or_default();
    for (name, schema) in [
        ("metricId", json!({"type": "string"})),
        ("accountId", json!({"type": "string"})),
        ("builtIn", json!({"type": "boolean"})),
        ("version", json!({"type": "integer"})),
        ("createdAt", json!({"type": "string", "format": "date-time"})),
        ("updatedAt", json!({"type": "string", "format": "date-time"})),
    ] {
        metric.insert(name.to_owned(), schema);
    }
    let mut defined = metric.clone();
    defined.insert(
        "resolved".to_owned(),
        json!({"type": "array", "items": {
            "type": "object", "required": ["name", "kind", "means"], "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "description": "As the formula has it"},
                "kind": {"enum": ["event", "metric"]},
                "means": {"type": "string", "description": "Name of the event, id of the metric"},
                "aggregation": {"type": "string"}, "property": {"type": "string"},
            },
        }}),
    );
    defined.insert(
        "warnings".to_owned(),
        json!({"type": "array", "items": {
            "type": "object", "required": ["code", "detail"], "additionalProperties": false,
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
        }}),
    );
    let required = [
        "metricId",
        "accountId",
        "name",
        "type",
        "formula",
        "unit",
        "aggregation",
        "filters",
        "dimensions",
        "description",
        "builtIn",
        "version",
    ];
    let mut query: Map<String, Value> = QUERY
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!({"type": "string", "description": words(text)})))
        .collect();
    query.insert("groupBy".to_owned(), json!({"oneOf": [{"type": "string"}, texts()]}));
    for name in ["from", "to", "limit"] {
        query.insert(name.to_owned(), json!({"type": ["string", "integer"]}));
    }
    let asked: Map<String, Value> = definition
        .as_object()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .chain([(
            "metric".to_owned(),
            json!({"type": "string", "description": "Id of a metric, in place of a formula"}),
        )])
        .collect();
    query.extend(asked.clone());
    query.insert("accountId".to_owned(), json!({"type": "string", "description": "That of the token"}));
    query.insert(
        "queries".to_owned(),
        json!({"type": "array", "minItems": 1, "maxItems": 10, "items": {"type": "object", "properties": asked}}),
    );
    json!({
        // What the service computes may be sent back and is ignored.
        "MetricDefinition": {"type": "object", "required": ["name", "type", "formula"], "additionalProperties": false,
            "properties": defined.clone()},
        "Metric": {"type": "object", "required": required, "additionalProperties": false, "properties": metric},
        "DefinedMetric": {"type": "object", "required": required, "additionalProperties": false, "properties": defined},
        "Metrics": {"type": "object", "required": ["metrics", "nextCursor"], "additionalProperties": false,
            "properties": {"metrics": {"type": "array", "items": reference("Metric")},
                "nextCursor": {"type": ["string", "null"]}}},
        "MetricQuery": {"type": "object", "additionalProperties": false, "properties": query},
        "MetricResults": {"type": "object", "required": ["results"], "additionalProperties": false,
            "properties": {"results": {"type": "array", "items": reference("MetricData")}}},
        "MetricData": data(),
    })
}

fn data() -> Value {
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let number = || json!({"type": ["number", "null"]});
    let reason = || {
        json!({"enum": ["zero_denominator", "no_values", "overflow", "several_currencies"],
            "description": "Why there is no value"})
    };
    let points = || {
        json!({"type": "array", "items": {
            "type": "object", "required": ["time", "value"], "additionalProperties": false,
            "properties": {"time": {"type": "string", "format": "date-time", "description": "Start of the bucket"},
                "value": number(), "reason": reason()},
        }})
    };
    let series = json!({
        "type": "object", "required": ["total", "points"], "additionalProperties": false,
        "properties": {
            "key": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            "other": {"const": true, "description": "All groups that are not shown by themselves"},
            "total": number(), "reason": reason(), "points": points(),
            "previous": {"type": "object", "required": ["total", "change", "points"], "additionalProperties": false,
                "properties": {"total": number(), "reason": reason(), "points": points(),
                    "change": {"type": ["number", "null"], "description": "0.1 is ten percent more"}}},
        },
    });
    json!({
        "type": "object", "additionalProperties": false,
        "required": ["name", "type", "unit", "from", "to", "interval", "timezone", "asOf", "source", "series"],
        "properties": {
            "metricId": {"type": "string"}, "name": {"type": "string"}, "type": {"type": "string"},
            "unit": {"type": "string"}, "from": {"type": "string"}, "to": {"type": "string"},
            "interval": {"type": "string"}, "timezone": {"type": "string"}, "groupBy": texts(),
            "compare": {"type": "object", "properties": {"with": {"type": "string"}, "from": {"type": "string"},
                "to": {"type": "string"}}},
            "asOf": {"type": "string", "format": "date-time", "description": "What was stored by then is in the numbers"},
            "source": {"enum": ["rollups", "events", "both"]},
            "currency": {"type": "string", "description": "Of amounts, if it was asked for"},
            "warnings": {"type": "array", "items": {
                "type": "object", "required": ["code", "detail"], "additionalProperties": false,
                "properties": {"code": {"enum": ["range_cut", "several_currencies", "over_100_percent"]},
                    "detail": {"type": "string"}},
            }},
            "series": {"type": "array", "items": series},
        },
    })
}
