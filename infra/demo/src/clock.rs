//! The one place that reads the time.

use std::time::Duration;

use jiff::Timestamp;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    now().as_millisecond()
}

/// How far away a time is, if it is still to come.
pub(crate) fn until(time: Timestamp) -> Option<Duration> {
    time.duration_since(now()).try_into().ok()
}

/// A number that two processes started together do not share.
pub(crate) fn entropy() -> u64 {
    u64::from(now().subsec_nanosecond().unsigned_abs()) ^ u64::from(std::process::id()) << 32
}

#[expect(clippy::disallowed_methods, reason = "a tool's own clock; everything else takes the time from here")]
fn now() -> Timestamp {
    Timestamp::now()
}
