//! The simulated world: the same for a seed, in the catalogue's words, with believable rates.

mod facts;
mod rates;
mod view;

use std::collections::{BTreeSet, HashSet};

use analytics_domain::account::AccountId;
use analytics_domain::catalogue;
use analytics_domain::event::{Arrival, accept, advice, parse_batch};
use demo::batch::Batches;
use demo::{Campaigns, Event, Window};

use view::{HOUR, UNTIL, integer, text, week, word};

fn bytes(events: impl IntoIterator<Item = Event>) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        event.write_json(&mut out);
        out.push(b'\n');
    }
    out
}

fn count(events: &[Event], matches: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| matches(event)).count()
}

#[test]
fn same_seed_and_window_give_the_same_bytes() {
    assert!(bytes(week(1)) == bytes(week(1)));
    assert!(bytes(week(1)) != bytes(week(2)));
}

#[test]
fn bytes_of_seed_1_have_not_changed() {
    let all = bytes(week(1));
    let digest = all
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(format!("{digest:016x}"), DIGEST_OF_SEED_1, "{} events", week(1).len());
}

/// FNV-1a of a week's NDJSON. Changes whenever the demo's world does; then write the new one here.
const DIGEST_OF_SEED_1: &str = "67e54cfdad6ed625";

#[test]
fn windows_that_meet_give_what_one_window_gives() {
    let campaigns = Campaigns::new(3);
    let whole = Window { from_ms: UNTIL - 50 * HOUR, until_ms: UNTIL };
    let cut = UNTIL - 17 * HOUR - 123;
    let before = campaigns.events(Window { until_ms: cut, ..whole });
    let after = campaigns.events(Window { from_ms: cut, ..whole });
    assert!(bytes(before.chain(after)) == bytes(campaigns.events(whole)));
}

#[test]
fn events_come_in_order_inside_the_window_each_once() {
    let events = week(1);
    let window = Window::days_until(7, UNTIL);
    assert!(events.is_sorted_by_key(|event| event.at_ms));
    assert!(events.iter().all(|event| (window.from_ms..window.until_ms).contains(&event.at_ms)));
    let identities: HashSet<_> = events.iter().map(|event| (event.name, event.at_ms, &event.id)).collect();
    assert_eq!(identities.len(), events.len());
    assert!((20_000..60_000).contains(&events.len()), "{} events a week", events.len());
}

#[test]
fn every_event_speaks_the_catalogues_words() {
    let everywhere = [&catalogue::COMMON[..], &["text", "campaignName", "groupName"]].concat();
    let mut names = BTreeSet::new();
    let month = Campaigns::new(1).scaled(0.3).events(Window::days_until(30, UNTIL));
    for event in month {
        let known = catalogue::find(event.name).unwrap_or_else(|| panic!("{} is not in the catalogue", event.name));
        names.insert(event.name);
        let mut keys = BTreeSet::new();
        for (key, _) in &event.properties {
            assert!(known.properties.contains(key) || everywhere.contains(key), "{}: {key}", event.name);
            assert!(keys.insert(key), "{}: {key} twice", event.name);
        }
        let json: serde_json::Value = serde_json::from_str(&event.to_json()).expect("valid JSON");
        assert_eq!(json["eventType"], known.event_type);
        assert!(event.to_json().len() < 4_096);
    }
    let all: BTreeSet<_> = catalogue::EVENTS.iter().map(|known| known.name).collect();
    assert_eq!(names, all, "a month has every name of the catalogue");
}

#[test]
fn the_service_accepts_every_event_without_a_warning() {
    let account = AccountId::parse("demo").expect("an account");
    let arrival = Arrival::new(account, UNTIL, 400);
    for batch in Batches::new(week(1).into_iter(), 2_000) {
        let drafts = parse_batch(&batch.body).expect("a batch");
        let outcome = accept(&drafts, &arrival);
        assert!(outcome.rejections.is_empty(), "{:?}", outcome.rejections);
        for event in &outcome.batch.events {
            assert_eq!(advice(event), Some(Vec::new()), "{event:?}");
        }
    }
}

#[test]
fn funnel_narrows() {
    let events = week(1);
    let named = |name: &str| count(&events, |event| event.name == name);
    let funnel = [
        named("message_queued"),
        named("message_sent"),
        named("message_delivered"),
        named("message_read"),
        named("link_clicked"),
        named("conversion_recorded"),
    ];
    assert!(funnel.is_sorted_by(|wide, narrow| wide > narrow), "{funnel:?}");
    assert!(named("member_joined") > named("member_left"));
}

#[test]
fn message_goes_through_its_stages_in_order() {
    let events = week(1);
    let mut completed = 0;
    for event in events.iter().filter(|event| event.name == "campaign_completed") {
        let of_run = |name: &str| count(&events, |other| other.session_id == event.session_id && other.name == name);
        // Runs that began before the window are seen in part.
        if of_run("campaign_started") == 0 || of_run("message_queued") < 50 {
            continue;
        }
        let value = |key| usize::try_from(integer(event, key)).expect("a count");
        assert_eq!(value("targets"), of_run("message_queued"));
        assert_eq!(value("sent"), of_run("message_sent"));
        assert_eq!(value("targets"), value("sent") + value("failed"));
        completed += 1;
    }
    assert!(completed > 20, "{completed} complete runs in a week");
}

#[test]
fn nobody_is_written_to_at_night_and_every_script_is_written() {
    let events = week(1);
    let mut written = String::new();
    for event in events.iter().filter(|event| event.name == "message_sent") {
        let campaign = word(event, "campaignId");
        let offset = match &campaign[4..6] {
            "zh" => 8,
            "ru" | "mi" => 3,
            "ar" => 4,
            _ => 0,
        };
        let hour = (event.at_ms + offset * HOUR).div_euclid(HOUR).rem_euclid(24);
        assert!((9..=23).contains(&hour), "{campaign} at {hour}");
        written.push_str(text(event, "text").unwrap_or_default());
    }
    for word in ["水晶", "Распродажа", "InboxPilot", "توصيل", "🚀", "专线"] {
        assert!(written.contains(word), "{word}");
    }
}

#[test]
fn scale_multiplies_the_messages() {
    let window = Window::days_until(2, UNTIL);
    let sent =
        |scale| Campaigns::new(5).scaled(scale).events(window).filter(|event| event.name == "message_sent").count();
    let (single, double) = (sent(1.0), sent(2.0));
    assert!((19..=21).contains(&(double * 10 / single)), "{single} → {double}");
}
