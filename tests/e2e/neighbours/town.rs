//! Fifty accounts, of which one does harm, and what must be right with the others.

#![expect(clippy::print_stdout, reason = "times: shown when a test fails")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    runtime_api::{Function, Outcome},
    socket::Socket,
    stack::{Account, PATIENCE, Stack, eventually},
};
use tokio::sync::Mutex;

/// Accounts beside the one that does harm.
const NEIGHBOURS: usize = 49;
/// Requests at the same time.
pub const AT_ONCE: usize = 8;
/// How long events may take to a viewer while somebody does harm.
const LIVE_PATIENCE: Duration = Duration::from_secs(20);
/// Memory of `rollup-metrics` as deployed.
const ROLLUP_MEMORY: u64 = 256 * 1024 * 1024;
/// Age of the events of which rollups must be made, in milliseconds.
const EARLIER: i64 = 2 * 3_600_000;

/// One account does harm while its neighbours send, and then nothing is wrong with them.
pub async fn simulate(name: &str, harm: impl AsyncFn(&Offender<'_>) -> Result<()>) -> Result<()> {
    let stack = Stack::alone().await;
    let bad = Offender { account: stack.account(name), metrics: Mutex::default() };
    let neighbours: Vec<Neighbour<'_>> =
        (0..NEIGHBOURS).map(|place| Neighbour { account: stack.account("neighbour"), place }).collect();
    send(&neighbours, Share::Earlier).await?;
    let mut viewer = neighbours[0].view().await?;
    let (harmed, sent) = tokio::join!(harm(&bad), async {
        // In the middle of it, and once it is known that somebody watches.
        tokio::time::sleep(Duration::from_secs(3)).await;
        send(&neighbours, Share::Now).await?;
        neighbours[0].until_seen(&mut viewer).await
    });
    let verdict = match sent {
        Ok(()) => until_right(&stack, &neighbours).await,
        failed => failed,
    };
    // Whatever the verdict is: other tests need the stack as it was.
    bad.remove_metrics().await?;
    harmed.context("the account that does harm")?;
    verdict
}

async fn send(neighbours: &[Neighbour<'_>], share: Share) -> Result<()> {
    stream::iter(neighbours)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |neighbour| neighbour.send(share).await)
        .await
}

/// Waits until all is right with all neighbours, for as long after the harm as the promise allows.
async fn until_right(stack: &Stack, neighbours: &[Neighbour<'_>]) -> Result<()> {
    let started = Instant::now();
    let mut rollups = Rollups::start(stack).await?;
    loop {
        rollups.compute().await?;
        let lacking: Vec<(usize, String)> = stream::iter(neighbours)
            .map(async |neighbour| Ok::<_, anyhow::Error>((neighbour.place, neighbour.lacks().await?)))
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |(place, lack)| Ok(lack.map(|lack| (place, lack))))
            .try_collect()
            .await?;
        let (seconds, last) = (PATIENCE.as_secs(), &rollups.last);
        if let Some((place, lack)) = lacking.first() {
            let count = lacking.len();
            ensure!(
                started.elapsed() < PATIENCE,
                "{count} of {NEIGHBOURS} accounts are not right after {seconds} s. Account {place}: {lack}; rollups: {last}"
            );
            continue;
        }
        // Of new accounts, rollups come one after the other. That any come shows that the others' work goes on.
        let sources: Vec<String> = stream::iter(neighbours)
            .map(async |neighbour| Ok::<_, anyhow::Error>(neighbour.rates().await?.1))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        if sources.iter().any(|source| source != "events") {
            println!("all is right after {:.1} s", started.elapsed().as_secs_f64());
            return Ok(());
        }
        ensure!(started.elapsed() < 2 * PATIENCE, "no rollups after {} s; rollups: {last}", 2 * seconds);
    }
}

/// The function that computes rollups, called more often than by its schedule.
struct Rollups {
    function: Function,
    /// How its last call ended.
    last: String,
}

impl Rollups {
    async fn start(stack: &Stack) -> Result<Self> {
        const SETTINGS: [&str; 11] = [
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL",
            "METRICS_TABLE",
            "CONNECTIONS_TABLE",
            "ROLLUPS_TABLE",
            "RETENTION_DAYS",
            "CLICKHOUSE_URL",
            "CLICKHOUSE_USER",
            "CLICKHOUSE_DATABASE",
        ];
        let settings: Vec<(&str, String)> = SETTINGS.into_iter().map(|key| (key, stack.setting(key))).collect();
        let mut environment = vec![("LOG_LEVEL", "error"), ("ROLLUP_SECONDS", "4"), ("ROLLUP_PAUSE_SECONDS", "1")];
        environment.extend(settings.iter().map(|(key, value)| (*key, value.as_str())));
        let function = Function::start(&stack.function("rollup-metrics"), &environment).await?;
        Ok(Self { function, last: String::new() })
    }

    /// One call: it may fail, or leave the work to another one. More memory than it has when it is deployed, it may not take.
    async fn compute(&mut self) -> Result<()> {
        self.last = match self.function.invoke("{}".to_owned()).await? {
            Outcome::Response(done) => String::from_utf8_lossy(&done).into_owned(),
            Outcome::Error(error) => format!("failed: {}", String::from_utf8_lossy(&error)),
            Outcome::Died => "died".to_owned(),
        };
        let pid = self.function.pid().context("rollup-metrics has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a process has memory")?;
        let peak = 1_024 * peak.trim().trim_end_matches(" kB").parse::<u64>()?;
        ensure!(peak < ROLLUP_MEMORY, "rollup-metrics takes {} MB", peak / 1_048_576);
        Ok(())
    }
}

/// The account that does harm, with the metrics that it was allowed to define.
pub struct Offender<'s> {
    pub account: Account<'s>,
    metrics: Mutex<Vec<String>>,
}

impl Offender<'_> {
    /// Defines a metric; whether it was taken.
    pub async fn define(&self, metric: &Value) -> Result<bool> {
        loop {
            let request = self.account.stack.post("/api/metrics").bearer_auth(self.account.token(Role::Analyst));
            let answer = request.json(metric).send().await?;
            let status = answer.status();
            ensure!(is_settled(status), "{} is answered with {status}", metric["name"]);
            let answer: Value = answer.json().await?;
            if answer["code"] == "conflict" {
                // Another one was defined at the same time.
                continue;
            }
            if !status.is_success() {
                println!("{} is refused: {}", metric["name"], answer["errors"].get(0).unwrap_or(&answer)["detail"]);
                return Ok(false);
            }
            let id = answer["metricId"].as_str().or(answer["id"].as_str()).context("a metric has an id")?;
            self.metrics.lock().await.push(id.to_owned());
            return Ok(true);
        }
    }

    /// Sends a batch that may be refused.
    pub async fn send(&self, batch: &Value) -> Result<()> {
        let status = self.account.send(batch).await?.status();
        ensure!(is_settled(status), "a batch is answered with {status}");
        Ok(())
    }

    /// Deletes what it has defined.
    async fn remove_metrics(&self) -> Result<()> {
        // The first may stand in the formulas of the others.
        stream::iter(self.metrics.lock().await.drain(..).rev())
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, async |id| {
                let path = format!("/api/metrics/{id}");
                // Of several changes at the same time, one wins and the others are to look again.
                eventually(&format!("{path} is deleted"), async || {
                    let request = self.account.stack.request(Method::DELETE, &path);
                    let status = request.bearer_auth(self.account.token(Role::Analyst)).send().await?.status();
                    ensure!(status.is_success() || status == StatusCode::CONFLICT, "{path} is not deleted: {status}");
                    Ok(status.is_success())
                })
                .await?;
                Ok(())
            })
            .await
    }
}

/// Whether the API has answered by taking or refusing it, and not by failing.
pub fn is_settled(status: StatusCode) -> bool {
    status.is_success() || status.is_client_error()
}

/// An event with an id of this account's.
pub fn event(account: &Account<'_>, number: usize, name: &str, campaign: &str, timestamp: i64) -> Value {
    json!({
        "eventName": name, "eventId": format!("{}-{number}", account.id), "timestamp": timestamp,
        "properties": {"campaignId": campaign, "zone": format!("zone {}", number % 3)},
    })
}

/// An account that does no harm, and what it has sent.
struct Neighbour<'s> {
    account: Account<'s>,
    place: usize,
}

/// Before the harm is done, and while it is.
#[derive(Clone, Copy)]
enum Share {
    Earlier,
    Now,
}

impl Neighbour<'_> {
    /// Events sent and delivered of a campaign: other numbers for each account.
    const fn counts(&self, campaign: usize) -> (usize, usize) {
        (4 + self.place % 7 + campaign, 1 + self.place % (4 + campaign))
    }

    /// The same events in each share, with ids and times of their own.
    async fn send(&self, share: Share) -> Result<()> {
        let (offset, timestamp) = match share {
            Share::Earlier => (0, now_millis() - EARLIER),
            Share::Now => (1_000, now_millis()),
        };
        let mut events = Vec::new();
        for campaign in 0..2 {
            let (sent, delivered) = self.counts(campaign);
            let names =
                std::iter::repeat_n("message_sent", sent).chain(std::iter::repeat_n("message_delivered", delivered));
            for name in names {
                let number = offset + events.len();
                events.push(event(&self.account, number, name, &format!("c{campaign}"), timestamp));
            }
        }
        self.account.send_all(&events).await
    }

    /// Events of both shares.
    fn total(&self) -> u64 {
        let of = |campaign| {
            let (sent, delivered) = self.counts(campaign);
            2 * (sent + delivered)
        };
        (of(0) + of(1)) as u64
    }

    /// A viewer of its live events.
    async fn view(&self) -> Result<Socket> {
        let query = format!("token={}&stream=analytics", self.account.token(Role::Viewer));
        let mut viewer = Socket::open(&self.account.stack.setting("LIVE_URL"), &query).await?;
        viewer.expect_all(&["ready", "subscribed", "snapshot"]).await?;
        Ok(viewer)
    }

    /// Waits until the viewer has been shown all events of a share.
    async fn until_seen(&self, viewer: &mut Socket) -> Result<()> {
        let (started, mut seen) = (Instant::now(), 0);
        while seen < self.total() / 2 {
            let left = LIVE_PATIENCE.saturating_sub(started.elapsed());
            let frame = viewer.hear_within(left).await?;
            let frame = frame.with_context(|| format!("{seen} of {} events were shown live", self.total() / 2))?;
            seen = seen.max(frame["totals"]["events"].as_u64().unwrap_or_default());
        }
        println!("all live events are seen after {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// What is not yet as it must be, if anything is not.
    async fn lacks(&self) -> Result<Option<String>> {
        let total = self.account.total(&[]).await?;
        ensure!(total <= self.total(), "{total} events where {} were sent", self.total());
        if total < self.total() {
            return Ok(Some(format!("{total} of {} events are found", self.total())));
        }
        let (sent, delivered) = self.counts(1);
        let found = self.account.total(&[("property.campaignId", "c1")]).await?;
        if found != 2 * (sent + delivered) as u64 {
            return Ok(Some(format!("{found} events are found by their campaign")));
        }
        let rates = self.rates().await?;
        for campaign in 0..2 {
            let (sent, delivered) = self.counts(campaign);
            let (wanted, found) = (100.0 * delivered as f64 / sent as f64, rates.0.get(&format!("c{campaign}")));
            if found.is_none_or(|found| (found - wanted).abs() > 1e-9) {
                return Ok(Some(format!("the rate of campaign {campaign} is {found:?}, not {wanted}")));
            }
        }
        Ok(None)
    }

    /// The delivery rate of each campaign, and what it comes from.
    async fn rates(&self) -> Result<(BTreeMap<String, f64>, String)> {
        let path = "/api/metrics/delivery_rate/data?period=24h&interval=none&groupBy=campaignId";
        let request = self.account.stack.get(path).bearer_auth(self.account.token(Role::Viewer));
        let answer = request.send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status == StatusCode::OK, "{status} {answer}");
        let series = answer["series"].as_array().context("an answer has series")?;
        let rate = |series: &Value| Some((series["key"]["campaignId"].as_str()?.to_owned(), series["total"].as_f64()?));
        Ok((series.iter().filter_map(rate).collect(), answer["source"].as_str().unwrap_or_default().to_owned()))
    }
}
