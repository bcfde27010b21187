//! The log: one JSON object a line on standard output, which Lambda hands to CloudWatch. Fields have dotted names
//! (`account.id`, `duration_ms`); never a body, a token, an address or a secret.

use tracing::level_filters::LevelFilter;

use crate::config::Lookup;

/// Starts logging at `LOG_LEVEL` (error, warn, info, debug or trace; info if unset or unknown).
pub fn start(lookup: &impl Lookup) {
    let level = lookup.parsed("LOG_LEVEL", LevelFilter::INFO, "a log level").unwrap_or(LevelFilter::INFO);
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .finish();
    // Fails only where a test has already set one.
    tracing::subscriber::set_global_default(subscriber).ok();
}
