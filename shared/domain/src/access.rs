//! Roles, operations, and the one table that says which role may do which operation.

use serde::Deserialize;

use crate::account::AccountId;

/// What a token's bearer may do. The account (tenant) and the role both come from the token, never from the request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sends events, reads nothing.
    Ingest,
    /// Reads.
    Viewer,
    /// Reads, and keeps metrics, reports and alerts.
    Analyst,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Viewer, Self::Analyst, Self::Admin];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }

    /// Whether this role may do `operation`.
    #[must_use]
    pub fn may(self, operation: Operation) -> bool {
        match operation.route().roles {
            Access::Everyone => true,
            Access::Roles(roles) => roles.contains(&self),
        }
    }
}

/// Who is calling: read from a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant. Every stored thing belongs to one.
    pub account_id: AccountId,
    pub role: Role,
}

/// One thing the HTTP API does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    TrackEvent,
    TrackEvents,
    SearchEvents,
    ListMetrics,
    CreateMetric,
    GetMetric,
    UpdateMetric,
    DeleteMetric,
    GetMetricData,
    QueryMetrics,
    GetHealth,
    GetOpenapi,
    GetAsyncapi,
    GetDashboard,
    GetDashboardFile,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No token needed.
    Everyone,
    Roles(&'static [Role]),
}

/// Where an operation is found, which function serves it, and who may use it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub operation: Operation,
    pub method: &'static str,
    pub path: &'static str,
    /// Folder, package and binary of the function.
    pub function: &'static str,
    pub roles: Access,
}

/// Every route of the HTTP API.
pub const ROUTES: [Route; 15] = {
    use Access::{Everyone, Roles};
    use Operation::{
        CreateMetric, DeleteMetric, GetAsyncapi, GetDashboard, GetDashboardFile, GetHealth, GetMetric, GetMetricData,
        GetOpenapi, ListMetrics, QueryMetrics, SearchEvents, TrackEvent, TrackEvents, UpdateMetric,
    };
    use Role::{Admin, Analyst, Ingest, Viewer};
    const SENDERS: Access = Roles(&[Ingest, Admin]);
    const READERS: Access = Roles(&[Viewer, Analyst, Admin]);
    const ANALYSTS: Access = Roles(&[Analyst, Admin]);
    [
        route(TrackEvent, "POST", "/api/events", "track-event", SENDERS),
        route(TrackEvents, "POST", "/api/events/batch", "track-events", SENDERS),
        route(SearchEvents, "GET", "/api/events/search", "search-events", READERS),
        route(ListMetrics, "GET", "/api/metrics", "list-metrics", READERS),
        route(CreateMetric, "POST", "/api/metrics", "create-metric", ANALYSTS),
        route(GetMetric, "GET", "/api/metrics/{id}", "get-metric", READERS),
        route(UpdateMetric, "PUT", "/api/metrics/{id}", "update-metric", ANALYSTS),
        route(DeleteMetric, "DELETE", "/api/metrics/{id}", "delete-metric", ANALYSTS),
        route(GetMetricData, "GET", "/api/metrics/{id}/data", "get-metric-data", READERS),
        route(QueryMetrics, "POST", "/api/query", "query-metrics", READERS),
        route(GetHealth, "GET", "/health", "get-health", Everyone),
        route(GetOpenapi, "GET", "/api/openapi.json", "get-openapi", Everyone),
        route(GetAsyncapi, "GET", "/api/asyncapi.json", "get-asyncapi", Everyone),
        route(GetDashboard, "GET", "/", "get-dashboard", Everyone),
        route(GetDashboardFile, "GET", "/assets/{file}", "get-dashboard", Everyone),
    ]
};

const fn route(
    operation: Operation,
    method: &'static str,
    path: &'static str,
    function: &'static str,
    roles: Access,
) -> Route {
    Route { operation, method, path, function, roles }
}

impl Operation {
    /// Where this operation is found.
    #[must_use]
    pub const fn route(self) -> &'static Route {
        // ROUTES lists the operations in the order of their declaration; a test holds the two together.
        &ROUTES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_own_route() {
        for route in &ROUTES {
            assert_eq!(route.operation.route().path, route.path);
            assert_eq!(route.operation.route().operation, route.operation);
        }
    }

    #[test]
    fn an_ingest_token_reads_nothing_and_a_viewer_sends_nothing() {
        assert!(Role::Ingest.may(Operation::TrackEvents));
        assert!(!Role::Ingest.may(Operation::SearchEvents));
        assert!(!Role::Viewer.may(Operation::TrackEvent));
        assert!(Role::Viewer.may(Operation::SearchEvents));
        assert!(Role::ALL.iter().all(|role| role.may(Operation::GetHealth)));
    }
}
