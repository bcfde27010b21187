//! What built-in metrics miss in an event that is accepted as it is.

use serde_json::{Map, Value};

use super::SealedEvent;
use crate::catalogue::{self, FLAGS, Known, NUMBERS};

/// Something that built-in metrics miss in events of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub code: &'static str,
    pub event_name: &'static str,
    pub property: &'static str,
    pub detail: String,
}

/// What is missed in an event, if its name is known. None if it is not.
#[must_use]
pub fn advice(event: &SealedEvent<'_>) -> Option<Vec<Advice>> {
    let Known { name, properties: own, needs, .. } = catalogue::find(&event.event_name)?;
    let properties: Map<String, Value> = serde_json::from_str(&event.properties).unwrap_or_default();
    let advice = |code, property: &'static str, what: &str| {
        let detail = format!(
            "{name}: {property} {what}, so built-in metrics and the dashboard leave the event out or mix it up"
        );
        Advice { code, event_name: name, property, detail }
    };
    let mut all = Vec::new();
    for property in *needs {
        if properties.get(*property).is_none_or(Value::is_null) {
            all.push(advice("missing_property", property, "is missing"));
        }
    }
    for property in *own {
        let Some(value) = properties.get(*property).filter(|value| !value.is_null()) else { continue };
        if NUMBERS.contains(property) && !value.is_number() {
            all.push(advice("not_a_number", property, "is no JSON number"));
        }
        if FLAGS.contains(property) && !value.is_boolean() {
            all.push(advice("not_a_boolean", property, "is neither true nor false"));
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &'static str, properties: &'static str) -> Option<Vec<(&'static str, &'static str)>> {
        let event = SealedEvent { event_name: name.into(), properties: properties.into(), ..SealedEvent::default() };
        advice(&event).map(|all| all.into_iter().map(|advice| (advice.code, advice.property)).collect())
    }

    #[test]
    fn says_what_metrics_miss_in_a_known_event() {
        assert_eq!(told("message_failed", "{}"), Some(vec![("missing_property", "final")]));
        assert_eq!(told("message_failed", r#"{"final":false}"#), Some(vec![]));
        assert_eq!(told("message_failed", r#"{"final":"true"}"#), Some(vec![("not_a_boolean", "final")]));
        assert_eq!(
            told("post_stats_sampled", r#"{"postId":7,"ageMinutes":5,"views":"12","reactions":null}"#),
            Some(vec![("missing_property", "groupId"), ("not_a_number", "views")])
        );
        assert_eq!(told("webinar_attended", "{}"), None);
    }
}
