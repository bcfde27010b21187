//! `Idempotency-Key`: a client that cannot name its events names its request, and may send it as often as it likes.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use analytics_domain::{access::Role, idempotency::LOCK_MILLIS};
use anyhow::{Context, Result, ensure};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tests::{
    gateway, pipeline,
    proxy::{FaultProxy, Point, is_operation},
    sqs::Queue,
    stack::{Account, Stack},
};

const PATH: &str = "/api/events/batch";

/// Events that nothing but the key tells from others.
fn nameless(text: &str) -> String {
    let event = json!({"eventName": "message_sent", "properties": {"text": text}});
    json!({"events": [event, event, event]}).to_string()
}

async fn send(account: &Account<'_>, key: &str, body: &str) -> Result<Response> {
    let request = account.stack.post(PATH).bearer_auth(account.token(Role::Ingest)).header("idempotency-key", key);
    Ok(request.header("content-type", "application/json").body(body.to_owned()).send().await?)
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_again() -> Result<()> {
    let stack = Stack::shared().await;
    let (account, other_account) = (stack.account("again"), stack.account("again-other"));
    let body = nameless("once");
    let first = send(&account, "key 1", &body).await?;
    ensure!(first.status() == StatusCode::ACCEPTED && !first.headers().contains_key("idempotency-replayed"));
    let first = first.text().await?;
    for _ in 0..2 {
        let again = send(&account, "key 1", &body).await?;
        ensure!(again.status() == StatusCode::ACCEPTED && again.headers()["idempotency-replayed"] == "true");
        ensure!(again.text().await? == first, "another answer");
    }
    let other_body = send(&account, "key 1", &nameless("twice")).await?;
    ensure!(other_body.status() == StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = other_body.json().await?;
    ensure!(problem["code"] == "idempotency_key_reused", "{problem}");
    let other_key = send(&account, "key 2", &body).await?;
    ensure!(other_key.status() == StatusCode::ACCEPTED && !other_key.headers().contains_key("idempotency-replayed"));
    let other = send(&other_account, "key 1", &body).await?;
    ensure!(other.status() == StatusCode::ACCEPTED && !other.headers().contains_key("idempotency-replayed"));
    account.until_total(6, &[]).await?;
    other_account.until_total(3, &[]).await
}

/// Put one after the other with `#` between, the parts of both requests read the same.
#[tokio::test]
async fn accounts_whose_names_hold_number_signs_share_no_answer() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("sign");
    let longer = Account { stack: &stack, id: format!("{}#track-events", account.id) };
    let body = nameless("sign");
    for (account, key) in [(&account, "track-events#k"), (&longer, "k")] {
        let answer = send(account, key, &body).await?;
        ensure!(answer.status() == StatusCode::ACCEPTED && !answer.headers().contains_key("idempotency-replayed"));
    }
    account.until_total(3, &[]).await?;
    longer.until_total(3, &[]).await
}

#[tokio::test]
async fn of_requests_at_the_same_moment_one_is_done() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("at-once");
    let body = nameless("at once");
    let (a, b, c, d) = tokio::try_join!(
        send(&account, "key", &body),
        send(&account, "key", &body),
        send(&account, "key", &body),
        send(&account, "key", &body),
    )?;
    let mut done = 0;
    for answer in [a, b, c, d] {
        let replayed = answer.headers().contains_key("idempotency-replayed");
        match answer.status() {
            StatusCode::ACCEPTED if !replayed => done += 1,
            StatusCode::ACCEPTED => {}
            StatusCode::CONFLICT => ensure!(answer.headers().contains_key("retry-after"), "when to try again?"),
            status => anyhow::bail!("{status} {}", answer.text().await?),
        }
    }
    ensure!(done == 1, "{done} of the requests were done");
    account.until_total(3, &[]).await?;
    let later = send(&account, "key", &body).await?;
    ensure!(later.status() == StatusCode::ACCEPTED && later.headers()["idempotency-replayed"] == "true");
    ensure!(account.total(&[]).await? == 3, "counted again");
    Ok(())
}

#[tokio::test]
async fn while_a_request_is_being_done_the_same_one_must_wait() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("running");
    let (queue, aws) = (Queue::create("running").await?, stack.setting("AWS_ENDPOINT_URL"));
    let proxy = FaultProxy::start(&aws, is_send).await?;
    let mut first = pipeline::track_events(&stack, &proxy.url, &queue.url).await?;
    let mut second = pipeline::track_events(&stack, &aws, &queue.url).await?;
    let headers = [("idempotency-key", "key")];
    let request = gateway::post(PATH, &account.token(Role::Ingest), &headers, &nameless("running"));

    let mut halt = proxy.halt_at(Point::BeforeRequest, 0);
    let mut running = pin!(first.invoke(request.clone()));
    tokio::select! {
        () = halt.reached() => {}
        outcome = &mut running => anyhow::bail!("answered before anything was sent: {outcome:?}"),
    }
    let meanwhile = gateway::answer(&second.invoke(request.clone()).await?)?;
    ensure!(meanwhile.status == 409 && meanwhile.body["code"] == "request_running", "{meanwhile:?}");
    ensure!(meanwhile.headers["retry-after"] == "2", "{meanwhile:?}");
    // The connection breaks off, and the first sends again.
    drop(halt);
    let done = gateway::answer(&running.await?)?;
    ensure!(done.status == 202, "{done:?}");
    let later = gateway::answer(&second.invoke(request).await?)?;
    ensure!(later.headers["idempotency-replayed"] == "true" && later.body == done.body, "{later:?}");
    let sealed = queue.drain().await?.len();
    ensure!(sealed == 1, "sealed {sealed} times");
    queue.remove().await
}

#[tokio::test]
async fn a_try_that_was_cut_off_is_made_up_for_by_the_next() -> Result<()> {
    let stack = Stack::shared().await;
    tokio::try_join!(
        // The queue has the events, and the function does not know it.
        cut_off(&stack, "AmazonSQS.SendMessage", Point::BeforeAnswer),
        // It knows, and has not noted its answer.
        cut_off(&stack, "DynamoDB_20120810.UpdateItem", Point::BeforeRequest),
        // The claim is made, and nothing is sent.
        cut_off(&stack, "AmazonSQS.SendMessage", Point::BeforeRequest),
    )?;
    Ok(())
}

/// Kills `track-events` at this point of its first try, and tries again until there is an answer.
async fn cut_off(stack: &Stack, operation: &'static str, point: Point) -> Result<()> {
    let account = stack.account("cut-off");
    let queue = Queue::create("cut-off").await?;
    let counts = if operation.starts_with("AmazonSQS") { is_send } else { is_update };
    let proxy = FaultProxy::start(&stack.setting("AWS_ENDPOINT_URL"), counts).await?;
    let mut track = pipeline::track_events(stack, &proxy.url, &queue.url).await?;
    let headers = [("idempotency-key", "key")];
    let request = gateway::post(PATH, &account.token(Role::Ingest), &headers, &nameless("cut off"));

    let started = Instant::now();
    let mut halt = proxy.halt_at(point, 0);
    tokio::select! {
        () = halt.reached() => {}
        outcome = track.invoke(request.clone()) => anyhow::bail!("answered before {operation}: {outcome:?}"),
    }
    track.kill().await?;
    drop(halt);
    track.restart().await?;

    let lock = Duration::from_millis(u64::try_from(LOCK_MILLIS)?);
    let answer = loop {
        let answer = gateway::answer(&track.invoke(request.clone()).await?)?;
        if answer.status != 409 {
            break answer;
        }
        ensure!(answer.body["code"] == "request_running", "{answer:?}");
        ensure!(started.elapsed() < lock + Duration::from_secs(10), "still locked after {:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    ensure!(answer.status == 202 && answer.body["accepted"] == 3, "{answer:?}");
    ensure!(started.elapsed() >= lock, "taken over after {:?}, while the first try could still run", started.elapsed());
    let again = gateway::answer(&track.invoke(request).await?)?;
    ensure!(again.headers["idempotency-replayed"] == "true" && again.body == answer.body, "{again:?}");

    let messages = queue.drain().await?;
    queue.remove().await?;
    let tries = if (operation, point) == ("AmazonSQS.SendMessage", Point::BeforeRequest) { 1 } else { 2 };
    ensure!(messages.len() == tries, "{} messages of {tries} tries", messages.len());
    let first = messages.first().context("something was sealed")?;
    ensure!(messages.iter().all(|message| message == first), "the second try has sealed something else");
    let database = stack.setting("CLICKHOUSE_DATABASE");
    let mut store = pipeline::store_events(stack, &stack.setting("CLICKHOUSE_URL"), &database).await?;
    for message in &messages {
        store.invoke(pipeline::sqs_event(std::iter::once(("1".to_owned(), message.as_str())))).await?;
    }
    let total = account.total(&[]).await?;
    ensure!(total == 3, "{total} events, 3 were sent");
    Ok(())
}

fn is_send(parts: &tests::proxy::Parts) -> bool {
    is_operation(parts, "AmazonSQS.SendMessage")
}

fn is_update(parts: &tests::proxy::Parts) -> bool {
    is_operation(parts, "DynamoDB_20120810.UpdateItem")
}
