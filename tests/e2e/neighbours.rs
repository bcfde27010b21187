//! One of fifty accounts does its worst, by the means that the API gives it; the others stay exact and in time.
//!
//! Each test is one way to do harm. Meanwhile the other accounts send events whose numbers are known. Within the promised minute
//! each of them finds every event once, reads the metrics that its events make, and has them from rollups.

#![expect(clippy::print_stdout, reason = "what was taken and refused: shown when a test fails")]

mod town;

use std::{
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{socket::Socket, stack::token};

use town::{AT_ONCE, Offender, event, is_settled, simulate};

/// How long an attack goes on at most.
const ATTACK: Duration = Duration::from_secs(15);
const HOUR: i64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_over_odd_paths_harm_no_neighbour() -> Result<()> {
    simulate("odd-paths", async |bad| {
        // Paths that ClickHouse reads as something else than a name, or not at all.
        const PATHS: [&str; 6] = ["a.:`Nope`", "a.:Nope", "a.^b", "`a", "a[]", "a.:`Array(JSON)`"];
        bad.account.send_all(&[event(&bad.account, 0, "message_sent", "c", now_millis() - 2 * HOUR)]).await?;
        for (number, path) in PATHS.iter().enumerate() {
            let quoted = format!("\"{}\"", path.replace('"', "\"\""));
            for (kind, more) in [
                ("sum", json!({"formula": format!("sum(message_sent.{quoted})")})),
                ("filter", json!({"formula": "message_sent", "filters": [format!("{quoted} = 1")]})),
                ("split", json!({"formula": "message_sent", "dimensions": [path]})),
            ] {
                let mut metric = json!({"name": format!("odd {kind} {number}"), "type": "gauge"});
                metric.as_object_mut().context("an object")?.extend(more.as_object().cloned().unwrap_or_default());
                bad.define(&metric).await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_metrics_harm_no_neighbour() -> Result<()> {
    simulate("largest-metrics", async |bad| {
        bad.account.send_all(&[event(&bad.account, 0, "message_sent", "c", now_millis() - 2 * HOUR)]).await?;
        let (started, defined) = (Instant::now(), AtomicUsize::new(0));
        // The largest that are taken, then as many smaller ones as there is room for.
        for characters in [3_900, 1_000, 200, 20] {
            let text = "\u{1F600}".repeat(characters);
            let metric = |number: usize| {
                let filters: Vec<String> = (0..10).map(|filter| format!("p{filter} = \"{text}\"")).collect();
                json!({
                    "name": format!("large {characters} {number}"), "type": "gauge", "filters": filters,
                    "formula": format!("sum(message_sent.v{{p = \"{text}\"}})"), "description": "d".repeat(2_000),
                })
            };
            stream::iter(0..500)
                .map(Ok)
                .try_for_each_concurrent(AT_ONCE, async |number| {
                    if started.elapsed() > ATTACK || !bad.define(&metric(number)).await? {
                        // No more of this size.
                        return Err(Stop::Refused);
                    }
                    defined.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Stop>(())
                })
                .await
                .or_else(Stop::into_result)?;
        }
        println!("{} metrics were taken", defined.load(Ordering::Relaxed));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_pack_well_harm_no_neighbour() -> Result<()> {
    simulate("packed", async |bad| {
        let started = Instant::now();
        stream::iter(0..60)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE / 2, async |batch| {
                if started.elapsed() > ATTACK {
                    return Ok(());
                }
                // 120 events of nearly 32 KB each, all alike.
                let properties: serde_json::Map<String, Value> =
                    (0..100).map(|number| (format!("p{number}"), json!("same words again ".repeat(18)))).collect();
                let events: Vec<Value> = (0..120)
                    .map(|number| {
                        json!({
                            "eventName": "message_sent", "eventId": format!("{batch}-{number}"),
                            "timestamp": now_millis(), "properties": properties,
                        })
                    })
                    .collect();
                let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                packed.write_all(json!(events).to_string().as_bytes())?;
                let request = bad.account.stack.post("/api/events/batch").bearer_auth(bad.account.token(Role::Ingest));
                let answer = request.header("content-type", "application/gzip").body(packed.finish()?).send().await?;
                let status = answer.status();
                ensure!(is_settled(status), "a large batch is answered with {status}");
                Ok(())
            })
            .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn expensive_live_questions_harm_no_neighbour() -> Result<()> {
    simulate("live", async |bad| {
        // What would take an account days to send by the API.
        let history = "INSERT INTO events (account_id, timestamp, event_name, event_id, properties) SELECT {account:String}, \
                       now() - toIntervalSecond(number * 6), 'message_sent', toString(number), concat('{\"campaignId\":\"c', \
                       toString(number % 97), '\",\"groupId\":\"g', toString(number % 89), '\",\"senderId\":\"s', \
                       toString(number % 83), '\",\"latencyMs\":', toString(number % 1009), '}') FROM numbers(400000)";
        bad.account.stack.clickhouse(history, &[("account", &bad.account.id)]).await?;
        let mut sockets = Vec::new();
        for number in 0..4 {
            let query = format!("token={}&stream=analytics", bad.account.token(Role::Viewer));
            let mut socket = Socket::open(&bad.account.stack.setting("LIVE_URL"), &query).await?;
            for question in 0..15 {
                let formula = |share: usize| {
                    json!({"formula": format!(
                        "p{share}(message_sent.latencyMs{{latencyMs != {number}{question}}}) + unique(message_sent.senderId)"
                    )})
                };
                let queries: Vec<Value> = [50, 75, 90, 95, 99].into_iter().map(formula).collect();
                let ask = json!({
                    "action": "subscribe", "stream": format!("query/{question}"), "period": "30d", "interval": "day",
                    "groupBy": "campaignId,groupId,senderId", "limit": 100, "queries": queries,
                });
                socket.say(&ask).await?;
            }
            sockets.push(socket);
        }
        let started = Instant::now();
        let mut number = 0;
        while started.elapsed() < ATTACK {
            // Each makes all the questions be asked anew.
            bad.account.send_all(&[event(&bad.account, number, "message_sent", "c", now_millis())]).await?;
            number += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_under_long_paths_harm_no_neighbour() -> Result<()> {
    simulate("lists", async |bad| {
        // Stored with its path, each of these elements would take nearly a kilobyte.
        let path = format!("{{\"{}\":", "n".repeat(128)).repeat(7);
        let list: Value = serde_json::from_str(&format!("{path}[{}]{}", ["1"; 14_000].join(","), "}".repeat(7)))?;
        let dotted: serde_json::Map<String, Value> =
            (0..200).map(|number| (format!("{}{number}", "a.".repeat(60)), json!(1))).collect();
        let properties = |_, number| if number % 2 == 0 { list.clone() } else { json!(dotted) };
        send_batches(bad, 6, properties).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_many_series_harm_no_neighbour() -> Result<()> {
    simulate("series", async |bad| {
        bad.account.send_all(&[event(&bad.account, 0, "message_sent", "c", now_millis() - 2 * HOUR)]).await?;
        let formula: Vec<String> = (0..40).map(|number| format!("\"name_{number}\"")).collect();
        bad.define(&json!({"name": "base", "type": "gauge", "formula": formula.join(" + ")})).await?;
        let (started, defined) = (Instant::now(), AtomicUsize::new(0));
        let ended = stream::iter(0..400)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, async |number| {
                let dimensions: Vec<String> = (0..4).map(|dimension| format!("d{number}x{dimension}")).collect();
                let metric =
                    json!({"name": format!("m {number}"), "type": "gauge", "formula": "base", "dimensions": dimensions});
                if started.elapsed() > ATTACK || !bad.define(&metric).await? {
                    return Err(Stop::Refused);
                }
                defined.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Stop>(())
            })
            .await;
        println!("{} metrics were taken", defined.load(Ordering::Relaxed));
        ended.or_else(Stop::into_result)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn live_filters_of_many_tests_harm_no_neighbour() -> Result<()> {
    simulate("live-filters", async |bad| {
        let text = "скидка только сегодня ".repeat(300);
        let mut sockets = Vec::new();
        for number in 0..10 {
            let query = format!("token={}&stream=analytics", bad.account.token(Role::Viewer));
            let mut socket = Socket::open(&bad.account.stack.setting("LIVE_URL"), &query).await?;
            // As many as there is room for, or fewer if so many are refused.
            for tests in [190, 100, 50, 20] {
                let tests: Vec<String> = (0..tests).map(|test| format!("a contains \"x{number}y{test}\"")).collect();
                socket
                    .say(&json!({"action": "subscribe", "stream": "analytics", "filter": tests.join(" or ")}))
                    .await?;
            }
            sockets.push(socket);
        }
        let started = Instant::now();
        while started.elapsed() < ATTACK {
            let events: Vec<Value> = (0..200)
                .map(|_| json!({"eventName": "message_sent", "timestamp": now_millis(), "properties": {"a": text}}))
                .collect();
            bad.send(&json!({"events": events})).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_viewers_of_one_account_harm_no_neighbour() -> Result<()> {
    simulate("viewers", async |bad| {
        let mut sockets = Vec::new();
        for number in 0..60 {
            let query = format!("token={}&stream=analytics", bad.account.token(Role::Viewer));
            // Beyond some number, they are refused.
            let Ok(mut socket) = Socket::open(&bad.account.stack.setting("LIVE_URL"), &query).await else { break };
            for question in 0..10 {
                let filter = format!("a = \"{}{number}\"", "x".repeat(1_000));
                let ask = json!({
                    "action": "subscribe", "stream": format!("query/{question}"), "period": "24h", "interval": "none",
                    "filter": filter, "queries": [{"formula": "message_sent"}],
                });
                socket.say(&ask).await?;
            }
            sockets.push(socket);
        }
        let started = Instant::now();
        let mut number = 0;
        while started.elapsed() < ATTACK {
            bad.account.send_all(&[event(&bad.account, number, "message_sent", "c", now_millis())]).await?;
            number += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_event_names_harm_no_neighbour() -> Result<()> {
    simulate("names", async |bad| {
        for batch in 0..4 {
            let events: Vec<Value> = (0..2_000)
                .map(|number| {
                    event(&bad.account, number, &format!("name_{batch}_{number}"), "c", now_millis() - 2 * HOUR)
                })
                .collect();
            bad.send(&json!({"events": events})).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_property_names_harm_no_neighbour() -> Result<()> {
    simulate("properties", async |bad| {
        let properties = |batch, number| {
            let names = (0..200).map(|name| (format!("a{batch}x{number}y{name}"), json!(name)));
            Value::Object(names.collect())
        };
        send_batches(bad, 10, properties).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_reserved_name_harms_no_neighbour() -> Result<()> {
    simulate("reserved", async |bad| {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        // What begins so is kept beside the accounts' metrics.
        for name in ["#leases", "#"] {
            let token = token(&json!({"accountId": name, "role": "admin"}));
            let old = json!([{"eventName": "message_sent", "timestamp": now_millis() - 2 * HOUR, "eventId": "1"}]);
            let stack = bad.account.stack;
            let sent = stack.post("/api/events/batch").bearer_auth(&token).json(&old).send().await?.status();
            let metric = json!({"name": "reserved", "type": "gauge", "formula": "message_sent"});
            let defined = stack.post("/api/metrics").bearer_auth(&token).json(&metric).send().await?.status();
            // Other tests need the stack as it was.
            stack.request(Method::DELETE, "/api/metrics/reserved").bearer_auth(&token).send().await?;
            ensure!(
                refused.contains(&sent) && refused.contains(&defined),
                "{name} is taken as an account: events are answered with {sent}, a metric with {defined}"
            );
        }
        Ok(())
    })
    .await
}

/// Sends batches of 100 events each, with properties by the numbers of the batch and of the event in it.
async fn send_batches(bad: &Offender<'_>, batches: usize, properties: impl Fn(usize, usize) -> Value) -> Result<()> {
    for batch in 0..batches {
        let event = |number| {
            json!({
                "eventName": "message_sent", "eventId": format!("{batch}-{number}"), "timestamp": now_millis(),
                "properties": properties(batch, number),
            })
        };
        let events: Vec<Value> = (0..100).map(event).collect();
        bad.send(&json!({"events": events})).await?;
    }
    Ok(())
}

/// Why no more metrics of a size are defined.
enum Stop {
    Refused,
    Failed(anyhow::Error),
}

impl Stop {
    fn into_result(self) -> Result<()> {
        match self {
            Self::Refused => Ok(()),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
