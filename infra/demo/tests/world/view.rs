//! The demo's events as tests look at them.

use std::sync::LazyLock;

use demo::event::Value;
use demo::{Campaigns, Event, Window};

/// 1 July 2026, noon.
pub const UNTIL: i64 = 1_782_907_200_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub fn week(seed: u64) -> Vec<Event> {
    Campaigns::new(seed).events(Window::days_until(7, UNTIL)).collect()
}

/// A month of seed 1.
pub fn month() -> &'static [Event] {
    static MONTH: LazyLock<Vec<Event>> =
        LazyLock::new(|| Campaigns::new(1).events(Window::days_until(30, UNTIL)).collect());
    &MONTH
}

/// The month's events of a name.
pub fn named(name: &str) -> impl Iterator<Item = &'static Event> {
    month().iter().filter(move |event| event.name == name)
}

pub fn text<'a>(event: &'a Event, key: &str) -> Option<&'a str> {
    match event.property(key) {
        Some(Value::Text(text)) => Some(text),
        _ if key == "$userId" => event.user_id.as_deref(),
        _ => None,
    }
}

/// A text that the event must have.
pub fn word<'a>(event: &'a Event, key: &str) -> &'a str {
    text(event, key).unwrap_or_else(|| panic!("no {key}: {event:?}"))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a demo")]
pub fn number(event: &Event, key: &str) -> Option<f64> {
    match event.property(key) {
        Some(Value::Integer(number)) => Some(*number as f64),
        Some(Value::Hundredths(number)) => Some(*number as f64 / 100.0),
        Some(Value::Thousandths(number)) => Some(*number as f64 / 1_000.0),
        _ => None,
    }
}

/// A whole number that the event must have.
pub fn integer(event: &Event, key: &str) -> i64 {
    match event.property(key) {
        Some(Value::Integer(number)) => *number,
        other => panic!("{key} is {other:?}: {event:?}"),
    }
}

pub fn is(event: &Event, key: &str) -> bool {
    event.property(key) == Some(&Value::Flag(true))
}

pub fn has(event: &Event, key: &str) -> bool {
    event.property(key).is_some()
}

pub fn says(event: &Event, key: &str, value: &str) -> bool {
    text(event, key) == Some(value)
}
