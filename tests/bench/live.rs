//! From accepted to seen: how long after the 202 of an event its frame is at the clients, with one and many of them, and what
//! the emulator alone takes to post as many frames.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::aws;
use analytics_sockets::Sockets;
use anyhow::{Context, Result, ensure};
use aws_sdk_sqs::Client;
use serde_json::json;
use tests::socket::Socket;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    local::Local,
    plan::Plan,
    report::{Figure, Must, Row},
    stats::{median, percentile},
};

/// Sockets, and on how many accounts they are.
const AUDIENCES: [(usize, usize); 5] = [(1, 1), (100, 1), (100, 10), (1_000, 1), (1_000, 100)];
/// Events a second, of all accounts together.
const RATES: [usize; 2] = [1_000, 10_000];
/// How long each is sent.
const SECONDS: usize = 15;
/// Requests a second.
const REQUESTS: usize = 20;
/// `StreamIntervalMs` of the template: between two frames to a client.
const INTERVAL: Duration = Duration::from_millis(250);
/// Tries of a request: an emulator that posts thousands of frames may not answer in time.
const TRIES: usize = 30;
/// Rounds of what the emulator does alone, with frames of so many bytes, as many at once as `stream-events` posts.
const ROUNDS: usize = 5;
const FRAME: usize = 12_000;
const AT_ONCE: usize = 64;
/// Between two clients that leave: if a thousand did at once, the emulator would start hundreds of processes to take note of it.
const LEAVING: Duration = Duration::from_millis(20);
/// How long frames may still come after the last event.
const PATIENCE: Duration = Duration::from_secs(60);

/// A frame as it came: when, and how many events it says there were by then.
type Heard = (Instant, u64);

pub async fn measure(local: &Local, plan: &Plan) -> Result<Figure> {
    let mut figure = Figure::new("live");
    figure.rows.push(unwatched(local).await?);
    for &(sockets, accounts) in &AUDIENCES[..plan.pick(AUDIENCES.len(), 1)] {
        let alone = emulator_alone(local, sockets).await?;
        for &rate in &RATES[..plan.pick(RATES.len(), 1)] {
            let run = run(local, sockets, accounts, rate).await?;
            let name = format!("{sockets} sockets on {accounts}, {rate}/s");
            let must = match (sockets, rate) {
                (100, 1_000) => Must::AtMost(50.0),
                _ => Must::Nothing,
            };
            let p50 = |values: &[f64]| vec![median(values)];
            let p99 = |values: &[f64]| vec![percentile(values, 0.99)];
            figure.rows.push(Row::new(format!("{name}: 202 to frame"), "ms, p50", p50(&run.all), Must::Nothing));
            figure.rows.push(Row::new(format!("{name}: 202 to frame"), "ms, p99", p99(&run.all), must));
            figure.rows.push(Row::new(
                format!("{name}: beyond the interval"),
                "ms, p50",
                p50(&run.beyond),
                Must::Nothing,
            ));
            figure.rows.push(
                Row::new(format!("{name}: beyond the interval"), "ms, p99", p99(&run.beyond), must)
                    .beside("emulator alone posts one to each", vec![percentile(&alone, 0.99)]),
            );
            figure.rows.push(Row::new(
                format!("{name}: frames"),
                "a second and socket",
                vec![run.frames],
                Must::AtMost(4.1),
            ));
            eprintln!(
                "  {name}: p99 {:.0} ms, beyond {:.0} ms",
                percentile(&run.all, 0.99),
                percentile(&run.beyond, 0.99)
            );
        }
    }
    figure.notes.push(format!(
        "an event that comes right after a frame waits for the rest of {} ms, since a client gets four frames a second at \
         most: `beyond the interval` leaves that wait out",
        INTERVAL.as_millis()
    ));
    figure.notes.push("every socket was told of every event in the end; functions of the dev profile".to_owned());
    Ok(figure)
}

/// What one run came to.
struct Run {
    /// Milliseconds from a request's 202 to the frame with its events, for each request and socket.
    all: Vec<f64>,
    /// The same without the wait for the interval since the frame before.
    beyond: Vec<f64>,
    /// Frames a second and socket.
    frames: f64,
}

async fn run(local: &Local, sockets: usize, accounts: usize, rate: usize) -> Result<Run> {
    let salt = u32::from_be_bytes(analytics_platform::random());
    let names: Vec<String> = (0..accounts).map(|number| format!("live-{salt:08x}-{number}")).collect();
    let mut listeners = Vec::new();
    for name in &names {
        let token = local.token(name, Role::Viewer)?;
        for _ in 0..sockets / accounts {
            listeners.push(Listener::open(local, name, &token).await?);
        }
    }
    let mut senders = HashMap::new();
    for name in &names {
        senders.insert(name.clone(), local.token(name, Role::Ingest)?);
    }
    // The functions are started, and believe that somebody watches.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let size = rate / REQUESTS;
    let mut sending = JoinSet::new();
    let started = Instant::now();
    for number in 0..SECONDS * REQUESTS {
        tokio::time::sleep_until(
            (started + Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(REQUESTS)?).into(),
        )
        .await;
        let name = names[number % accounts].clone();
        let request = local.http.post(format!("{}/api/events/batch", local.setting("API_URL")?));
        let events = vec![
            json!({"eventName": "message_sent", "properties": {"campaignId": "c", "groupId": "g-7", "text": "限时 скидка sale"}});
            size
        ];
        let request = request.bearer_auth(&senders[&name]).json(&json!({"events": events}));
        sending.spawn(async move {
            for _ in 0..TRIES {
                let request = request.try_clone().context("a body that can be sent again")?;
                if request.send().await.is_ok_and(|answer| answer.status() == 202) {
                    return Ok((name, Instant::now()));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            anyhow::bail!("a request was not accepted")
        });
    }
    let mut accepted: HashMap<String, Vec<Instant>> = HashMap::new();
    while let Some(sent) = sending.join_next().await {
        let (name, at) = sent??;
        accepted.entry(name).or_default().push(at);
    }
    // Who was left out of the last frame hears of it with the next.
    let (http, url) = (local.http.clone(), format!("{}/api/events/batch", local.setting("API_URL")?));
    let nudging = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            for token in senders.values() {
                let request = http.post(&url).bearer_auth(token).json(&json!([{"eventName": "message_sent"}]));
                request.send().await.ok();
            }
        }
    });
    let mut run = Run { all: Vec::new(), beyond: Vec::new(), frames: 0.0 };
    let mut frames = 0;
    for listener in &listeners {
        let mut times = accepted.get(&listener.account).cloned().unwrap_or_default();
        times.sort_unstable();
        let heard = listener.until(u64::try_from(times.len() * size)?).await?;
        frames += heard.len();
        for (number, at) in times.iter().enumerate() {
            let needed = u64::try_from((number + 1) * size)?;
            let place = heard.iter().position(|(_, events)| *events >= needed).context("every event is told")?;
            let seen = heard[place].0;
            let due = match place.checked_sub(1) {
                Some(before) => (heard[before].0 + INTERVAL).max(*at),
                None => *at,
            };
            run.all.push(milliseconds(seen, *at));
            run.beyond.push(milliseconds(seen, due));
        }
    }
    nudging.abort();
    for listener in &listeners {
        tokio::time::sleep(LEAVING).await;
        listener.is_over.store(true, Ordering::Relaxed);
    }
    run.frames = frames as f64 / sockets as f64 / SECONDS as f64;
    Ok(run)
}

/// Messages to the live queue while nobody watches.
async fn unwatched(local: &Local) -> Result<Row> {
    let token = local.token("live-unwatched", Role::Ingest)?;
    let client = Client::new(&aws::sdk_config(&lookup(local))?);
    // The queue numbers its messages.
    let number = async |what: &str| -> Result<u64> {
        let send = client.send_message().queue_url(local.setting("LIVE_QUEUE_URL")?).message_group_id("bench");
        let sent = send.message_body(format!("{what} {:?}", Instant::now())).send().await?;
        Ok(sent.sequence_number().context("the queue is a FIFO")?.parse()?)
    };
    let before = number("before").await?;
    for _ in 0..REQUESTS * 5 {
        let request = local.http.post(format!("{}/api/events/batch", local.setting("API_URL")?));
        let events = vec![json!({"eventName": "message_sent"}); 50];
        let status = request.bearer_auth(&token).json(&json!({"events": events})).send().await?.status();
        ensure!(status == 202, "{status}");
    }
    // What was stored would have been told too.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sent = number("after").await? - before - 1;
    Ok(Row::new("live messages of 5,000 events, nobody watching", "", vec![sent as f64], Must::AtMost(0.0)))
}

/// Milliseconds until each of so many sockets has one frame that is posted to all, by round.
async fn emulator_alone(local: &Local, count: usize) -> Result<Vec<f64>> {
    let sockets = Sockets::from_lookup(&aws::sdk_config(&lookup(local))?, &lookup(local))?;
    let account = format!("live-alone-{:08x}", u32::from_be_bytes(analytics_platform::random()));
    let token = local.token(&account, Role::Viewer)?;
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut socket = Socket::open(local.setting("LIVE_URL")?, &format!("token={token}")).await?;
        let ready = socket.expect("ready").await?;
        clients.push((ready["connectionId"].as_str().unwrap_or_default().to_owned(), socket));
    }
    let frame = json!({"padding": "x".repeat(FRAME)}).to_string();
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let (at_once, mut hearing) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for (id, mut socket) in clients.drain(..) {
            let (sockets, frame, at_once) = (sockets.clone(), frame.clone(), Arc::clone(&at_once));
            hearing.spawn(async move {
                let permit = at_once.acquire().await?;
                sockets.post(&id, &frame).await?;
                drop(permit);
                socket.hear().await?;
                Ok::<_, anyhow::Error>((milliseconds(Instant::now(), started), (id, socket)))
            });
        }
        while let Some(heard) = hearing.join_next().await {
            let (after, client) = heard??;
            took.push(after);
            clients.push(client);
        }
    }
    for client in clients {
        tokio::time::sleep(LEAVING).await;
        drop(client);
    }
    Ok(took)
}

fn lookup(local: &Local) -> impl Fn(&str) -> Option<String> {
    let settings: HashMap<String, String> =
        local.environment().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    move |key: &str| settings.get(key).cloned()
}

fn milliseconds(later: Instant, earlier: Instant) -> f64 {
    later.saturating_duration_since(earlier).as_secs_f64() * 1_000.0
}

/// A client that only listens.
struct Listener {
    account: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    is_over: Arc<AtomicBool>,
}

impl Listener {
    async fn open(local: &Local, account: &str, token: &str) -> Result<Self> {
        let url = local.setting("LIVE_URL")?;
        let mut socket = Socket::open(url, &format!("token={token}&stream=analytics")).await?;
        socket.expect_all(&["ready", "subscribed", "snapshot"]).await?;
        let (heard, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (all, over) = (Arc::clone(&heard), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let Ok(frame) = socket.hear_within(Duration::from_millis(500)).await else { return };
                let Some(frame) = frame else { continue };
                let now = Instant::now();
                let events = frame["totals"]["events"].as_u64().unwrap_or(0);
                socket.heard.clear();
                all.lock().unwrap_or_else(PoisonError::into_inner).push((now, events));
            }
        });
        Ok(Self { account: account.to_owned(), heard, is_over })
    }

    /// All that was heard, once so many events were told.
    async fn until(&self, events: u64) -> Result<Vec<Heard>> {
        let started = Instant::now();
        loop {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if heard.last().is_some_and(|(_, told)| *told >= events) {
                return Ok(heard);
            }
            let told = heard.last().map_or(0, |(_, told)| *told);
            ensure!(started.elapsed() < PATIENCE, "a socket heard of {told} of {events} events");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
