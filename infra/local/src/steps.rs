//! Shows what takes long: a line when a step ends, and a sign of life while it runs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Runs `work` as a step of this name.
///
/// # Errors
/// That of `work`, with the name of the step.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let running = Running::start(name);
    let result = work();
    running.end(result)
}

/// The same for work that waits.
pub async fn step_async<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let running = Running::start(name);
    let result = work.await;
    running.end(result)
}

struct Running {
    name: String,
    started: Instant,
    /// Dropped at the end, which silences the sign of life.
    _ended: Sender<()>,
}

impl Running {
    fn start(name: &str) -> Self {
        let started = Instant::now();
        let (ended, waiting) = channel::<()>();
        let sign = name.to_owned();
        thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(SIGN_OF_LIFE) {
                eprintln!("  … {sign}: {} s so far", started.elapsed().as_secs());
            }
        });
        Self { name: name.to_owned(), started, _ended: ended }
    }

    fn end<T>(self, result: Result<T>) -> Result<T> {
        let mark = if result.is_ok() { '✓' } else { '✗' };
        eprintln!("  {mark} {} ({:.1} s)", self.name, self.started.elapsed().as_secs_f32());
        result.with_context(|| self.name.clone())
    }
}
