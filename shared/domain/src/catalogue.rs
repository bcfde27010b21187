//! The built-in vocabulary: events that marketers on Telegram send. Event names are open; these are the ones whose type
//! is known, so that it need not be sent.

/// Type of an event whose name is not in the catalogue and that names none itself.
pub const CUSTOM: &str = "custom";

/// `(eventType, its event names)`.
pub const EVENTS: [(&str, &[&str]); 9] = [
    (
        "message",
        &[
            "message_queued",
            "message_sent",
            "message_delivered",
            "message_failed",
            "message_read",
            "message_deleted",
            "reply_received",
        ],
    ),
    ("post", &["post_published", "post_stats_sampled"]),
    ("link", &["link_clicked"]),
    ("member", &["member_joined", "member_left"]),
    ("bot", &["bot_started", "bot_blocked", "bot_unblocked"]),
    ("group", &["group_stats_sampled", "group_restricted"]),
    (
        "sender",
        &[
            "sender_flood_wait",
            "sender_peer_flood",
            "sender_restricted",
            "sender_banned",
            "sender_session_lost",
            "sender_recovered",
        ],
    ),
    ("campaign", &["campaign_started", "campaign_paused", "campaign_completed"]),
    ("money", &["cost_recorded", "conversion_recorded"]),
];

/// The type of an event with this name that did not say its type.
#[must_use]
pub fn type_of(event_name: &str) -> &'static str {
    EVENTS.iter().find(|(_, names)| names.contains(&event_name)).map_or(CUSTOM, |(event_type, _)| event_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_type_of_catalogue_events_and_calls_others_custom() {
        assert_eq!(type_of("sender_flood_wait"), "sender");
        assert_eq!(type_of("reply_received"), "message");
        assert_eq!(type_of("webinar_attended"), CUSTOM);
    }
}
