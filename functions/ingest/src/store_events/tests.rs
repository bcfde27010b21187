//! What becomes of messages when ClickHouse or the dead-letter queue won't have them, played through with both faked.

use std::sync::Mutex;

use analytics_domain::{
    account::AccountId,
    event::{SealedBatch, SealedEvent, open, seal},
};

use super::{
    portions::{CALL_BYTES, INSERT_BYTES},
    *,
};

/// ClickHouse that refuses whatever holds an event of this id, and counts what it is asked.
#[derive(Default)]
struct FakeStore {
    refuses: Vec<&'static str>,
    /// Whatever holds an event of this id fails, and it is not clear why.
    chokes: Vec<&'static str>,
    choke: Option<fn(String) -> WarehouseError>,
    /// Whatever holds an event of this id gets no answer.
    hangs: Vec<&'static str>,
    /// Asks from this one on find it down.
    down_from: Option<usize>,
    /// What is wrong then, if it is not only unavailable.
    down: Option<fn(String) -> WarehouseError>,
    stored: Mutex<Vec<String>>,
    asked: Mutex<usize>,
    /// Plain bytes of each insert.
    sizes: Mutex<Vec<usize>>,
}

impl Store for FakeStore {
    async fn store(&self, messages: &[&str]) -> Result<(), WarehouseError> {
        {
            let mut asked = self.asked.lock().expect("no test panics with it");
            *asked += 1;
            if self.down_from.is_some_and(|from| *asked > from) {
                return Err(self.down.unwrap_or(WarehouseError::Unavailable)("connection refused".into()));
            }
        }
        let (mut ids, mut size) = (Vec::new(), 0);
        for message in messages {
            let bytes = open(message).expect("only sealed batches are stored");
            size += bytes.len();
            let batch = SealedBatch::from_bytes(&bytes).expect("only sealed batches are stored");
            ids.extend(batch.events.iter().map(|event| event.event_id.to_string()));
        }
        self.sizes.lock().expect("no test panics with it").push(size);
        let holds = |bad: &[&str]| ids.iter().any(|id| bad.contains(&id.as_str()));
        if holds(&self.hangs) {
            std::future::pending::<()>().await;
        }
        if holds(&self.chokes) {
            return Err(self.choke.expect("says how")("code 43".into()));
        }
        if let Some(bad) = ids.iter().find(|id| self.refuses.contains(&id.as_str())) {
            return Err(WarehouseError::InvalidRows(format!("cannot parse {bad}")));
        }
        self.stored.lock().expect("no test panics with it").extend(ids);
        Ok(())
    }
}

#[derive(Default)]
struct FakeDeadLetters {
    down: bool,
    hangs: bool,
    taken: Mutex<Vec<(String, String)>>,
}

impl DeadLetters for FakeDeadLetters {
    async fn set_aside(&self, body: String, reason: &str) -> Result<(), QueueError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if self.down {
            return Err(QueueError::Unavailable("connection refused".into()));
        }
        self.taken.lock().expect("no test panics with it").push((body, reason.to_owned()));
        Ok(())
    }
}

#[derive(Default)]
struct FakeWatchers(Mutex<Vec<String>>);

impl Watchers for FakeWatchers {
    async fn stored(&self, account_ids: &BTreeSet<AccountId>) {
        self.0.lock().expect("no test panics with it").extend(account_ids.iter().map(ToString::to_string));
    }
}

/// A sealed batch of one event of an account.
fn sealed_for(account_id: &str, id: &str, properties: &str) -> String {
    let event = SealedEvent {
        position: 0,
        timestamp: 1_795_512_600_000,
        event_type: "message".into(),
        event_name: "message_sent".into(),
        event_id: id.into(),
        properties: properties.into(),
        ..SealedEvent::default()
    };
    let batch = SealedBatch { account_id: account_id.into(), events: vec![event], ..SealedBatch::default() };
    seal(batch).expect("seals").remove(0)
}

/// The same, of an account that has the event's name.
fn sealed(id: &str) -> String {
    sealed_for(id, id, "{}")
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
    sizes: Vec<usize>,
    /// Accounts that were announced to those who watch.
    announced: Vec<String>,
}

async fn run(store: FakeStore, dead_letters: FakeDeadLetters, messages: Vec<(String, String)>) -> End {
    let app = App { store, dead_letters, watchers: FakeWatchers::default() };
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
        sizes: app.store.sizes.into_inner().expect("no test panics with it"),
        announced: app.watchers.0.into_inner().expect("no test panics with it"),
    }
}

#[tokio::test]
async fn good_batches_are_stored_with_one_question() {
    let end = run(FakeStore::default(), FakeDeadLetters::default(), good(0..5)).await;
    assert_eq!(end.stored, ["0", "1", "2", "3", "4"]);
    assert_eq!((end.asked, end.again.len(), end.set_aside.len()), (1, 0, 0));
    assert_eq!(end.announced, end.stored);
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
    assert_eq!(end.announced, end.stored, "nobody is told of what was refused");
    assert!(end.asked <= 15, "splitting takes few questions: {}", end.asked);
}

#[tokio::test]
async fn what_is_no_sealed_batch_is_set_aside_with_its_reason() {
    let whole = sealed("a");
    let mut messages = good(0..2);
    messages.push(("text".into(), "hello".into()));
    messages.push(("cut".into(), whole[..whole.len() / 8 * 4].into()));
    // The first byte is the version, so the first letters of base64 are too.
    messages.push(("future".into(), format!("{}{}", "Aw", &whole[2..])));
    let end = run(FakeStore::default(), FakeDeadLetters::default(), messages).await;
    assert_eq!(end.stored, ["0", "1"]);
    assert_eq!(end.announced, end.stored);
    assert!(end.again.is_empty());
    let reasons: Vec<&str> = end.set_aside.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons[0], "not base64");
    assert!(reasons.contains(&"sealed by a version this one doesn't know: 3"), "{reasons:?}");
    assert_eq!(reasons.len(), 3);
}

#[tokio::test]
async fn all_come_again_while_clickhouse_is_down() {
    let store = FakeStore { down_from: Some(0), ..FakeStore::default() };
    let end = run(store, FakeDeadLetters::default(), good(0..3)).await;
    assert_eq!(end.again, ["0", "1", "2"]);
    assert_eq!((end.asked, end.set_aside.len()), (1, 0));
    assert_eq!(end.announced, [""; 0], "nothing was stored");
}

#[tokio::test]
async fn what_is_not_known_to_be_stored_comes_again_when_clickhouse_goes_down_halfway() {
    // The whole is refused, one of its pieces is judged, then nobody answers.
    let store = FakeStore { refuses: vec!["3"], down_from: Some(2), ..FakeStore::default() };
    let end = run(store, FakeDeadLetters::default(), good(0..4)).await;
    let refused: Vec<String> = end.set_aside.iter().map(|_| "3".to_owned()).collect();
    let mut all = [end.stored.clone(), end.again.clone(), refused].concat();
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3"]);
    assert_eq!(end.again.len(), 3, "one was judged");
    assert!(end.set_aside.iter().all(|(body, _)| *body == sealed("3")));
    assert_eq!(end.announced, end.stored);
}

#[tokio::test]
async fn poison_comes_again_while_the_dead_letter_queue_is_down() {
    let store = FakeStore { refuses: vec!["1"], ..FakeStore::default() };
    let mut messages = good(0..3);
    messages.push(("text".into(), "hello".into()));
    let end = run(store, FakeDeadLetters { down: true, ..FakeDeadLetters::default() }, messages).await;
    assert_eq!(end.stored, ["0", "2"]);
    assert_eq!(end.again, ["1", "text"]);
    assert_eq!(end.announced, end.stored);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_all_the_time_holds_up_no_neighbour() {
    let (store, start) = (FakeStore { hangs: vec!["3"], ..FakeStore::default() }, Instant::now());
    let end = run(store, FakeDeadLetters::default(), good(0..16)).await;
    assert!(start.elapsed() < Duration::from_secs(17), "answered after {:?}", start.elapsed());
    // Pieces of pieces: in the time of one call, its nearest neighbours may have to wait with it.
    assert!(end.stored.len() >= 15 && end.again.contains(&"3".to_owned()), "{:?}", end.again);
    assert_eq!((end.stored.len() + end.again.len(), end.set_aside.len()), (16, 0), "it is no poison");
    assert_eq!(end.announced, end.stored);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_gets_everything_again_and_the_call_ends_in_time() {
    let store = FakeStore { hangs: vec!["0", "1", "2", "3"], ..FakeStore::default() };
    let start = Instant::now();
    let mut messages = good(0..4);
    messages.push(("text".into(), "hello".into()));
    let end = run(store, FakeDeadLetters { hangs: true, ..FakeDeadLetters::default() }, messages).await;
    assert!(start.elapsed() < Duration::from_secs(17), "answered after {:?}", start.elapsed());
    assert_eq!(end.again, ["0", "1", "2", "3", "text"]);
    assert_eq!(end.announced, [""; 0]);
}

#[tokio::test]
async fn a_message_that_fails_for_no_clear_reason_comes_again_and_its_neighbours_are_stored() {
    for choke in [WarehouseError::OverLimits, WarehouseError::Refused, WarehouseError::TimedOut] {
        let store = FakeStore { chokes: vec!["1"], choke: Some(choke), ..FakeStore::default() };
        let end = run(store, FakeDeadLetters::default(), good(0..4)).await;
        assert_eq!((end.stored.join(" "), end.again.join(" ")), ("0 2 3".to_owned(), "1".to_owned()));
        assert_eq!((end.set_aside.len(), end.announced), (0, end.stored));
    }
}

#[tokio::test]
async fn nothing_is_split_or_set_aside_for_what_an_operator_has_to_mend() {
    let store = FakeStore { down_from: Some(0), down: Some(WarehouseError::Unfit), ..FakeStore::default() };
    let end = run(store, FakeDeadLetters::default(), good(0..3)).await;
    assert_eq!((end.again.len(), end.asked, end.set_aside.len(), end.announced.len()), (3, 1, 0, 0));
}

#[tokio::test]
async fn a_call_takes_on_what_it_can_store_and_small_accounts_go_first() {
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(700_000));
    let of_large = |number: usize| (format!("large-{number}"), sealed_for("large", &number.to_string(), &large));
    let mut messages: Vec<_> = (0..120).map(of_large).collect();
    assert!(messages.iter().map(|(_, body)| body.len()).sum::<usize>() < 6_000_000, "SQS hands over as many");
    messages.extend(good(1_000..1_010));
    let end = run(FakeStore::default(), FakeDeadLetters::default(), messages).await;
    assert!(end.sizes.iter().all(|size| *size <= INSERT_BYTES), "{:?}", end.sizes);
    let stored: usize = end.sizes.iter().sum();
    assert!((CALL_BYTES - 800_000..=CALL_BYTES).contains(&stored), "{stored} bytes");
    assert!((1_000..1_010).all(|id| end.stored.contains(&id.to_string())), "{:?}", end.stored);
    assert_eq!(end.stored.len() + end.again.len(), 130);
    assert!(end.again.iter().all(|id| id.starts_with("large")));
    assert_eq!(end.announced.len(), 11);
}

#[tokio::test]
async fn lists_count_as_they_are_stored_with_their_paths() {
    // Sealed before the limit was known: each element is stored with the 900 bytes of its path.
    let path = format!("{{\"{}\":", "n".repeat(128)).repeat(7);
    let list = format!("{path}[{}]{}", ["1"; 14_000].join(","), "}".repeat(7));
    let messages =
        (0..10).map(|number: usize| (format!("large-{number}"), sealed_for("large", &number.to_string(), &list)));
    let end = run(FakeStore::default(), FakeDeadLetters::default(), messages.chain(good(0..3)).collect()).await;
    assert!((0..3).all(|id| end.stored.contains(&id.to_string())), "{:?}", end.stored);
    assert!((1..=6).contains(&(end.stored.len() - 3)), "of 13 MB each, a call takes on few: {:?}", end.stored);
    assert_eq!(end.stored.len() + end.again.len(), 13);
}

#[tokio::test]
async fn whom_only_rejected_events_came_from_is_not_announced() {
    let rejected = analytics_domain::event::RejectedEvent {
        position: 0,
        code: analytics_domain::event::Code::Required,
        pointer: "/eventName".into(),
        detail: "is missing".into(),
        event_name: "".into(),
        event: "{}".into(),
    };
    let batch = SealedBatch { account_id: "demo".into(), rejected: vec![rejected], ..SealedBatch::default() };
    let body = seal(batch).expect("seals").remove(0);
    let end = run(FakeStore::default(), FakeDeadLetters::default(), vec![("r".into(), body)]).await;
    assert_eq!((end.asked, end.again.len(), end.announced.len()), (1, 0, 0));
}

#[tokio::test]
async fn the_sample_stores_its_sealed_batch_and_sets_aside_what_is_none() {
    let sample = include_str!("../../../../events/store-events.json");
    let app = App {
        store: FakeStore::default(),
        dead_letters: FakeDeadLetters::default(),
        watchers: FakeWatchers::default(),
    };
    let failures = handle(&app, serde_json::from_str(sample).expect("is an SQS event")).await;
    assert_eq!(failures, PartialFailure::default());
    assert_eq!(app.store.stored.lock().expect("no test panics with it").len(), 3);
    let set_aside = app.dead_letters.taken.lock().expect("no test panics with it").clone();
    assert_eq!(set_aside, [("no sealed batch".to_owned(), "not base64".to_owned())]);
    assert_eq!(app.watchers.0.lock().expect("no test panics with it").len(), 1);
}

/// A number that a part of the template has.
fn setting(part: &str, key: &str) -> u64 {
    let template = include_str!("../../../../template.yaml");
    let (_, rest) = template.split_once(&format!("\n  {part}:\n")).expect("the part is there");
    let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let value = lines.filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": ")).next();
    value.and_then(|value| value.parse().ok()).expect("the part has the number")
}

#[test]
fn a_message_stays_hidden_for_a_whole_call_and_comes_back_in_time() {
    let (window, time) = (setting("BatchWindowSeconds", "MaxValue"), setting("StoreEvents", "Timeout"));
    let hidden = setting("EventsQueue", "VisibilityTimeout");
    assert!(hidden > window + time, "{hidden} s, after {window} s of gathering and {time} s of storing");
    assert!(hidden <= 30, "what is returned is stored within a minute");
    assert!(SETTING_ASIDE.as_secs() + 1 < time, "the answer is given in time");
}
