//! The figures of a load run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::LATE;
use crate::catalogue;
use crate::client::Delivery;
use crate::ledger::{Counts, Fate, Ledger};
use crate::progress::{grouped, rate};

/// Figures as they come in.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub events_new: u64,
    pub events_again: u64,
    /// Answers count here, so an event accepted twice is in twice.
    pub accepted: u64,
    pub rejected: u64,
    pub errors: BTreeMap<String, u64>,
    pub late: u64,
    rejection_codes: BTreeMap<String, u64>,
    last_problem: Option<String>,
    requests: u64,
    failed_requests: u64,
    retries: u64,
    bytes: u64,
    latest: Duration,
    latencies: Vec<Duration>,
    from_schedule: Vec<Duration>,
}

impl Tally {
    /// `behind`: how long after it was due a new batch started.
    pub fn enter(&mut self, events: usize, bytes: usize, behind: Option<Duration>, delivery: &Delivery) {
        self.requests += 1;
        self.bytes += bytes as u64;
        for code in &delivery.failed_tries {
            *self.errors.entry(code.clone()).or_default() += 1;
        }
        self.retries += (delivery.failed_tries.len() as u64).saturating_sub(u64::from(delivery.outcome.is_err()));
        if let Some(behind) = behind {
            self.late += u64::from(behind > LATE);
            self.latest = self.latest.max(behind);
        }
        match &delivery.outcome {
            Ok(verdict) => {
                self.latencies.push(delivery.latency);
                self.from_schedule.extend(behind.map(|behind| behind + delivery.latency));
                self.accepted += (events - verdict.rejections.len()) as u64;
                self.rejected += verdict.rejections.len() as u64;
                for rejection in &verdict.rejections {
                    *self.rejection_codes.entry(rejection.code.clone()).or_default() += 1;
                }
            }
            Err(failure) => {
                self.failed_requests += 1;
                self.last_problem = Some(format!("{} {}", failure.code, failure.detail));
            }
        }
    }

    pub fn report(
        &self,
        target_rate: u64,
        planned: Option<u64>,
        ledger: &Ledger,
        name_of: impl Fn(u64) -> &'static str,
        elapsed: Duration,
        cpu: Option<Duration>,
    ) -> Report {
        let accepted_by_name = ledger.counts(Fate::Accepted, &name_of);
        let unclear_by_name = ledger.counts(Fate::Unclear, &name_of);
        let events = self.events_new + self.events_again;
        Report {
            elapsed_s: elapsed.as_secs_f64(),
            target_rate,
            rate: rate(self.events_new, elapsed),
            accepted_rate: rate(self.accepted, elapsed),
            events_new: self.events_new,
            events_again: self.events_again,
            events_not_sent: planned.unwrap_or(0).saturating_sub(self.events_new),
            accepted: self.accepted,
            rejected: self.rejected,
            distinct_accepted: accepted_by_name.values().sum(),
            distinct_unclear: unclear_by_name.values().sum(),
            accepted_by_name,
            unclear_by_name,
            requests: self.requests,
            failed_requests: self.failed_requests,
            retries: self.retries,
            errors: self.errors.clone(),
            rejection_codes: self.rejection_codes.clone(),
            last_problem: self.last_problem.clone(),
            latency_ms: Latency::of(&self.latencies),
            from_schedule_ms: Latency::of(&self.from_schedule),
            late_batches: self.late,
            latest_ms: millis(self.latest),
            bytes: self.bytes,
            bytes_per_event: self.bytes.checked_div(events).unwrap_or(0),
            cpu_s: cpu.map(|cpu| cpu.as_secs_f64()),
            events_per_cpu_second: cpu.map(|cpu| rate(events, cpu)),
        }
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    /// None of nothing.
    fn of(durations: &[Duration]) -> Option<Self> {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let max = millis(*sorted.last()?);
        // Nearest rank: the smallest value that `percent` of all do not exceed.
        let at = |percent: usize| millis(sorted[(sorted.len() * percent).div_ceil(100) - 1]);
        Some(Self { p50: at(50), p90: at(90), p99: at(99), max })
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// CPU time of the calling thread, where the system tells (Linux). The whole tool runs on one thread.
pub(super) fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// What a load run did. `accepted` counts answers, `distinctAccepted` and `acceptedByName` count events.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub elapsed_s: f64,
    /// New events a second: wanted, and sent over the whole run.
    pub target_rate: u64,
    pub rate: u64,
    /// Events a second in positive answers, those sent again included.
    pub accepted_rate: u64,
    pub events_new: u64,
    pub events_again: u64,
    /// New events that were due in the time but could not be sent in it.
    pub events_not_sent: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub distinct_accepted: u64,
    /// Events of which no answer tells whether they were taken.
    pub distinct_unclear: u64,
    pub accepted_by_name: Counts,
    pub unclear_by_name: Counts,
    pub requests: u64,
    /// Requests without a verdict after all their tries.
    pub failed_requests: u64,
    pub retries: u64,
    /// Failed tries by HTTP status, `connection`, `timeout` or `bad_answer`.
    pub errors: BTreeMap<String, u64>,
    pub rejection_codes: BTreeMap<String, u64>,
    pub last_problem: Option<String>,
    /// From sending the request to its answer.
    pub latency_ms: Option<Latency>,
    /// From when a new batch was due to its answer.
    pub from_schedule_ms: Option<Latency>,
    pub late_batches: u64,
    pub latest_ms: f64,
    pub bytes: u64,
    pub bytes_per_event: u64,
    pub cpu_s: Option<f64>,
    pub events_per_cpu_second: Option<u64>,
}

impl Report {
    /// Whether new events went out as fast as they were meant to.
    pub const fn kept_schedule(&self) -> bool {
        self.late_batches == 0 && self.events_not_sent == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in catalogue::in_order(&self.accepted_by_name) {
            writeln!(f, "{name:<24}{:>12}", grouped(*count))?;
        }
        writeln!(f, "{:<24}{:>12}", "distinct accepted", grouped(self.distinct_accepted))?;
        if self.distinct_unclear > 0 {
            writeln!(f, "{:<24}{:>12}", "distinct unclear", grouped(self.distinct_unclear))?;
        }
        writeln!(
            f,
            "\nsent       {} new and {} again in {:.1} s, {} bytes an event, {} requests, {} retries",
            grouped(self.events_new),
            grouped(self.events_again),
            self.elapsed_s,
            self.bytes_per_event,
            grouped(self.requests),
            grouped(self.retries),
        )?;
        writeln!(
            f,
            "answers    {} accepted ({}/s), {} rejected",
            grouped(self.accepted),
            grouped(self.accepted_rate),
            grouped(self.rejected),
        )?;
        for (title, latency) in
            [("latency", self.latency_ms), ("from due", self.from_schedule_ms.filter(|_| self.target_rate > 0))]
        {
            if let Some(Latency { p50, p90, p99, max }) = latency {
                writeln!(f, "{title:<11}p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, max {max} ms")?;
            }
        }
        if self.target_rate > 0 {
            let kept = if self.kept_schedule() { "kept" } else { "NOT KEPT" };
            writeln!(
                f,
                "schedule   {kept}: {}/s wanted, {}/s sent, {} batches late by up to {} ms, {} events not sent",
                grouped(self.target_rate),
                grouped(self.rate),
                self.late_batches,
                self.latest_ms,
                grouped(self.events_not_sent),
            )?;
        }
        for (title, codes) in [("errors", &self.errors), ("rejected", &self.rejection_codes)] {
            for (code, count) in codes {
                writeln!(f, "{title:<11}{code}: {}", grouped(*count))?;
            }
        }
        if let Some(problem) = &self.last_problem {
            writeln!(f, "last error {problem}")?;
        }
        if let (Some(cpu), Some(per_second)) = (self.cpu_s, self.events_per_cpu_second) {
            writeln!(f, "cpu        {cpu:.2} s here, {} events a second a core", grouped(per_second))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latency = Latency::of(&(1..=200).map(Duration::from_millis).collect::<Vec<_>>());
        assert_eq!(latency, Some(Latency { p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 }));
        assert_eq!(Latency::of(&[]), None);
    }
}
