//! One line that says how far a run is: updated in place on a terminal, every few seconds elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines on standard error, so that standard output holds the summary only.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    silent: bool,
    last: Mutex<Option<Instant>>,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

impl Progress {
    pub fn new() -> Self {
        // Elsewhere than on a terminal, a short run needs no line at all.
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, silent: false, last: Mutex::new((!terminal).then(Instant::now)) }
    }

    /// Says nothing: for tests.
    pub const fn silent() -> Self {
        Self { terminal: false, silent: true, last: Mutex::new(None) }
    }

    /// Shows a line if it is time for one.
    pub fn show(&self, line: &str) {
        let every = if self.terminal { Duration::from_millis(100) } else { BETWEEN_LINES };
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        if self.silent || last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        *last = Some(Instant::now());
        let (before, after) = if self.terminal { ("\r", "\x1b[K") } else { ("", "\n") };
        // Nobody to show progress to is no reason to stop.
        let _ = write!(std::io::stderr(), "{before}{line}{after}");
    }

    /// Ends the line on a terminal.
    pub fn end(&self) {
        let shown = self.last.lock().is_ok_and(|last| last.is_some());
        if self.terminal && !self.silent && shown {
            let _ = writeln!(std::io::stderr());
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Events a second, to the nearest.
pub fn rate(count: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
