//! The log: one JSON object a line on standard output, which Lambda sends to CloudWatch. Fields have dotted names (`account.id`,
//! `duration_ms`); never a body, a token, an address or a secret. Each line has the fields of the invocation that it belongs to.
//!
//! The line that ends an invocation is telemetry too: CloudWatch makes metrics of it by its member `_aws`
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use serde_json::{Value, json};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt};

use crate::{config::Lookup, now_millis};

/// The target of the line that ends an invocation. The line has the numbers `duration_ms`, `failures` and `cold_starts`, and is
/// written at every log level.
pub const INVOCATION: &str = "invocation";

/// Libraries whose debugging output holds whole requests: bodies, tokens, statements. Of theirs, only warnings are logged.
const TALKATIVE: [&str; 9] = ["aws_", "clickhouse", "h2", "hyper", "lambda_", "mio", "rustls", "tokio", "tower"];

/// Starts logging at `LOG_LEVEL` (error, warn, info, debug or trace; info if unset or unknown), and telemetry in the namespace
/// `TELEMETRY_NAMESPACE`, if one is set.
pub fn start(lookup: &impl Lookup) {
    let level = lookup.parsed("LOG_LEVEL", LevelFilter::INFO, "a log level").unwrap_or(LevelFilter::INFO);
    let namespace = lookup.find("TELEMETRY_NAMESPACE").filter(|namespace| !namespace.is_empty());
    // Fails only where a test has already set one.
    tracing::subscriber::set_global_default(subscriber(level, namespace, std::io::stdout)).ok();
}

fn subscriber<W>(level: LevelFilter, namespace: Option<String>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut lines = json_subscriber::fmt::layer()
        .flatten_event(true)
        .flatten_current_span_on_top_level(true)
        .with_span_list(false)
        .with_target(false)
        .with_writer(writer);
    if let Some(namespace) = namespace {
        let is_invocation = |metadata: &Metadata<'_>| metadata.target() == INVOCATION;
        let metrics = move || metrics(&namespace);
        lines
            .inner_layer_mut()
            .add_dynamic_field("_aws", move |event, _| is_invocation(event.metadata()).then(&metrics));
    }
    let most = level.max(LevelFilter::INFO);
    let is_logged = filter_fn(move |metadata| is_logged(metadata, level)).with_max_level_hint(most);
    tracing_subscriber::registry().with(lines).with(is_logged)
}

/// The metrics that CloudWatch makes of the line that ends an invocation.
fn metrics(namespace: &str) -> Value {
    json!({
        "Timestamp": now_millis(),
        "CloudWatchMetrics": [{
            "Namespace": namespace,
            "Dimensions": [["function"]],
            "Metrics": [
                {"Name": "duration_ms", "Unit": "Milliseconds"},
                {"Name": "failures", "Unit": "Count"},
                {"Name": "cold_starts", "Unit": "Count"},
            ],
        }],
    })
}

fn is_logged(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    // The span of an invocation gives its lines their fields.
    if metadata.target() == INVOCATION {
        return true;
    }
    let is_talkative = || TALKATIVE.iter().any(|library| metadata.target().starts_with(library));
    *metadata.level() <= level && (*metadata.level() <= Level::WARN || !is_talkative())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Result, Write},
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, namespace: Option<&str>, work: impl FnOnce()) -> Vec<Value> {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(level, namespace.map(str::to_owned), move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(log.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("is text");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
    }

    #[test]
    fn at_the_finest_level_libraries_say_nothing_of_requests() {
        let lines = logged(LevelFilter::TRACE, None, || {
            tracing::trace!(target: "aws_smithy_runtime::client", "request: hunter2");
            tracing::debug!(target: "hyper::proto", "hunter2");
            tracing::info!(target: "lambda_runtime", "hunter2");
            tracing::warn!(target: "rustls::conn", "a library's warning");
            tracing::trace!(target: "search_events", "our own");
        });
        let messages: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["a library's warning", "our own"]);
    }

    #[test]
    fn every_line_of_an_invocation_has_its_fields() {
        let lines = logged(LevelFilter::WARN, Some("analytics"), || {
            let span = tracing::info_span!(
                target: INVOCATION, "invocation", function = "track-event", request.id = "r", account.id = tracing::field::Empty
            );
            span.in_scope(|| tracing::warn!("the table does not answer"));
            span.record("account.id", "shop");
            span.in_scope(|| {
                tracing::info!("is not logged at this level");
                tracing::info!(target: INVOCATION, duration_ms = 1.5, failures = 0, cold_starts = 1, "request answered");
            });
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        let [warning, end] = &lines[..] else { unreachable!() };
        assert_eq!((&warning["function"], &warning["request.id"]), (&json!("track-event"), &json!("r")));
        assert_eq!((&warning["level"], &warning["_aws"]), (&json!("WARN"), &Value::Null));
        assert_eq!(
            (&end["account.id"], &end["request.id"], &end["duration_ms"]),
            (&json!("shop"), &json!("r"), &json!(1.5))
        );
        let telemetry = &end["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            (&telemetry["Namespace"], &telemetry["Dimensions"][0][0]),
            (&json!("analytics"), &json!("function"))
        );
        for metric in telemetry["Metrics"].as_array().expect("there are metrics") {
            assert!(end[metric["Name"].as_str().expect("has a name")].is_number(), "{metric}: {end}");
        }
    }
}
