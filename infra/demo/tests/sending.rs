//! Sending against a server that behaves, and one that does not: nothing is lost, and the books are right.

mod sink;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use demo::batch::Identity;
use demo::campaign_sender::{self, send_all, send_live};
use demo::client::{Layout, Patience};
use demo::event::rfc3339;
use demo::load;
use demo::progress::Progress;
use demo::{Campaigns, Client, Event, Stop, Window};
use sink::{Fault, Sink};

const UNTIL: i64 = 1_782_907_200_000;
const HOUR: i64 = 3_600_000;

const QUICK: Patience = Patience {
    tries: 4,
    first_wait: Duration::from_millis(5),
    longest_wait: Duration::from_millis(50),
    timeout: Duration::from_secs(10),
};

const OPTIONS: campaign_sender::Options =
    campaign_sender::Options { batch: 100, connections: 4, keep_identities: true };

fn client(sink: &Sink) -> Client {
    Client::new(&format!("{}/", sink.url), "a.b.c", QUICK).expect("a client")
}

fn some_events() -> Vec<Event> {
    Campaigns::new(1).events(Window { from_ms: UNTIL - 3 * HOUR, until_ms: UNTIL }).collect()
}

async fn send(sink: &Sink) -> campaign_sender::Summary {
    send_all(&client(sink), some_events().into_iter(), OPTIONS, &Stop::default(), &Progress::silent()).await
}

/// The ledger and the sink name the same events.
fn assert_books_balance(summary: &campaign_sender::Summary, sink: &Sink) {
    let key = |event: &Identity| (event.name.to_owned(), rfc3339(event.at_ms), event.id.clone());
    let mut ledger: Vec<_> = summary.accepted.iter().map(key).collect();
    let mut taken: Vec<_> = sink.seen().taken.keys().cloned().collect();
    ledger.sort();
    taken.sort();
    assert!(ledger == taken, "{} in the ledger, {} taken", ledger.len(), taken.len());
}

#[tokio::test]
async fn history_arrives_whole_in_batches_sent_side_by_side() {
    let sink = Sink::start([]).await;
    let summary = send(&sink).await;
    summary.check().expect("all sent");
    let total = summary.total();
    assert_eq!(total.sent, some_events().len() as u64);
    assert_eq!((total.accepted, total.rejected), (total.sent, 0));
    assert_books_balance(&summary, &sink);
    let seen = sink.seen();
    assert_eq!(seen.largest_batch, 100);
    assert!(seen.most_in_flight > 1, "requests in flight: {}", seen.most_in_flight);
    assert_eq!(seen.last_headers["authorization"], "Bearer a.b.c");
}

#[tokio::test]
async fn outages_and_lost_connections_are_ridden_out() {
    let faults = [
        Fault::Status(503, None),
        Fault::Drop,
        Fault::TakeAndDrop,
        Fault::Status(429, None),
        Fault::Status(500, None),
        Fault::Drop,
    ];
    let sink = Sink::start(faults).await;
    let summary = send(&sink).await;
    summary.check().expect("all sent");
    assert_eq!(summary.total().accepted, some_events().len() as u64);
    assert!(summary.retries >= 3, "{} retries", summary.retries);
    assert_books_balance(&summary, &sink);
}

#[tokio::test]
async fn servers_wish_to_wait_is_honoured() {
    let sink = Sink::start([Fault::Status(429, Some("1"))]).await;
    let started = Instant::now();
    send(&sink).await.check().expect("all sent");
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn rejected_events_are_counted_by_name_and_left_out_of_the_ledger() {
    let sink = Sink::start([Fault::Reject(vec![0, 7, 99]), Fault::RejectAll]).await;
    let summary = send(&sink).await;
    summary.check().expect("every event was answered for");
    let total = summary.total();
    assert_eq!(total.rejected, 103);
    assert_eq!(total.accepted + total.rejected, total.sent);
    assert!(summary.reasons[0].contains("invalid_type"));
    assert_books_balance(&summary, &sink);
}

#[tokio::test]
async fn refused_token_ends_the_run_with_the_servers_words() {
    let sink = Sink::start(vec![Fault::Status(401, None); 50]).await;
    let error = send(&sink).await.check().expect_err("refused");
    assert!(error.to_string().contains("401 told_to"), "{error}");
    assert!(sink.seen().requests <= 4, "each connection notices once");
}

#[tokio::test]
async fn live_run_sends_events_when_their_time_has_come_and_stops_when_told() {
    let sink = Sink::start([Fault::Status(503, None)]).await;
    let stop = Stop::default();
    let from_ms = demo::clock::now_ms();
    let events = Campaigns::new(1).scaled(0.5).events(Window { from_ms, until_ms: i64::MAX });
    // An hour in a second.
    let client = client(&sink);
    let silent = Progress::silent();
    let run = send_live(&client, events, from_ms, 3_600.0, OPTIONS, &stop, &silent);
    let told = async {
        while sink.seen().requests < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.set();
    };
    let (summary, ()) = tokio::join!(run, told);
    summary.check().expect("all sent");
    let until_ms = demo::clock::now_ms();
    assert!(summary.accepted.iter().all(|event| (from_ms..=until_ms).contains(&event.at_ms)));
    assert!(summary.total().accepted > 0);
    assert_books_balance(&summary, &sink);
}

async fn load(sink: &Sink, options: load::Options) -> load::Report {
    load::run(&client(sink), &options, &Stop::default(), &Progress::silent()).await.expect("a report")
}

fn by_name(report: &load::Report) -> BTreeMap<String, u64> {
    report.accepted_by_name.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn load_with_resends_and_faults_keeps_a_ledger_that_equals_what_was_taken() {
    let faults = [
        Fault::TakeAndDrop,
        Fault::Reject(vec![1, 2]),
        Fault::Status(503, None),
        Fault::RejectAll,
        Fault::Drop,
        Fault::TakeAndDrop,
    ];
    let sink = Sink::start(faults).await;
    let file = std::env::temp_dir().join(format!("demo-ledger-{}.ndjson", std::process::id()));
    let options = load::Options {
        rate: 0,
        events: Some(10_030),
        batch: 100,
        resend: 0.2,
        ledger: Some(file.clone()),
        ..load::Options::default()
    };
    let report = load(&sink, options).await;
    assert_eq!((report.events_new, report.events_again), (10_030, 2_000));
    assert_eq!(by_name(&report), sink.counts());
    assert_eq!(report.distinct_unclear, 0);
    assert_eq!(report.rejected, 102);
    let again = sink.seen().taken.values().filter(|times| **times > 1).count();
    assert!((1_500..=2_200).contains(&again), "{again} events arrived more than once");

    let ledger = std::fs::read_to_string(&file).expect("a ledger");
    std::fs::remove_file(&file).expect("a ledger to remove");
    let mut lines = 0;
    for line in ledger.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |key| line[key].as_str().expect("a string").to_owned();
        let at_ms = line["timestamp"].as_i64().expect("milliseconds");
        assert!(sink.seen().taken.contains_key(&(text("eventName"), rfc3339(at_ms), text("eventId"))));
        lines += 1;
    }
    assert_eq!(lines, report.distinct_accepted);
}

#[tokio::test]
async fn resend_that_fails_takes_nothing_back() {
    // The second request is the first batch again; it fails for good.
    let taken = Fault::Reject(Vec::new());
    let faults = [vec![taken], vec![Fault::Status(503, None); 4]].concat();
    let sink = Sink::start(faults).await;
    let options = load::Options {
        rate: 0,
        events: Some(100),
        batch: 100,
        connections: 1,
        resend: 1.0,
        ..load::Options::default()
    };
    let report = load(&sink, options).await;
    assert_eq!((report.distinct_accepted, report.distinct_unclear, report.failed_requests), (100, 0, 1));
    assert_eq!(by_name(&report), sink.counts());
}

#[tokio::test]
async fn being_told_to_stop_ends_the_retries_and_keeps_the_books() {
    let sink = Sink::start(vec![Fault::Status(503, Some("60")); 50]).await;
    let stop = Stop::default();
    let silent = Progress::silent();
    let client = client(&sink);
    let run = send_all(&client, some_events().into_iter(), OPTIONS, &stop, &silent);
    let told = async {
        while sink.seen().requests < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.set();
    };
    let started = Instant::now();
    let (summary, ()) = tokio::join!(run, told);
    assert!(started.elapsed() < Duration::from_secs(30));
    summary.check().expect_err("not all sent");
    assert_books_balance(&summary, &sink);
}

#[tokio::test]
async fn load_keeps_its_schedule_with_gzip_and_ndjson() {
    let sink = Sink::start([]).await;
    let options = load::Options {
        rate: 2_000,
        duration: Some(Duration::from_millis(800)),
        batch: 50,
        layout: Layout::Ndjson,
        ..load::Options::default()
    };
    let client = client(&sink).gzipped(true);
    let report = load::run(&client, &options, &Stop::default(), &Progress::silent()).await.expect("a report");
    assert_eq!((report.events_new, report.events_not_sent), (1_600, 0));
    assert!((0.7..3.0).contains(&report.elapsed_s), "{} s", report.elapsed_s);
    assert_eq!(by_name(&report), sink.counts());
    assert!(report.latency_ms.is_some_and(|latency| latency.p50 > 0.0 && latency.p50 <= latency.max));
}

#[tokio::test]
async fn load_says_when_the_schedule_was_not_kept() {
    // One connection that must wait a second cannot send two hundred batches in half of one.
    let sink = Sink::start([Fault::Status(503, Some("1"))]).await;
    let options = load::Options {
        rate: 10_000,
        duration: Some(Duration::from_millis(500)),
        batch: 25,
        connections: 1,
        ..load::Options::default()
    };
    let report = load(&sink, options).await;
    assert!(!report.kept_schedule());
    assert_eq!(report.events_new + report.events_not_sent, 5_000);
    assert_eq!(report.errors, BTreeMap::from([("503".to_owned(), 1)]));
    assert_eq!(by_name(&report), sink.counts());
}

#[tokio::test]
async fn load_calls_unclear_what_nobody_answered_for() {
    let faults = vec![Fault::TakeAndDrop; 8];
    let sink = Sink::start(faults).await;
    let options = load::Options { rate: 0, events: Some(50), batch: 50, connections: 1, ..load::Options::default() };
    let report = load(&sink, options).await;
    assert_eq!((report.distinct_accepted, report.distinct_unclear, report.failed_requests), (0, 50, 1));
    let serialised = serde_json::to_value(&report).expect("JSON");
    assert_eq!(serialised["errors"]["connection"], 4);
}
