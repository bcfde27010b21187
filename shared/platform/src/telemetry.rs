//! The log: one JSON object a line on standard output, which Lambda hands to CloudWatch. Fields have dotted names
//! (`account.id`, `duration_ms`); never a body, a token, an address or a secret.

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt};

use crate::config::Lookup;

/// Libraries whose debugging output holds whole requests: bodies, tokens, statements. Of theirs, only warnings are logged.
const TALKATIVE: [&str; 9] = ["aws_", "clickhouse", "h2", "hyper", "lambda_", "mio", "rustls", "tokio", "tower"];

/// Starts logging at `LOG_LEVEL` (error, warn, info, debug or trace; info if unset or unknown).
pub fn start(lookup: &impl Lookup) {
    let level = lookup.parsed("LOG_LEVEL", LevelFilter::INFO, "a log level").unwrap_or(LevelFilter::INFO);
    // Fails only where a test has already set one.
    tracing::subscriber::set_global_default(subscriber(level, std::io::stdout)).ok();
}

fn subscriber<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .with_writer(writer)
        .finish()
        .with(filter_fn(is_logged))
}

fn is_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || !TALKATIVE.iter().any(|library| metadata.target().starts_with(library))
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

    #[test]
    fn at_the_finest_level_libraries_say_nothing_of_requests() {
        let log = Log::default();
        let writer = log.clone();
        tracing::subscriber::with_default(subscriber(LevelFilter::TRACE, move || writer.clone()), || {
            tracing::trace!(target: "aws_smithy_runtime::client", "request: hunter2");
            tracing::debug!(target: "hyper::proto", "hunter2");
            tracing::info!(target: "lambda_runtime", "hunter2");
            tracing::warn!(target: "rustls::conn", "a library's warning");
            tracing::trace!(target: "search_events", "our own");
        });
        let text = String::from_utf8(log.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("is text");
        assert!(text.contains("a library's warning") && text.contains("our own"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
