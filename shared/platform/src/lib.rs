//! What every function stands on: its configuration, its log, its clock, and how AWS clients are made.

pub mod aws;
pub mod config;
pub mod gateway;
pub mod https;
pub mod telemetry;
pub mod trace;

use jiff::Timestamp;

/// Milliseconds since 1970-01-01T00:00:00Z. The one place that reads the clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now_millis() -> i64 {
    Timestamp::now().as_millisecond()
}

/// An error with all its causes down to the first.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += ": ";
        text += &cause.to_string();
        source = cause.source();
    }
    text
}

/// Random bytes for ids.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    // A version 4 UUID has 122 random bits; all but the two with its version and variant serve here.
    const { assert!(N <= 10) };
    let uuid = uuid::Uuid::new_v4();
    let bytes = uuid.as_bytes();
    std::array::from_fn(|at| if at < 6 { bytes[at] } else { bytes[at + 3] })
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_bytes_differ() {
        assert_ne!(super::random::<10>(), super::random::<10>());
    }
}
