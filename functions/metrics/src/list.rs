//! The list of metrics, in pages.

use analytics_domain::{
    account::AccountId,
    cursor,
    metric::{Metric, Metrics},
    search::ParameterError,
};
use analytics_http::{ApiError, escaped};
use schemars::JsonSchema;
use serde::Serialize;

use crate::define::MetricOut;

/// Metrics of a page unless told otherwise, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;

/// Bytes of a page, as the answer of a function carries them: 6 MB is what Lambda takes.
const PAGE_BYTES: usize = 4_000_000;

/// A part of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Metrics")]
pub struct MetricPage {
    metrics: Vec<MetricOut>,
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Which page.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is used: `list` reads parameters, all errors at once")]
pub struct Parameters {
    /// Most metrics of a page, 100 by default. A page may have fewer.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[schemars(extend("format" = "cursor"))]
    cursor: Option<String>,
}

/// The metrics of an account, then the built-in ones: those of a page. The parameters are `limit` and `cursor`.
///
/// # Errors
/// Names a parameter that makes no sense; 400 for a cursor that no page has given.
pub fn list(
    metrics: &Metrics,
    account_id: &AccountId,
    parameters: &[(String, String)],
) -> Result<MetricPage, ApiError> {
    let (mut limit, mut after, mut errors) = (USUAL, None, Vec::new());
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => match value.parse() {
                Ok(number @ 1..=MOST) => limit = number,
                _ => {
                    errors.push(ParameterError::new(name, "out_of_range", format!("must be a number from 1 to {MOST}")))
                }
            },
            "cursor" => after = Some(cursor::decode(value).ok_or_else(invalid_cursor)?),
            _ => errors.push(ParameterError::new(name, "unknown_parameter", "is not one of limit, cursor")),
        }
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid_parameters(errors));
    }
    page(metrics, account_id, limit, after.as_ref(), PAGE_BYTES).map_err(ApiError::internal)
}

fn invalid_cursor() -> ApiError {
    ApiError::unreadable("invalid_cursor", "the cursor is not one that a list of metrics has given")
}

/// Where a metric stands in the list: whether it is built in, and its id.
type Position = (bool, String);

fn page(
    metrics: &Metrics,
    account_id: &AccountId,
    limit: usize,
    after: Option<&Position>,
    most_bytes: usize,
) -> serde_json::Result<MetricPage> {
    let mut sorted: Vec<(Position, &Metric)> =
        metrics.all().map(|metric| ((metrics.is_built_in(&metric.id), metric.id.clone()), metric)).collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let rest = sorted.partition_point(|(position, _)| after.is_some_and(|after| position <= after));
    let mut page = MetricPage { metrics: Vec::new(), next_cursor: None };
    let mut bytes = 0;
    for (at, (_, metric)) in sorted.iter().enumerate().skip(rest) {
        let shown = MetricOut::new(metric, metrics, account_id);
        bytes += escaped(&serde_json::to_string(&shown)?);
        if at > rest && (at - rest == limit || bytes > most_bytes) {
            page.next_cursor = Some(cursor::encode(&sorted[at - 1].0));
            break;
        }
        page.metrics.push(shown);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::builtin::METRICS;

    use super::*;

    fn metrics(count: usize) -> Metrics {
        let built_in = Metrics::new(Vec::new());
        let roi = built_in.get("roi").expect("is built in");
        let own = |number: usize| {
            let mut metric = Metric { id: format!("m{number:03}"), ..roi.clone() };
            metric.definition.description = "\"\\".repeat(number);
            metric
        };
        Metrics::new((0..count).rev().map(own).collect())
    }

    fn walk(metrics: &Metrics, limit: usize, bytes: usize) -> Vec<Vec<String>> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = page(metrics, &AccountId::stored("shop"), limit, after.as_ref(), bytes).expect("is JSON");
            let body = serde_json::to_string(&page).expect("is JSON");
            assert!(page.metrics.len() <= limit);
            assert!(page.metrics.len() == 1 || escaped(&body) < bytes + 200, "{} bytes", escaped(&body));
            pages.push(page.metrics.into_iter().map(|metric| metric.metric_id).collect());
            let Some(cursor) = page.next_cursor else { return pages };
            after = Some(cursor::decode::<Position>(&cursor).expect("reads back"));
        }
    }

    #[test]
    fn pages_follow_each_other_by_count_and_by_bytes_and_hold_each_metric_once() {
        let metrics = metrics(60);
        let all: Vec<String> = walk(&metrics, MOST, usize::MAX - 1_000).concat();
        assert_eq!((all.len(), all[0].as_str(), all[59].as_str()), (60 + METRICS.len(), "m000", "m059"));
        assert!(all.contains(&"roi".to_owned()));
        for (limit, bytes) in [(1, 9_000), (7, 1_000_000), (90, 1_000_000), (1_000, 9_000), (1_000, 1), (20, 5_000)] {
            assert_eq!(walk(&metrics, limit, bytes).concat(), all, "{limit}, {bytes}");
        }
        assert!(walk(&metrics, 1_000, 9_000).len() > 2);
        assert_eq!(walk(&metrics, 60 + METRICS.len(), 1_000_000).len(), 1, "no cursor leads to an empty page");
    }

    #[test]
    fn a_cursor_leads_on_when_its_metric_is_gone() {
        let after = (false, "m004x".to_owned());
        let page = page(&metrics(9), &AccountId::stored("shop"), 2, Some(&after), PAGE_BYTES).expect("is JSON");
        let ids: Vec<&str> = page.metrics.iter().map(|metric| metric.metric_id.as_str()).collect();
        assert_eq!(ids, ["m005", "m006"]);
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        let refused = |name: &str, value: &str| {
            let error = list(&metrics(1), &AccountId::stored("shop"), &[(name.to_owned(), value.to_owned())])
                .expect_err("refused");
            (error.status.as_u16(), error.errors.first().map_or(error.code.to_owned(), |one| one.code.clone()))
        };
        assert_eq!(refused("limit", "0"), (422, "out_of_range".to_owned()));
        assert_eq!(refused("limit", "1001"), (422, "out_of_range".to_owned()));
        assert_eq!(refused("page", "2"), (422, "unknown_parameter".to_owned()));
        for cursor in ["", "x", "bm9wZQ", "%%%"] {
            assert_eq!(refused("cursor", cursor), (400, "invalid_cursor".to_owned()), "{cursor}");
        }
    }
}
