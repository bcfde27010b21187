//! What becomes of messages when ClickHouse or the dead-letter queue won't have them, played through with both faked.

use std::sync::Mutex;

use analytics_domain::event::{SealedEvent, seal};

use super::*;

/// ClickHouse that refuses whatever holds an event of this id, and counts what it is asked.
#[derive(Default)]
struct FakeStore {
    refuses: Vec<&'static str>,
    /// Asks from this one on find it down.
    down_from: Option<usize>,
    stored: Mutex<Vec<String>>,
    asked: Mutex<usize>,
}

impl Store for FakeStore {
    async fn store(&self, messages: &[&str]) -> Result<(), WarehouseError> {
        let mut asked = self.asked.lock().expect("no test panics with it");
        *asked += 1;
        if self.down_from.is_some_and(|from| *asked > from) {
            return Err(WarehouseError::Unavailable("connection refused".into()));
        }
        let mut ids = Vec::new();
        for message in messages {
            let bytes = open(message).expect("only sealed batches are stored");
            let batch = SealedBatch::from_bytes(&bytes).expect("only sealed batches are stored");
            ids.extend(batch.events.iter().map(|event| event.event_id.to_string()));
        }
        if let Some(bad) = ids.iter().find(|id| self.refuses.contains(&id.as_str())) {
            return Err(WarehouseError::Refused(format!("cannot parse {bad}")));
        }
        self.stored.lock().expect("no test panics with it").extend(ids);
        Ok(())
    }
}

#[derive(Default)]
struct FakeDeadLetters {
    down: bool,
    taken: Mutex<Vec<(String, String)>>,
}

impl DeadLetters for FakeDeadLetters {
    async fn set_aside(&self, body: String, reason: &str) -> Result<(), QueueError> {
        if self.down {
            return Err(QueueError::Unavailable("connection refused".into()));
        }
        self.taken.lock().expect("no test panics with it").push((body, reason.to_owned()));
        Ok(())
    }
}

#[derive(Default)]
struct FakeNews(Mutex<Vec<String>>);

impl News for FakeNews {
    async fn stored(&self, account_ids: &BTreeSet<String>) {
        self.0.lock().expect("no test panics with it").extend(account_ids.iter().cloned());
    }
}

/// A sealed batch of one event.
fn sealed(id: &str) -> String {
    let event = SealedEvent {
        position: 0,
        timestamp: 1_795_512_600_000,
        event_type: "message".into(),
        event_name: "message_sent".into(),
        event_id: id.into(),
        session_id: "".into(),
        user_id: "".into(),
        properties: "{}",
    };
    let batch = SealedBatch { account_id: "demo".into(), events: vec![event], ..SealedBatch::default() };
    seal(batch).expect("seals").remove(0)
}

/// One message for each of these: its id is what it holds.
fn batch_of(bodies: impl IntoIterator<Item = (String, String)>) -> SqsBatch {
    SqsBatch {
        records: bodies
            .into_iter()
            .map(|(message_id, body)| Message { message_id, body, attributes: Default::default() })
            .collect(),
    }
}

fn good(ids: impl IntoIterator<Item = usize>) -> Vec<(String, String)> {
    ids.into_iter().map(|id| (id.to_string(), sealed(&id.to_string()))).collect()
}

struct End {
    stored: Vec<String>,
    set_aside: Vec<(String, String)>,
    again: Vec<String>,
    asked: usize,
}

async fn run(store: FakeStore, dead_letters: FakeDeadLetters, messages: Vec<(String, String)>) -> End {
    let app = App { store, dead_letters, news: FakeNews::default() };
    let failures = handle(&app, batch_of(messages)).await;
    let mut stored = app.store.stored.into_inner().expect("no test panics with it");
    let mut again: Vec<String> =
        failures.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    stored.sort();
    again.sort();
    End {
        stored,
        set_aside: app.dead_letters.taken.into_inner().expect("no test panics with it"),
        again,
        asked: app.store.asked.into_inner().expect("no test panics with it"),
    }
}

#[tokio::test]
async fn good_batches_are_stored_with_one_question() {
    let end = run(FakeStore::default(), FakeDeadLetters::default(), good(0..5)).await;
    assert_eq!(end.stored, ["0", "1", "2", "3", "4"]);
    assert_eq!((end.asked, end.again.len(), end.set_aside.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_batch_that_is_refused_is_isolated_from_its_neighbours() {
    let store = FakeStore { refuses: vec!["3", "6"], ..FakeStore::default() };
    let end = run(store, FakeDeadLetters::default(), good(0..9)).await;
    assert_eq!(end.stored, ["0", "1", "2", "4", "5", "7", "8"]);
    let mut set_aside = end.set_aside;
    set_aside.sort_by(|(_, a), (_, b)| a.cmp(b));
    assert_eq!(set_aside, ["3", "6"].map(|id| (sealed(id), format!("cannot parse {id}"))));
    assert!(end.again.is_empty());
    assert!(end.asked <= 15, "halving takes few questions: {}", end.asked);
}

#[tokio::test]
async fn what_is_no_sealed_batch_is_set_aside_with_its_reason() {
    let whole = sealed("a");
    let mut messages = good(0..2);
    messages.push(("text".into(), "hello".into()));
    messages.push(("cut".into(), whole[..whole.len() / 8 * 4].into()));
    // The first byte is the version, so the first letters of base64 are too.
    messages.push(("future".into(), format!("{}{}", "Ag", &whole[2..])));
    let end = run(FakeStore::default(), FakeDeadLetters::default(), messages).await;
    assert_eq!(end.stored, ["0", "1"]);
    assert!(end.again.is_empty());
    let reasons: Vec<&str> = end.set_aside.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons[0], "not base64");
    assert!(reasons.contains(&"sealed by a version this one doesn't know: 2"), "{reasons:?}");
    assert_eq!(reasons.len(), 3);
}

#[tokio::test]
async fn all_come_again_while_clickhouse_is_down() {
    let store = FakeStore { down_from: Some(0), ..FakeStore::default() };
    let end = run(store, FakeDeadLetters::default(), good(0..3)).await;
    assert_eq!(end.again, ["0", "1", "2"]);
    assert_eq!((end.asked, end.set_aside.len()), (1, 0));
}

#[tokio::test]
async fn what_is_not_known_to_be_stored_comes_again_when_clickhouse_goes_down_halfway() {
    // The whole is refused, its first half stored, then nobody answers.
    let store = FakeStore { refuses: vec!["3"], down_from: Some(2), ..FakeStore::default() };
    let end = run(store, FakeDeadLetters::default(), good(0..4)).await;
    let mut all = [end.stored.clone(), end.again.clone()].concat();
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3"]);
    assert!(end.again.contains(&"3".to_owned()));
    assert!(end.set_aside.is_empty());
}

#[tokio::test]
async fn poison_comes_again_while_the_dead_letter_queue_is_down() {
    let store = FakeStore { refuses: vec!["1"], ..FakeStore::default() };
    let mut messages = good(0..3);
    messages.push(("text".into(), "hello".into()));
    let end = run(store, FakeDeadLetters { down: true, ..FakeDeadLetters::default() }, messages).await;
    assert_eq!(end.stored, ["0", "2"]);
    assert_eq!(end.again, ["1", "text"]);
}

#[tokio::test]
async fn the_sample_stores_its_sealed_batch_and_sets_aside_what_is_none() {
    let sample = include_str!("../../../events/store-events.json");
    let app = App { store: FakeStore::default(), dead_letters: FakeDeadLetters::default(), news: FakeNews::default() };
    let failures = handle(&app, serde_json::from_str(sample).expect("is an SQS event")).await;
    assert_eq!(failures, PartialFailure::default());
    assert_eq!(app.store.stored.lock().expect("no test panics with it").len(), 3);
    let set_aside = app.dead_letters.taken.lock().expect("no test panics with it").clone();
    assert_eq!(set_aside, [("no sealed batch".to_owned(), "not base64".to_owned())]);
    assert_eq!(app.news.0.lock().expect("no test panics with it").len(), 1);
}
