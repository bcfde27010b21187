//! What happens when a part is down or a message makes no sense: nothing is lost, nothing is held up.

#![expect(clippy::print_stdout, reason = "seed, kills and times: shown when a test fails")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use analytics_domain::{
    access::Role,
    event::{SealedBatch, SealedEvent, seal},
};
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{
    gateway, pipeline,
    proxy::{FaultProxy, Parts},
    runtime_api::Outcome,
    sqs::Queue,
    stack::{Account, PATIENCE, Stack, eventually},
};
use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
};

/// How long ClickHouse stays down. Longer changes nothing but the length of the backlog.
const OUTAGE: Duration = Duration::from_secs(15);

/// The ClickHouse that the stack has started.
struct ClickHouse {
    state: PathBuf,
    url: String,
    port: u16,
}

impl ClickHouse {
    fn of(stack: &Stack) -> Result<Self> {
        let state = stack.folder()?;
        let url = stack.setting("CLICKHOUSE_URL");
        let port = url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        Ok(Self { state, port: port.context("the address has a port")?, url })
    }

    /// With SIGKILL: it gets no chance to finish or write down anything.
    async fn kill(&self) -> Result<()> {
        let record = self.state.join("run/clickhouse.json");
        let record = std::fs::read(record).context("this test kills ClickHouse, so it must be the stack's own")?;
        let record: Value = serde_json::from_slice(&record)?;
        let pid = record["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        kill_process(pid.context("a process has a number")?, Signal::KILL)?;
        eventually("ClickHouse is gone", async || Ok(TcpStream::connect(("127.0.0.1", self.port)).await.is_err())).await
    }

    async fn start(&self, stack: &Stack) -> Result<()> {
        let mut start = Command::new(stack.function("stack"));
        start.arg("start-clickhouse").env("STACK", &self.state).env("CLICKHOUSE_PORT", self.port.to_string());
        // Of the tests' environment, what would say that this is somebody else's ClickHouse, or another stack.
        start.env_remove("CLICKHOUSE_URL").env("TEST_STACK", self.state.join("none"));
        let output = start.output().await?;
        ensure!(output.status.success(), "{} does not start: {}", self.url, String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

#[tokio::test]
async fn with_clickhouse_down_ingest_goes_on_and_every_event_is_found_once() -> Result<()> {
    let stack = Stack::alone().await;
    let account = stack.account("outage");
    let dead_letters = Queue::at(stack.setting("DEAD_LETTER_QUEUE_URL"))?;
    let dead_before = dead_letters.count().await?;
    send_ten(&account, 0).await?;
    account.until_total(10, &[]).await?;

    let clickhouse = ClickHouse::of(&stack)?;
    clickhouse.kill().await?;
    let sent_meanwhile = send_through_an_outage(&stack, &account).await;
    // Whatever came of it: other tests need it back.
    clickhouse.start(&stack).await?;
    let back = Instant::now();
    let sent = 10 + sent_meanwhile?;

    account.until_total(sent, &[]).await?;
    println!("{sent} events found {:.1} s after ClickHouse came back", back.elapsed().as_secs_f32());
    for number in 0..sent / 10 {
        let number = number.to_string();
        ensure!(account.total(&[("property.batch", &number)]).await? == 10, "batch {number} is not there once");
    }
    let health = stack.get("/health").send().await?;
    ensure!(health.status() == StatusCode::OK, "{}", health.text().await?);
    let dead = dead_letters.count().await?;
    ensure!(dead == dead_before, "{} messages were set aside", dead - dead_before);
    Ok(())
}

async fn send_ten(account: &Account<'_>, batch: u64) -> Result<()> {
    let event = |_| json!({"eventName": "message_sent", "properties": {"batch": batch}});
    account.send_all(&(0..10).map(event).collect::<Vec<_>>()).await
}

/// Sends for as long as ClickHouse stays down; every batch must be accepted, and the outage must show. Says how many
/// events it were.
async fn send_through_an_outage(stack: &Stack, account: &Account<'_>) -> Result<u64> {
    let started = Instant::now();
    let mut batches = 0;
    while started.elapsed() < OUTAGE {
        batches += 1;
        send_ten(account, batches).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let answer = stack.get("/health").send().await?;
    let status = answer.status();
    let health: Value = answer.json().await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status} {health}");
    ensure!(health["dependencies"]["clickhouse"]["status"] == "down", "{health}");
    ensure!(health["dependencies"]["sqs"]["status"] == "ok", "{health}");
    let search = stack.get("/api/events/search").bearer_auth(account.token(Role::Viewer)).send().await?;
    let (status, problem) = (search.status(), search.text().await?);
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status} {problem}");
    ensure!(!problem.contains("127.0.0.1"), "an answer with internals: {problem}");
    Ok(batches * 10)
}

#[tokio::test]
async fn poison_is_set_aside_with_its_reason_and_holds_up_nobody() -> Result<()> {
    let stack = Stack::alone().await;
    let (account, bad_account) = (stack.account("neighbour"), stack.account("poison"));
    let events = Queue::at(stack.setting("EVENTS_QUEUE_URL"))?;
    let dead_letters = Queue::at(stack.setting("DEAD_LETTER_QUEUE_URL"))?;
    let good: Vec<String> = (0..3).map(|number| sealed(&account.id, number, "{}")).collect::<Result<_>>()?;
    let from_later = format!("Aw{}", &good[0][2..]);
    let poison = BTreeMap::from([
        (format!("{{\"what\": \"坏消息\", \"for\": \"{}\"}}", bad_account.id), "not base64"),
        (good[1][..good[1].len() / 8 * 4].to_owned(), "not a"),
        (from_later, "sealed by a version this one doesn't know: 3"),
        (sealed(&bad_account.id, 0, r#"{"text":"#)?, "properties that are no JSON object"),
    ]);
    let bodies: Vec<String> = poison.keys().cloned().collect();
    let mixed = [bodies[0].clone(), good[0].clone(), bodies[1].clone(), good[1].clone(), bodies[2].clone()];
    events.send_all(&[&mixed[..], &bodies[3..], &good[2..]].concat()).await?;

    let sent = Instant::now();
    account.until_total(3, &[]).await?;
    ensure!(sent.elapsed() < PATIENCE / 3, "poison held up its neighbours for {:?}", sent.elapsed());
    until_set_aside(&dead_letters, &poison).await?;

    // By hand, as after a mistake of ours that is mended now: one that was good all along.
    let mended = sealed(&account.id, 3, "{}")?;
    dead_letters.send_all(std::slice::from_ref(&mended)).await?;
    let redrive = Command::new(stack.function("stack")).arg("redrive").output().await?;
    let (said, complaint) = (String::from_utf8_lossy(&redrive.stdout), String::from_utf8_lossy(&redrive.stderr));
    ensure!(redrive.status.success(), "{said}{complaint}");
    ensure!(said.contains("messages sent back") && said.contains("not base64"), "{said}");
    account.until_total(4, &[]).await?;
    ensure!(bad_account.total(&[]).await? == 0, "an event out of nothing");
    until_set_aside(&dead_letters, &poison).await?;
    ensure!(!dead_letters.reasons().await?.contains_key(&mended), "what was stored is still set aside");
    dead_letters.remove_all(&bodies).await
}

/// Waits until all of the poison is set aside, each with its reason.
async fn until_set_aside(dead_letters: &Queue, poison: &BTreeMap<String, &str>) -> Result<()> {
    eventually("all poison is set aside", async || {
        let found = dead_letters.reasons().await?;
        for (body, expected) in poison {
            let Some(reason) = found.get(body) else { return Ok(false) };
            let reason = reason.as_deref().context("a message was set aside without a reason")?;
            ensure!(reason.contains(expected), "set aside with {reason:?}, not {expected:?}");
        }
        Ok(true)
    })
    .await
}

/// A sealed batch of one event, with this id.
pub fn sealed(account_id: &str, number: u32, properties: &str) -> Result<String> {
    let now = now_millis();
    let event = SealedEvent {
        position: 0,
        timestamp: now,
        event_type: "message".into(),
        event_name: "message_sent".into(),
        event_id: number.to_string().into(),
        properties: properties.into(),
        ..SealedEvent::default()
    };
    let account_id = account_id.into();
    let batch = SealedBatch { account_id, received_at: now, events: vec![event], ..SealedBatch::default() };
    seal(batch)?.pop().context("one event is one message")
}

#[tokio::test]
async fn rejected_events_are_kept_with_their_reason_once() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("rejected");
    let queue = Queue::create("rejected").await?;
    let mut track = pipeline::track_events(&stack, &stack.setting("AWS_ENDPOINT_URL"), &queue.url).await?;
    let body = json!([
        {"eventName": "message_sent"},
        {"eventName": 7, "properties": {"text": "kept as it came"}},
        {"eventName": "link_clicked", "eventId": "no-time"},
    ]);
    let request = gateway::post("/api/events/batch", &account.token(Role::Ingest), &[], &body.to_string());
    let answer = gateway::answer(&track.invoke(request).await?)?;
    ensure!(answer.status == 202 && answer.body["rejected"] == 2, "{answer:?}");
    let messages = queue.drain().await?;
    queue.remove().await?;

    let database = stack.setting("CLICKHOUSE_DATABASE");
    let mut store = pipeline::store_events(&stack, &stack.setting("CLICKHOUSE_URL"), &database).await?;
    for delivery in 0..2 {
        let message = (delivery.to_string(), messages[0].as_str());
        store.invoke(pipeline::sqs_event(std::iter::once(message))).await?;
    }
    ensure!(account.total(&[]).await? == 1, "the good one is counted once");
    let page = account.search(&[("status", "rejected"), ("count", "true")]).await?;
    ensure!(page["total"] == 2, "{page}");
    let found = page["events"].as_array().context("a page has events")?;
    let of = |index: u64| found.iter().find(|event| event["index"] == index).context("each is kept");
    let (first, second) = (of(1)?, of(2)?);
    ensure!(first["code"] == "invalid_type" && first["pointer"] == "/eventName", "{first}");
    ensure!(first["event"].as_str().is_some_and(|event| event.contains("kept as it came")), "{first}");
    ensure!(second["code"] == "timestamp_required" && second["eventName"] == "link_clicked", "{second}");
    Ok(())
}

#[tokio::test]
async fn a_call_of_well_packed_events_is_answered_in_time_and_stored_by_and_by() -> Result<()> {
    let stack = Stack::shared().await;
    let (large, small) = (stack.account("packed"), stack.account("packed-neighbour"));
    let properties = json!({"text": "x".repeat(700_000)}).to_string();
    let mut waiting: Vec<String> =
        (0..130).map(|number| sealed(&large.id, number, &properties)).collect::<Result<_>>()?;
    waiting.push(sealed(&small.id, 0, "{}")?);
    let database = stack.setting("CLICKHOUSE_DATABASE");
    let mut store = pipeline::store_events(&stack, &stack.setting("CLICKHOUSE_URL"), &database).await?;
    let mut calls = 0;
    while !waiting.is_empty() {
        let began = Instant::now();
        let messages = waiting.iter().enumerate().map(|(number, body)| (number.to_string(), body.as_str()));
        let Outcome::Response(answer) = store.invoke(pipeline::sqs_event(messages)).await? else {
            anyhow::bail!("no answer")
        };
        ensure!(began.elapsed() < Duration::from_secs(18), "answered after {:?}", began.elapsed());
        let answer: Value = serde_json::from_slice(&answer)?;
        let again = answer["batchItemFailures"].as_array().context("failures")?;
        let again: Vec<usize> = again.iter().filter_map(|one| one["itemIdentifier"].as_str()?.parse().ok()).collect();
        ensure!(again.len() < waiting.len(), "nothing was stored");
        if calls == 0 {
            ensure!(!again.is_empty() && !again.contains(&130), "{} messages come again", again.len());
            ensure!(small.total(&[]).await? == 1, "the neighbour waits for nobody");
        }
        waiting = again.into_iter().map(|number| waiting[number].clone()).collect();
        calls += 1;
    }
    ensure!(large.total(&[]).await? == 130, "after {calls} calls");
    Ok(())
}

#[tokio::test]
async fn a_slow_table_of_viewers_delays_no_storing() -> Result<()> {
    let stack = Stack::shared().await;
    let accounts: Vec<Account<'_>> = (0..100).map(|_| stack.account("slow-table")).collect();
    let messages: Vec<String> = accounts.iter().map(|account| sealed(&account.id, 0, "{}")).collect::<Result<_>>()?;
    let is_table = |parts: &Parts| {
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        target.is_some_and(|target| target.starts_with("DynamoDB_"))
    };
    let proxy = FaultProxy::start(&stack.setting("AWS_ENDPOINT_URL"), is_table).await?;
    proxy.delay(Duration::from_secs(2));
    let own = [("AWS_ENDPOINT_URL", proxy.url.as_str())];
    let mut store = pipeline::function(&stack, "store-events", &own, None).await?;
    let began = Instant::now();
    let messages = messages.iter().enumerate().map(|(number, body)| (number.to_string(), body.as_str()));
    let Outcome::Response(answer) = store.invoke(pipeline::sqs_event(messages)).await? else {
        anyhow::bail!("no answer")
    };
    // One account after the other, it would be half a minute.
    ensure!(began.elapsed() < Duration::from_secs(6), "answered after {:?}", began.elapsed());
    let answer: Value = serde_json::from_slice(&answer)?;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    for account in [&accounts[0], &accounts[99]] {
        ensure!(account.total(&[]).await? == 1, "its event is stored");
    }
    Ok(())
}

#[tokio::test]
async fn without_the_queue_nothing_is_accepted() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("unsent");
    // Nobody listens there: the port was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let queue = stack.setting("EVENTS_QUEUE_URL");
    let mut track = pipeline::track_events(&stack, &format!("http://{nobody}"), &queue).await?;
    let body = json!([{"eventName": "message_sent"}]).to_string();
    let request = gateway::post("/api/events/batch", &account.token(Role::Ingest), &[], &body);
    let answer = gateway::answer(&track.invoke(request).await?)?;
    ensure!(answer.status == 503 && answer.body["code"] == "unavailable", "{answer:?}");
    ensure!(!answer.body.to_string().contains(&nobody.to_string()), "an answer with internals: {answer:?}");
    Ok(())
}
