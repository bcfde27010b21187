//! The promises about counting, on the function binaries and the real queue: whatever is sent again, delivered again or
//! killed halfway, every accepted event is in every answer exactly once, as it was first accepted.

#![expect(clippy::print_stdout, reason = "seed, kills and times: shown when a test fails")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, bail, ensure};
use demo::{
    client::Layout,
    load::{Mill, Stamps},
    rng::Rng,
};
use serde_json::Value;
use tests::{
    gateway, pipeline,
    proxy::{FaultProxy, Halt, Point, is_insert},
    runtime_api::{Function, Outcome},
    sqs::Queue,
    stack::{Account, PATIENCE, Stack},
};

use crate::metrics::{built_in, people, plain::Event, until_rolled_up};

const PATH: &str = "/api/events/batch";
/// Events in a batch as first sent.
const BATCH: u64 = 500;
const ACCOUNTS: u64 = 4;
/// One in so many requests brings an event that is refused.
const WITH_A_BAD_EVENT: u64 = 4;
/// One in so many requests goes through the running stack, the others through the test's own pipeline.
const BY_THE_STACK: u64 = 10;
/// Most messages that `store-events` gets at once.
const GROUP: u64 = 6;

/// How long after ClickHouse's answer a kill still counts as one after it.
const JUST_ANSWERED: Duration = Duration::from_millis(10);

/// Events by account and name.
type Counts = BTreeMap<(String, String), u64>;

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_whatever_comes_again_or_is_killed() -> Result<()> {
    let stack = Stack::shared().await;
    let mut run = Run::new(&stack, "exact", 100_000)?;
    let started = Instant::now();
    run.send(true).await?;
    println!("exact: {} sealed batches after {:.1?}", run.messages.len(), started.elapsed());
    let database = stack.setting("CLICKHOUSE_DATABASE");
    let kills = run.deliver(&database, 15).await?;
    println!("exact: delivered after {:.1?}, killed {kills:?}", started.elapsed());
    for point in Point::ALL {
        let count = kills.get(&point).copied().unwrap_or_default();
        ensure!(count >= 5, "only {count} kills at {point:?}: {kills:?}");
    }
    let all: u64 = kills.values().sum();
    ensure!(all >= 50, "only {all} kills: {kills:?}");

    run.until_the_stack_has_stored_its_part().await?;
    compare("SQL", &run.expected(), &run.found_by_sql(&database).await?)?;
    compare("search", &run.expected(), &run.found_by_search().await?)?;
    run.check_first_copies().await?;
    run.check_rejected().await?;
    run.check_pages().await?;
    run.check_metrics().await?;
    println!("exact: compared after {:.1?}", started.elapsed());
    Ok(())
}

/// The same on a table that keeps every copy: the comparison must see it, or it could see nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_comparison_fails_without_deduplication_and_says_where() -> Result<()> {
    let stack = Stack::shared().await;
    let broken = |statement: String| statement.replace("ENGINE = ReplacingMergeTree(version)", "ENGINE = MergeTree");
    let database = stack.database("every_copy", broken).await?;
    let mut run = Run::new(&stack, "every-copy", 4_000)?;
    run.send(false).await?;
    run.deliver(&database, 1).await?;
    let found = run.found_by_sql(&database).await?;
    stack.clickhouse(&format!("DROP DATABASE {database}"), &[]).await?;

    let expected = run.expected();
    let message = compare("SQL", &expected, &found).expect_err("copies are counted").to_string();
    let more =
        found.iter().find_map(|(key, number)| Some((key, number, expected.get(key).filter(|count| *count < number)?)));
    let ((account, name), number, count) = more.context("no event was counted twice")?;
    let line = format!("account {account}, {name}: expected {count}, found {number}");
    ensure!(message.contains(&line), "{line:?} is not in {message:?}");
    Ok(())
}

/// Fails if counts differ, and names each that does.
fn compare(source: &str, expected: &Counts, found: &Counts) -> Result<()> {
    let number = |counts: &Counts, key| counts.get(key).copied().unwrap_or_default();
    let mut keys: Vec<_> = expected.keys().chain(found.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let wrong: Vec<String> = keys
        .into_iter()
        .map(|key| (key, number(expected, key), number(found, key)))
        .filter(|(_, expected, found)| expected != found)
        .map(|((account, name), expected, found)| {
            format!("account {account}, {name}: expected {expected}, found {found}")
        })
        .collect();
    ensure!(wrong.is_empty(), "counts by {source} are not those of the ledger:\n{}", wrong.join("\n"));
    Ok(())
}

/// What of a request is remembered until its answer is in the books.
struct Request {
    account: usize,
    numbers: Vec<u64>,
    copy: &'static str,
}

/// The events of a run, who sends them, and the books of what was accepted.
struct Run<'s> {
    stack: &'s Stack,
    accounts: Vec<Account<'s>>,
    tokens: Vec<String>,
    mill: Mill,
    stamps: Stamps,
    rng: Rng,
    events: u64,
    /// Whether the event of each number was accepted.
    accepted: Vec<bool>,
    /// Rejections by account.
    rejected: Vec<u64>,
    /// Sealed batches that the test delivers by itself.
    messages: Vec<String>,
}

impl<'s> Run<'s> {
    fn new(stack: &'s Stack, name: &str, events: u64) -> Result<Self> {
        let seed = u64::try_from(now_millis())?;
        println!("{name}: seed {seed}");
        let mut stamps = Stamps::new(usize::try_from(BATCH)?);
        for batch in 0..events.div_ceil(BATCH) {
            stamps.push(now_millis() - i64::try_from(batch)? * 60_000);
        }
        let accounts: Vec<Account> = (0..ACCOUNTS).map(|number| stack.account(&format!("{name}-{number}"))).collect();
        Ok(Self {
            stack,
            tokens: accounts.iter().map(|account| account.token(Role::Ingest)).collect(),
            rejected: vec![0; accounts.len()],
            accounts,
            mill: Mill::new(7),
            stamps,
            rng: Rng::keyed(&[seed]),
            events,
            accepted: vec![false; usize::try_from(events)?],
            messages: Vec::new(),
        })
    }

    /// The account of an event: batches take turns.
    const fn account_of(number: u64) -> usize {
        (number / BATCH % ACCOUNTS) as usize
    }

    /// Sends every event, and a fifth of them again: the same batches soon after, batches cut anew later, and last copies
    /// that say something else.
    async fn send(&mut self, by_the_stack_too: bool) -> Result<()> {
        let queue = Queue::create("exactness").await?;
        let aws = self.stack.setting("AWS_ENDPOINT_URL");
        let mut function = pipeline::track_events(self.stack, &aws, &queue.url).await?;
        let mut sent = 0;
        let mut later = Vec::new();
        for start in (0..self.events).step_by(usize::try_from(BATCH)?) {
            let batch = || (start..(start + BATCH).min(self.events)).collect::<Vec<u64>>();
            let account = Self::account_of(start);
            later.push(Request { account, numbers: batch(), copy: "first" });
            if self.rng.permille(100) {
                later.push(Request { account, numbers: batch(), copy: "first" });
            }
            if self.rng.permille(100) {
                // Half of this batch and half of the account's batch before it, in another order.
                let before = start.saturating_sub(BATCH * ACCOUNTS);
                let mut numbers: Vec<u64> = batch().into_iter().filter(|number| number % 2 == 0).collect();
                numbers.extend(
                    (before..before + BATCH).filter(|number| Self::account_of(*number) == account && number % 2 == 1),
                );
                shuffle(&mut numbers, &mut self.rng);
                later.push(Request { account, numbers, copy: "first" });
            }
        }
        // Some copies are sent while other first ones are still to come, but none before its own.
        let batches = usize::try_from(self.events.div_ceil(BATCH))?;
        for changed in 0..batches / 20 {
            let start = self.rng.below(batches as u64) * BATCH;
            let numbers = (start..(start + BATCH).min(self.events)).filter(|number| number % 3 != changed as u64 % 3);
            later.push(Request { account: Self::account_of(start), numbers: numbers.collect(), copy: "second" });
        }
        for request in later {
            let by_the_stack = by_the_stack_too && self.rng.below(BY_THE_STACK) == 0;
            let with_a_bad_event = self.rng.below(WITH_A_BAD_EVENT) == 0;
            let body = self.body(&request, with_a_bad_event)?;
            let (status, verdict) = if by_the_stack {
                let post = self.stack.post(PATH).bearer_auth(&self.tokens[request.account]);
                let answer = post.header("content-type", "application/json").body(body).send().await?;
                (u64::from(answer.status().as_u16()), answer.json().await?)
            } else {
                sent += 1;
                let event = gateway::post(PATH, &self.tokens[request.account], &[], &body);
                let answer = gateway::answer(&function.invoke(event).await?)?;
                (answer.status, answer.body)
            };
            self.enter(&request, with_a_bad_event, status, &verdict)?;
        }
        function.kill().await?;
        self.messages = queue.drain().await?;
        ensure!(self.messages.len() == sent, "{} messages of {sent} requests", self.messages.len());
        queue.remove().await
    }

    /// The request's body. Each event says which copy it is.
    fn body(&self, request: &Request, with_a_bad_event: bool) -> Result<String> {
        let mut body = Vec::new();
        self.mill.write_body(request.numbers.iter().copied(), &self.stamps, Layout::Json, &mut body);
        let mark = format!(r#""properties":{{"copy":"{}","#, request.copy);
        let mut body = String::from_utf8(body)?.replace(r#""properties":{"#, &mark).replace(",}", "}");
        if with_a_bad_event {
            body = body.replace("]}", r#",{"eventName":"message_sent","timestamp":"yesterday"}]}"#);
        }
        Ok(body)
    }

    /// Puts an answer into the books.
    fn enter(&mut self, request: &Request, with_a_bad_event: bool, status: u64, verdict: &Value) -> Result<()> {
        let (good, bad) = (request.numbers.len() as u64, u64::from(with_a_bad_event));
        let as_expected = status == 202 && verdict["accepted"] == good && verdict["rejected"] == bad;
        ensure!(as_expected, "{status} {verdict} for {good} good events and {bad} bad ones");
        self.rejected[request.account] += bad;
        for number in &request.numbers {
            ensure!(request.copy == "first" || self.accepted[usize::try_from(*number)?], "the second copy came first");
            self.accepted[usize::try_from(*number)?] = true;
        }
        Ok(())
    }

    /// Delivers every sealed batch one to three times in shuffled groups to a `store-events` that is killed so many times
    /// at each point. What it has not answered for comes again, in other groups. Says how often it was killed where.
    async fn deliver(&mut self, database: &str, kills_at_each: u64) -> Result<BTreeMap<Point, u64>> {
        let proxy = FaultProxy::start(&self.stack.setting("CLICKHOUSE_URL"), is_insert).await?;
        let mut function = pipeline::store_events(self.stack, &proxy.url, database).await?;
        let mut waiting: Vec<usize> = Vec::new();
        for message in 0..self.messages.len() {
            let times = usize::try_from(1 + self.rng.below(3))?;
            waiting.extend(std::iter::repeat_n(message, times));
        }
        shuffle(&mut waiting, &mut self.rng);
        let mut kills: BTreeMap<Point, u64> = BTreeMap::new();
        while !waiting.is_empty() {
            let size = usize::try_from(1 + self.rng.below(GROUP))?.min(waiting.len());
            let group = waiting.split_off(waiting.len() - size);
            let open = |point: &Point| kills.get(point).copied().unwrap_or_default() < kills_at_each;
            let points: Vec<Point> = Point::ALL.into_iter().filter(open).collect();
            let point = (!points.is_empty() && self.rng.permille(600)).then(|| *self.rng.pick(&points));
            // The second insert of a group is that of its rejected events, the last marks what has changed.
            let skip = usize::try_from(self.rng.below(3))?;
            let ids = || group.iter().enumerate().map(|(place, message)| (format!("{message}-{place}"), message));
            let event = pipeline::sqs_event(ids().map(|(id, message)| (id, self.messages[*message].as_str())));
            match deliver_group(&mut function, &proxy, event, point.map(|point| (point, skip))).await? {
                Delivery::Killed(point) => {
                    *kills.entry(point).or_default() += 1;
                    waiting.extend(group);
                    shuffle(&mut waiting, &mut self.rng);
                }
                Delivery::Done(failed) => {
                    let again = ids().filter(|(id, _)| failed.contains(id)).map(|(_, message)| *message);
                    waiting.extend(again.collect::<Vec<_>>());
                }
            }
        }
        Ok(kills)
    }

    /// What was accepted, each event once.
    fn expected(&self) -> Counts {
        let mut counts = Counts::new();
        for (number, _) in (0..).zip(&self.accepted).filter(|(_, accepted)| **accepted) {
            let account = self.accounts[Self::account_of(number)].id.clone();
            *counts.entry((account, self.mill.name(number).to_owned())).or_default() += 1;
        }
        counts
    }

    async fn found_by_sql(&self, database: &str) -> Result<Counts> {
        let accounts: Vec<String> = self.accounts.iter().map(|account| format!("'{}'", account.id)).collect();
        let accounts = format!("[{}]", accounts.join(","));
        // The setting is the keyword FINAL for every table that knows it.
        let sql = format!(
            "SELECT account_id, event_name, count() FROM {database}.events WHERE account_id IN {{accounts:Array(String)}} \
             GROUP BY ALL SETTINGS final = 1 FORMAT TSV"
        );
        let answer = self.stack.clickhouse(&sql, &[("accounts", &accounts)]).await?;
        let mut counts = Counts::new();
        for line in answer.lines() {
            let mut fields = line.split('\t').map(str::to_owned);
            let mut field = || fields.next().context("three columns");
            counts.insert((field()?, field()?), field()?.parse()?);
        }
        Ok(counts)
    }

    async fn found_by_search(&self) -> Result<Counts> {
        let mut counts = Counts::new();
        for (account, name) in self.expected().into_keys() {
            let searcher = self.accounts.iter().find(|other| other.id == account).context("is one of ours")?;
            let total = searcher.total(&[("eventName", &name)]).await?;
            counts.insert((account, name), total);
        }
        Ok(counts)
    }

    fn expected_of(&self, account: &Account) -> u64 {
        self.expected().into_iter().filter(|((id, _), _)| *id == account.id).map(|(_, count)| count).sum()
    }

    async fn until_the_stack_has_stored_its_part(&self) -> Result<()> {
        for (account, rejected) in self.accounts.iter().zip(&self.rejected) {
            account.until_total(self.expected_of(account), &[]).await?;
            account.until_total(*rejected, &[("status", "rejected")]).await?;
        }
        Ok(())
    }

    /// What a later copy says counts for nothing.
    async fn check_first_copies(&self) -> Result<()> {
        for account in &self.accounts {
            for (copy, expected) in [("first", self.expected_of(account)), ("second", 0)] {
                let total = account.total(&[("property.copy", copy)]).await?;
                ensure!(total == expected, "account {}, copy {copy}: expected {expected}, found {total}", account.id);
            }
        }
        Ok(())
    }

    /// A rejected event is kept once for each time it was sent.
    async fn check_rejected(&self) -> Result<()> {
        for (account, expected) in self.accounts.iter().zip(&self.rejected) {
            let total = account.total(&[("status", "rejected"), ("code", "invalid_timestamp")]).await?;
            ensure!(total == *expected, "account {}, rejected: expected {expected}, found {total}", account.id);
        }
        Ok(())
    }

    /// Rollups, and every built-in metric from them, are what the accepted events make them.
    async fn check_metrics(&self) -> Result<()> {
        for (place, account) in self.accounts.iter().enumerate() {
            let numbers: Vec<u64> = (0..self.events).filter(|number| Self::account_of(*number) == place).collect();
            let mut body = Vec::new();
            self.mill.write_body(numbers.into_iter(), &self.stamps, Layout::Json, &mut body);
            let body: Value = serde_json::from_slice(&body)?;
            let events = body["events"].as_array().context("a body has events")?;
            let events: Vec<Event> = events.iter().map(Event::from_json).collect::<Option<_>>().context("events")?;
            until_rolled_up(account).await?;
            let compared = built_in::compare(account, &events).await?;
            println!("exact: {compared} numbers of built-in metrics of {}", account.id);
            ensure!(compared > 30, "only {compared} numbers to compare");
            let people = people::compare(account, &events, now_millis()).await?;
            ensure!(people > 30, "only {people} people to compare");
        }
        Ok(())
    }

    /// Page after page, all of an account's events come once, none as a later copy would have it.
    async fn check_pages(&self) -> Result<()> {
        let account = self.accounts.first().context("there are accounts")?;
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut parameters = vec![("limit", "1000")];
            parameters.extend((!cursor.is_empty()).then_some(("cursor", cursor.as_str())));
            let page = account.search(&parameters).await?;
            for event in page["events"].as_array().context("a page has events")? {
                ensure!(event["properties"]["copy"] == "first", "not the first copy: {event}");
                found.push(event["eventId"].as_str().context("an event has an id")?.to_owned());
            }
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let numbers = (0..self.events).filter(|number| Self::account_of(*number) == 0);
        let mut expected: Vec<String> =
            numbers.map(|number| self.mill.id(number, self.stamps.of(number)).to_string()).collect();
        expected.sort_unstable();
        found.sort_unstable();
        ensure!(found == expected, "{} events on all pages, {} were accepted", found.len(), expected.len());
        Ok(())
    }
}

enum Delivery {
    Killed(Point),
    /// The ids of messages that must come again.
    Done(Vec<String>),
}

async fn deliver_group(
    function: &mut Function,
    proxy: &FaultProxy,
    event: Vec<u8>,
    fault: Option<(Point, usize)>,
) -> Result<Delivery> {
    let mut halt = fault.map(|(point, skip)| (point, proxy.halt_at(point, skip)));
    let outcome = tokio::select! {
        biased;
        () = async { match &mut halt { Some((_, halt)) => halt.reached().await, None => std::future::pending().await } } => None,
        outcome = tokio::time::timeout(PATIENCE, function.invoke(event)) => Some(outcome??),
    };
    // Once it has the insert's answer, its own may come before the kill does: then that one is lost.
    let just_answered = async |halt: &mut Halt| tokio::time::timeout(JUST_ANSWERED, halt.reached()).await.is_ok();
    if let Some((point, mut halt)) = halt
        && (outcome.is_none() || (point == Point::AfterAnswer && just_answered(&mut halt).await))
    {
        function.kill().await?;
        function.restart().await?;
        return Ok(Delivery::Killed(point));
    }
    match outcome {
        Some(Outcome::Response(bytes)) => {
            let answer: Value = serde_json::from_slice(&bytes)?;
            let failures = answer["batchItemFailures"].as_array().context("a list of failures")?;
            let ids = failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned));
            Ok(Delivery::Done(ids.collect()))
        }
        other => bail!("store-events ended by itself: {other:?}"),
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for end in (1..items.len()).rev() {
        items.swap(end, rng.index(end + 1));
    }
}
