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
    /// Answers requests that no route matches.
    RefuseRoute,
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
    /// Whether uses belong in the audit log, which is yet to come.
    pub is_audited: bool,
}

/// The gateway's name for the route of all other requests.
pub const DEFAULT_PATH: &str = "$default";

/// Every route of the HTTP API, the one of any other path included.
pub const ROUTES: [Route; 16] = {
    use Access::{Everyone, Roles};
    use Operation::{
        CreateMetric, DeleteMetric, GetAsyncapi, GetDashboard, GetDashboardFile, GetHealth, GetMetric, GetMetricData,
        GetOpenapi, ListMetrics, QueryMetrics, RefuseRoute, SearchEvents, TrackEvent, TrackEvents, UpdateMetric,
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
        route(CreateMetric, "POST", "/api/metrics", "create-metric", ANALYSTS).audited(),
        route(GetMetric, "GET", "/api/metrics/{id}", "get-metric", READERS),
        route(UpdateMetric, "PUT", "/api/metrics/{id}", "update-metric", ANALYSTS).audited(),
        route(DeleteMetric, "DELETE", "/api/metrics/{id}", "delete-metric", ANALYSTS).audited(),
        route(GetMetricData, "GET", "/api/metrics/{id}/data", "get-metric-data", READERS),
        route(QueryMetrics, "POST", "/api/query", "query-metrics", READERS),
        route(GetHealth, "GET", "/health", "get-health", Everyone),
        route(GetOpenapi, "GET", "/api/openapi.json", "get-openapi", Everyone),
        route(GetAsyncapi, "GET", "/api/asyncapi.json", "get-asyncapi", Everyone),
        route(GetDashboard, "GET", "/", "get-dashboard", Everyone),
        route(GetDashboardFile, "GET", "/assets/{file}", "get-dashboard", Everyone),
        route(RefuseRoute, "ANY", DEFAULT_PATH, "refuse-route", Everyone),
    ]
};

const fn route(
    operation: Operation,
    method: &'static str,
    path: &'static str,
    function: &'static str,
    roles: Access,
) -> Route {
    Route { operation, method, path, function, roles, is_audited: false }
}

impl Route {
    const fn audited(self) -> Self {
        Self { is_audited: true, ..self }
    }

    /// Whether this is the path of a request, whatever its method is. A parameter stands for one segment.
    #[must_use]
    pub fn matches_path(&self, path: &str) -> bool {
        let (mut own, mut segments) = (self.path.split('/'), path.split('/'));
        loop {
            match (own.next(), segments.next()) {
                (None, None) => return true,
                (Some(own), Some(segment)) if own == segment || own.starts_with('{') && !segment.is_empty() => {}
                _ => return false,
            }
        }
    }
}

/// The routes with a path of their own.
pub fn named_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.path != DEFAULT_PATH)
}

impl Operation {
    /// Where this operation is found.
    #[must_use]
    pub const fn route(self) -> &'static Route {
        // ROUTES lists the operations in the order of their declaration; a test holds the two together.
        &ROUTES[self as usize]
    }

    /// Its name in the API's document: that of its function, if that serves no other operation.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::GetDashboardFile => "get-dashboard-file",
            other => other.route().function,
        }
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
    fn a_path_belongs_to_its_routes_whatever_its_parameters_are() {
        let methods = |path: &str| -> Vec<&str> {
            ROUTES.iter().filter(|route| route.matches_path(path)).map(|route| route.method).collect()
        };
        assert_eq!(methods("/api/metrics/ctr"), ["GET", "PUT", "DELETE"]);
        assert_eq!(methods("/api/metrics/ctr/data"), ["GET"]);
        assert_eq!(methods("/"), ["GET"]);
        assert!(
            ["/api/metrics/", "/api", "", "/api/metrics/a/b/data", "/health/"]
                .iter()
                .all(|path| methods(path).is_empty())
        );
    }

    #[test]
    fn what_changes_definitions_belongs_in_the_audit_log() {
        let audited: Vec<&str> = ROUTES.iter().filter(|route| route.is_audited).map(|route| route.function).collect();
        assert_eq!(audited, ["create-metric", "update-metric", "delete-metric"]);
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
