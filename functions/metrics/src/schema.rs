//! The shapes of definitions and questions, for the OpenAPI document alone. `analytics_domain::metric` reads them and names all
//! errors at once.
#![expect(dead_code, reason = "only the shapes are used")]

use analytics_domain::metric::{
    CURRENCY_CHARS, DESCRIPTION_CHARS, DIMENSIONS, FIELDS, FILTERS, Kind, LONGEST, MOST_GROUPS, NAME_CHARS, PATH_CHARS,
    QUERIES,
    buckets::{INTERVALS, PERIODS},
};
use analytics_http::shape;
use analytics_questions::{PERIODS_TOLD, STEPS};
use schemars::{JsonSchema, Schema, json_schema};

/// The definition of a metric.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricDefinition {
    #[schemars(length(min = 1, max = NAME_CHARS), extend("pattern" = VISIBLE))]
    name: String,
    #[schemars(rename = "type")]
    kind: Kind,
    formula: FormulaText,
    #[schemars(flatten)]
    details: Details,
    /// Id of the new metric; by default made from the name. With PUT: unchanged.
    #[schemars(extend("format" = "metric-id"))]
    metric_id: Option<String>,
    /// The token's account. Another account is refused with `account_mismatch`.
    #[schemars(extend("format" = "account-id"))]
    account_id: Option<String>,
    /// With PUT: unchanged. POST ignores this field.
    #[schemars(extend("format" = "created-at"))]
    created_at: Option<String>,
    /// Ignored: the service computes it.
    updated_at: Option<String>,
    /// Ignored, as `updatedAt`.
    version: Option<u64>,
    /// Ignored, as `updatedAt`.
    built_in: Option<bool>,
    /// Ignored, as `updatedAt`.
    resolved: Option<Computed>,
    /// Ignored, as `updatedAt`.
    warnings: Option<Computed>,
}

// What a formula may have beside it, stored or not.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
struct Details {
    #[schemars(length(max = NAME_CHARS), extend("pattern" = NO_CONTROL))]
    unit: Option<String>,
    aggregation: Option<Aggregation>,
    filters: Option<Filters>,
    dimensions: Option<Dimensions>,
    #[schemars(length(max = DESCRIPTION_CHARS), extend("pattern" = NO_CONTROL))]
    description: Option<String>,
}

/// One question: a formula with what else makes a definition, or a metric by its id.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum One {
    Formula(Formula),
    Metric(ById),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, inline)]
struct Formula {
    formula: FormulaText,
    #[schemars(length(min = 1, max = NAME_CHARS), extend("pattern" = VISIBLE))]
    name: Option<String>,
    /// `gauge` by default.
    #[schemars(rename = "type")]
    kind: Option<Kind>,
    #[schemars(flatten)]
    details: Details,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
struct ById {
    /// Id of a metric.
    #[schemars(extend("format" = "metric"))]
    metric: String,
}

/// Questions over the same time, split and filtered in the same way.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum MetricQuery {
    Formula(FormulaQuery),
    Metric(ByIdQuery),
    Several(Several),
    Funnel(FunnelQuery),
    Retention(RetentionQuery),
}

/// A formula.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct FormulaQuery {
    #[schemars(flatten)]
    formula: Formula,
    #[schemars(flatten)]
    window: BodyWindow,
}

/// A metric.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct ByIdQuery {
    #[schemars(flatten)]
    metric: ById,
    #[schemars(flatten)]
    window: BodyWindow,
}

/// Several formulas and metrics.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Several {
    #[schemars(length(min = 1, max = QUERIES))]
    queries: Vec<One>,
    #[schemars(flatten)]
    window: BodyWindow,
}

/// How far people get through steps that come one after another.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct FunnelQuery {
    funnel: Funnel,
    #[schemars(flatten)]
    window: PeopleWindow,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
struct Funnel {
    #[schemars(length(min = 1, max = STEPS))]
    steps: Vec<Step>,
    by: Option<By>,
    /// How long after the first step the last one may be: a number with s, m, h, d or w. `7d` by default.
    #[schemars(extend("format" = "duration-of-days"))]
    within: Option<String>,
}

/// Who comes back, or stays.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct RetentionQuery {
    retention: Retention,
    interval: Option<Interval>,
    #[schemars(flatten)]
    window: PeopleWindow,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Retention {
    Return(ReturnRetention),
    Leave(LeaveRetention),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
struct ReturnRetention {
    /// What people begin with.
    first: Step,
    /// Who does this in a period has come back.
    #[schemars(rename = "return")]
    back: Step,
    #[schemars(flatten)]
    periods: Periods,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
struct LeaveRetention {
    /// What people begin with.
    first: Step,
    /// Who has not done this stays.
    leave: Step,
    #[schemars(flatten)]
    periods: Periods,
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Periods {
    by: Option<By>,
    /// How long a period is, from the first event on: `day` by default.
    #[schemars(extend("enum" = ["day", "week", null]))]
    period: Option<String>,
    /// Which periods are told. `[1, 7, 30]` days by default, or `[1, 4, 12]` weeks.
    #[schemars(length(min = 1, max = PERIODS_TOLD), inner(range(min = 1, max = 52)))]
    periods: Option<Vec<u32>>,
}

// The window of a question about people.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
struct PeopleWindow {
    /// The account of the token.
    #[schemars(extend("format" = "account-id"))]
    account_id: Option<String>,
    /// Inclusive: a time, or a day of the time zone (2026-11-24). By default a week before `to`.
    from: Option<DayOrTime>,
    /// Exclusive. By default now.
    to: Option<DayOrTime>,
    period: Option<Period>,
    /// IANA name of the time zone in which buckets and periods begin. `UTC` by default.
    #[schemars(extend("format" = "time-zone"))]
    timezone: Option<String>,
    group_by: Option<GroupBy>,
    /// Conditions that every event must meet.
    #[schemars(extend("format" = "filter"))]
    filter: Option<String>,
    /// Number of groups that are series of their own, 10 by default. All other groups are one series.
    #[schemars(range(min = 1, max = MOST_GROUPS))]
    limit: Option<u32>,
}

// The window of a question in a body.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
struct BodyWindow {
    /// The account of the token.
    #[schemars(extend("format" = "account-id"))]
    account_id: Option<String>,
    group_by: Option<GroupBy>,
    #[schemars(flatten)]
    window: Window,
}

/// What `GET /api/metrics/{id}/data` can be asked.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct Parameters {
    #[schemars(flatten)]
    window: Window,
    group_by: Option<GroupList>,
    /// How the answer is written: `json` by default.
    format: Option<Format>,
}

// The parts of a question that bodies and parameters share.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
struct Window {
    /// Inclusive: a time, or a day of the time zone (2026-11-24). By default a week before `to`.
    from: Option<DayOrTime>,
    /// Exclusive. By default now.
    to: Option<DayOrTime>,
    period: Option<Period>,
    interval: Option<Interval>,
    /// IANA name of the time zone in which buckets and periods begin. `UTC` by default.
    #[schemars(extend("format" = "time-zone"))]
    timezone: Option<String>,
    /// Conditions: campaignId = "spring" and (amount >= 5 or not test) and country in ("DE", "FR") and name contains "sale" and
    /// groupId exists.
    #[schemars(extend("format" = "filter"))]
    filter: Option<String>,
    /// Compares with the period before, or with the same time a year before.
    compare: Option<Compare>,
    /// Number of groups that are series of their own, 10 by default. All other groups are one series.
    #[schemars(range(min = 1, max = MOST_GROUPS))]
    limit: Option<u32>,
    /// Which groups come first: `-total` (largest first, the default), `total` or `key`.
    #[schemars(extend("enum" = ["-total", "total", "key"]))]
    order_by: Option<String>,
    /// Takes amounts in this currency only, such as `USD`. By default the only currency of the events: amounts of several
    /// currencies are never added.
    #[schemars(length(max = CURRENCY_CHARS), extend("pattern" = r"^[^\u0000-\u001f\u007f-\u009f]*$"))]
    currency: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
enum Compare {
    PreviousPeriod,
    PreviousYear,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum Format {
    Json,
    Csv,
}

/// No control characters but line breaks.
const NO_CONTROL: &str = r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*$";
/// The same, and something to see.
const VISIBLE: &str = r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*$";

shape!(
    DayOrTime,
    json_schema!({"anyOf": [{"type": "string", "format": "day-or-time"}, {"type": "integer", "format": "epoch-ms"}]})
);

shape!(Computed, json_schema!({}));

shape!(FormulaText, {
    json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST, "format": "formula",
        "description": "Arithmetic over counts of events (sent / delivered), sum(name.property), avg, min, max, unique, first, \
            last, gain, p1 to p99, each with a filter in braces, and over other metrics by their ids"})
});

shape!(Aggregation, {
    json_schema!({"type": "string", "pattern": "^(sum|avg|min|max|unique|count|first|last|gain|p[1-9][0-9]?)$",
        "description": "How a bare name.property in the formula is aggregated: sum, avg, min, max, unique, count, first, last, gain, \
            or p1 to p99"})
});

shape!(Step, {
    json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST, "format": "step",
        "description": "An event as formulas write it, with conditions in braces: link_clicked{not botSuspected}"})
});

shape!(By, {
    json_schema!({"type": "string", "minLength": 1, "maxLength": PATH_CHARS, "format": "path",
        "description": "The property that tells people apart, such as clickerHash. userId, the event's own field, by default"})
});

shape!(Filters, {
    json_schema!({"type": "array", "maxItems": FILTERS, "items": {"type": "string", "format": "filter"},
        "description": "Conditions that every event must meet"})
});

shape!(Dimensions, {
    json_schema!({"type": "array", "maxItems": DIMENSIONS, "uniqueItems": true, "items": path(),
        "description": "Properties that it is often split by"})
});

shape!(GroupBy, {
    json_schema!({"anyOf": [
        {"type": "array", "maxItems": DIMENSIONS, "items": path()},
        {"type": "string", "format": "path-list"},
    ], "description": groups()})
});

shape!(GroupList, {
    json_schema!({"type": "string", "format": "path-list", "description": format!("{}. Separate them by commas", groups())})
});

fn groups() -> String {
    format!("Up to {DIMENSIONS} properties to split by. The event's own fields are {}", FIELDS.join(", "))
}

fn path() -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": PATH_CHARS, "format": "path"})
}

shape!(
    Period,
    json_schema!({"type": "string", "format": "period", "pattern": "^([1-9][0-9]{0,4}(m|h|d|w|mo|y)|today|yesterday|[wmqy]td)$",
        "description": format!("In place of from and to: {PERIODS}")})
);

shape!(Interval, {
    let names: Vec<&str> = INTERVALS.split(", ").chain(["none"]).collect();
    json_schema!({"type": "string", "enum": names,
        "description": "How long a bucket is; none for totals only. auto by default"})
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use analytics_domain::metric::{Definition, QueryDraft};
    use schemars::schema_for;

    use super::*;
    use crate::body::BESIDE;

    fn fields(schema: &Schema) -> BTreeSet<&str> {
        let properties = schema.get("properties").and_then(|properties| properties.as_object());
        properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_document_has_the_fields_that_are_read() {
        let read = Definition::FIELDS.into_iter().chain(BESIDE).collect();
        assert_eq!(fields(&schema_for!(MetricDefinition)), read);
        let window: Vec<&str> = QueryDraft::NAMES.to_vec();
        let read = window.iter().copied().chain(["format"]).collect();
        assert_eq!(fields(&schema_for!(Parameters)), read);
        let read = window.iter().copied().chain(Definition::FIELDS).chain(["accountId"]).collect();
        assert_eq!(fields(&schema_for!(FormulaQuery)), read);
    }
}
