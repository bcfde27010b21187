//! `GET /api/events/search`: events by type, name, session, time, property and text, newest first.

use std::{collections::BTreeMap, future::Future};

use analytics_domain::{
    access::Operation,
    account::AccountId,
    metric::{Aliases, GROUP},
    search::{LARGEST_LIMIT, Query, RejectedSearch, Search},
    time,
};
use analytics_http::{ApiError, Reply, json, openapi::OpenApi};
use analytics_runtime::Call;
use analytics_warehouse::{EventWarehouse, FoundEvent, FoundPage, FoundRejected, WarehouseError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

/// Where events are found.
pub trait Events: Sync {
    fn search(
        &self,
        account_id: &AccountId,
        search: &Search,
        now: i64,
    ) -> impl Future<Output = Result<FoundPage<FoundEvent>, WarehouseError>> + Send;

    fn aliases(&self, account_id: &AccountId) -> impl Future<Output = Result<Aliases, WarehouseError>> + Send;

    fn search_rejected(
        &self,
        account_id: &AccountId,
        search: &RejectedSearch,
    ) -> impl Future<Output = Result<FoundPage<FoundRejected>, WarehouseError>> + Send;
}

impl Events for EventWarehouse {
    async fn search(
        &self,
        account_id: &AccountId,
        search: &Search,
        now: i64,
    ) -> Result<FoundPage<FoundEvent>, WarehouseError> {
        Self::search(self, account_id, search, now).await
    }

    async fn aliases(&self, account_id: &AccountId) -> Result<Aliases, WarehouseError> {
        Ok(Self::aliases(self, &[account_id]).await?.pop().unwrap_or_default())
    }

    async fn search_rejected(
        &self,
        account_id: &AccountId,
        search: &RejectedSearch,
    ) -> Result<FoundPage<FoundRejected>, WarehouseError> {
        Self::search_rejected(self, account_id, search).await
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FoundEvents")]
struct Page<T> {
    events: Vec<T>,
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<String>,
    /// How many events match, if `count=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Other ids of the groups that the filter names, which count as the same group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    group_aliases: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FoundEvent")]
struct EventOut {
    #[schemars(with = "String")]
    account_id: AccountId,
    event_id: String,
    event_type: String,
    event_name: String,
    #[schemars(extend("format" = "date-time"))]
    timestamp: String,
    #[schemars(extend("format" = "date-time"))]
    received_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    session_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_id: String,
    #[schemars(with = "Map<String, Value>")]
    properties: Box<RawValue>,
    #[serde(skip_serializing_if = "ContextOut::is_empty")]
    context: ContextOut,
    /// How far the client's clock was behind the service's, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_ms: Option<i64>,
    /// `timestamp`, corrected by `clockSkewMs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    corrected_timestamp: Option<String>,
}

/// The context of an event, as far as it is known.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FoundContext")]
struct ContextOut {
    #[serde(skip_serializing_if = "String::is_empty")]
    ip: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    locale: String,
}

impl ContextOut {
    fn is_empty(&self) -> bool {
        [&self.ip, &self.user_agent, &self.locale].into_iter().all(String::is_empty)
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RejectedEvent")]
struct RejectedOut {
    /// Always `rejected`.
    status: &'static str,
    #[schemars(with = "String")]
    account_id: AccountId,
    #[schemars(extend("format" = "date-time"))]
    received_at: String,
    /// Index of the event in its batch, from 0.
    index: u32,
    /// The first reason of the refusal.
    code: String,
    /// JSON pointer (RFC 6901) into the event.
    pointer: String,
    detail: String,
    event_name: String,
    /// The event as it was sent, without unknown fields, cut at 4 KB.
    event: String,
}

/// What a page holds.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its shape is used")]
enum Found {
    Accepted(EventOut),
    Rejected(RejectedOut),
}

/// What can be searched for.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is used: `analytics_domain::search` reads parameters, all errors at once")]
struct Parameters {
    /// Any of these types, separated by commas. Write a type with a comma in double quotes.
    event_type: Option<String>,
    /// Any of these names, separated by commas. Write a name with a comma in double quotes.
    event_name: Option<String>,
    /// The event of this id.
    event_id: Option<String>,
    /// Events of this session.
    session_id: Option<String>,
    /// Events of this user.
    user_id: Option<String>,
    /// Start of the time range (inclusive), by `timestamp`: RFC 3339 or epoch milliseconds.
    #[schemars(extend("format" = "moment"))]
    from: Option<String>,
    /// End of the time range (exclusive).
    #[schemars(extend("format" = "moment"))]
    to: Option<String>,
    /// Conditions on properties, such as: tags = "vip" and not (price >= 10).
    #[schemars(extend("format" = "filter"))]
    filter: Option<String>,
    /// Words that the strings of `properties` must all hold, in any script and case, also as parts of words. Text in double
    /// quotes is a phrase.
    q: Option<String>,
    /// `property.NAME=VALUE` finds a text or a number. `property.NAME[OP]=VALUE` compares; OP is eq, ne, gt, gte, lt, lte,
    /// contains or exists. Dots in NAME go into objects. Write a NAME with brackets in double quotes.
    #[schemars(schema_with = "property")]
    property: (),
    /// `accepted` by default. `rejected` finds refused events, each with its first reason.
    status: Option<Status>,
    /// With status=rejected: only events that were refused for this reason.
    code: Option<String>,
    /// Most events of a page, 50 by default. A page may have fewer.
    #[schemars(range(min = 1, max = LARGEST_LIMIT))]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[schemars(extend("format" = "cursor"))]
    cursor: Option<String>,
    /// Whether to count all events that match.
    count: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
#[expect(dead_code, reason = "only its shape is used")]
enum Status {
    Accepted,
    Rejected,
}

fn property(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": false, "patternProperties": {
        r"^property\..+$": {"type": "string", "format": "property-value"},
    }})
}

/// Describes the operation in the OpenAPI document.
pub fn describe(document: &mut OpenApi) {
    let description = "All conditions must hold. Pages neither repeat nor skip events while new events arrive.";
    document
        .operation(Operation::SearchEvents, "Find events, newest first", description)
        .query::<Parameters>()
        .refusal(400, "No search has returned this cursor")
        .answer::<Page<Found>>(200, "A page of events");
}

/// Finds events of the token's account.
///
/// # Errors
/// If the request asks for something senseless; or ClickHouse does not answer.
pub async fn handle<E: Events>(events: &E, call: Call) -> Result<Reply, ApiError> {
    let parameters = call.incoming().query();
    let parameters = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    match Query::parse(parameters).map_err(ApiError::invalid_parameters)? {
        Query::Accepted(mut search) => {
            let groups = search.filter.texts_of(GROUP);
            let mut group_aliases = BTreeMap::new();
            if !groups.is_empty() {
                let aliases = events.aliases(call.account_id()).await.map_err(failure)?;
                search.filter = aliases.widen(&search.filter);
                let others = |id: String| (aliases.others(&id).map(str::to_owned).collect(), id);
                let of_groups =
                    groups.into_iter().map(others).filter(|(others, _): &(Vec<String>, _)| !others.is_empty());
                group_aliases = of_groups.map(|(others, id)| (id, others)).collect();
            }
            let found = events.search(call.account_id(), &search, call.now).await.map_err(failure)?;
            page(found, group_aliases, |found| event(call.account_id(), found))
        }
        Query::Rejected(search) => {
            let found = events.search_rejected(call.account_id(), &search).await.map_err(failure)?;
            page(found, BTreeMap::new(), |found| Ok(rejected(call.account_id(), found)))
        }
    }
}

fn page<T, U: Serialize>(
    found: FoundPage<T>,
    group_aliases: BTreeMap<String, Vec<String>>,
    encode: impl Fn(T) -> Result<U, ApiError>,
) -> Result<Reply, ApiError> {
    let events = found.found.into_iter().map(encode).collect::<Result<_, _>>()?;
    json(&Page { events, next_cursor: found.next, total: found.total, group_aliases })
}

fn event(account_id: &AccountId, found: FoundEvent) -> Result<EventOut, ApiError> {
    Ok(EventOut {
        account_id: account_id.to_owned(),
        event_id: found.event_id,
        event_type: found.event_type,
        event_name: found.event_name,
        timestamp: time::format(found.timestamp),
        received_at: time::format(found.received_at),
        session_id: found.session_id,
        user_id: found.user_id,
        properties: RawValue::from_string(found.properties).map_err(ApiError::internal)?,
        context: ContextOut { ip: found.ip, user_agent: found.user_agent, locale: found.locale },
        clock_skew_ms: found.clock_skew_ms,
        corrected_timestamp: found.clock_skew_ms.map(|skew| time::format(found.timestamp + skew)),
    })
}

fn rejected(account_id: &AccountId, found: FoundRejected) -> RejectedOut {
    RejectedOut {
        status: "rejected",
        account_id: account_id.to_owned(),
        received_at: time::format(found.received_at),
        index: found.position,
        code: found.code,
        pointer: found.pointer,
        detail: found.detail,
        event_name: found.event_name,
        event: found.event,
    }
}

fn failure(error: WarehouseError) -> ApiError {
    match error {
        WarehouseError::InvalidCursor => ApiError::unreadable(
            "invalid_cursor",
            "the cursor is not one that this search has given: start without one",
        ),
        WarehouseError::OverLimits(_) => {
            let detail = "the search takes more than one may: narrow it by from and to, eventName, or a rarer word";
            ApiError {
                cause: Some(error.to_string()),
                ..ApiError::new(http::StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail)
            }
        }
        WarehouseError::Unavailable(cause) | WarehouseError::TimedOut(cause) | WarehouseError::Unfit(cause) => {
            ApiError::unavailable("the event store", cause)
        }
        WarehouseError::Refused(cause) | WarehouseError::InvalidRows(cause) => ApiError::internal(cause),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{Mutex, PoisonError},
    };

    use analytics_domain::{access::Role, search::PARAMETERS};
    use analytics_testkit::{NOW, body, call};
    use http::StatusCode;
    use schemars::schema_for;
    use serde_json::json;

    use super::*;

    /// Remembers what it was asked and for whom; answers one event, or fails.
    #[derive(Default)]
    struct FakeEvents {
        asked: Mutex<Vec<(String, Search)>>,
        down: bool,
    }

    impl Events for FakeEvents {
        async fn search(
            &self,
            account_id: &AccountId,
            search: &Search,
            _: i64,
        ) -> Result<FoundPage<FoundEvent>, WarehouseError> {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((account_id.to_string(), search.clone()));
            if self.down {
                return Err(WarehouseError::Unavailable("connection refused by 10.0.0.7".to_owned()));
            }
            let event = FoundEvent {
                timestamp: NOW,
                event_name: "message_sent".to_owned(),
                event_id: "e".to_owned(),
                event_type: "message".to_owned(),
                session_id: String::new(),
                user_id: String::new(),
                received_at: NOW + 250,
                clock_skew_ms: Some(-500),
                ip: String::new(),
                user_agent: String::new(),
                locale: "zh-CN".to_owned(),
                properties: r#"{"campaignId":"123"}"#.to_owned(),
            };
            Ok(FoundPage { found: vec![event], next: None, total: Some(1) })
        }

        async fn aliases(&self, _: &AccountId) -> Result<Aliases, WarehouseError> {
            Ok(Aliases::default())
        }

        async fn search_rejected(
            &self,
            _: &AccountId,
            _: &RejectedSearch,
        ) -> Result<FoundPage<FoundRejected>, WarehouseError> {
            Ok(FoundPage { found: Vec::new(), next: None, total: None })
        }
    }

    #[tokio::test]
    async fn the_sample_asks_for_the_tokens_account_and_gets_its_page() {
        let events = FakeEvents::default();
        let answer = handle(&events, call("search-events", Role::Viewer)).await.expect("answered");
        let (account, search) = events.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(0);
        assert_eq!((&*account, search.phrases), ("unit", vec!["水晶".to_owned()]));
        assert_eq!(search.filter.paths(), ["campaignId"]);
        assert_eq!(
            body(&answer),
            json!({"events": [{"accountId": "unit", "eventId": "e", "eventType": "message", "eventName": "message_sent",
                "timestamp": "2026-11-24T09:30:00.000Z", "receivedAt": "2026-11-24T09:30:00.250Z",
                "properties": {"campaignId": "123"}, "context": {"locale": "zh-CN"}, "clockSkewMs": -500,
                "correctedTimestamp": "2026-11-24T09:29:59.500Z"}], "nextCursor": null, "total": 1})
        );
    }

    #[tokio::test]
    async fn says_nothing_of_what_is_inside_when_the_store_is_down() {
        let events = FakeEvents { down: true, ..FakeEvents::default() };
        let refused = handle(&events, call("search-events", Role::Viewer)).await.expect_err("refused");
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let answer = refused.into_reply("r");
        assert!(!body(&answer).to_string().contains("10.0.0.7"));
    }

    #[test]
    fn the_document_has_the_parameters_that_are_read() {
        let schema = schema_for!(Parameters);
        let properties = schema.get("properties").and_then(|properties| properties.as_object()).expect("has fields");
        let fields: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(fields, PARAMETERS.map(|name| name.strip_suffix(".NAME").unwrap_or(name)).into_iter().collect());
    }
}
