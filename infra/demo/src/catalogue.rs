//! The built-in event vocabulary: which type an event name belongs to and which properties it may carry.

use std::collections::BTreeMap;

/// One event name of the catalogue.
pub struct Kind {
    pub event_type: &'static str,
    pub name: &'static str,
    /// Properties of this name, beside [`COMMON`].
    pub properties: &'static [&'static str],
}

/// Properties every event may carry.
pub const COMMON: [&str; 4] = ["campaignId", "groupId", "senderId", "variantId"];

const fn kind(event_type: &'static str, name: &'static str, properties: &'static [&'static str]) -> Kind {
    Kind { event_type, name, properties }
}

/// Beside the catalogue's own properties: `text` (what was written, for full-text search), `campaignName` and
/// `groupName` (what people call the thing an id stands for).
pub const KINDS: &[Kind] = &[
    kind("message", "message_queued", &["scheduledAt"]),
    kind("message", "message_sent", &["messageId", "messageType", "charactersCount", "hasMedia", "latencyMs", "text"]),
    kind("message", "message_delivered", &["confirmedBy", "readTrackable"]),
    kind("message", "message_failed", &["errorCode", "errorClass", "retryAfterS", "attempt", "final"]),
    kind("message", "message_read", &[]),
    kind("message", "message_deleted", &["byModerator"]),
    kind("message", "reply_received", &["sentiment", "text"]),
    kind("post", "post_published", &["postId", "text"]),
    kind("post", "post_stats_sampled", &["postId", "views", "forwards", "reactions", "replies", "ageMinutes"]),
    kind("link", "link_clicked", &["linkId", "clickerHash", "botSuspected"]),
    kind("member", "member_joined", &["memberHash", "source", "inviteLinkId"]),
    kind("member", "member_left", &["memberHash", "reason", "daysSinceJoin"]),
    kind("bot", "bot_started", &["startParam"]),
    kind("bot", "bot_blocked", &[]),
    kind("bot", "bot_unblocked", &[]),
    kind("group", "group_stats_sampled", &["members", "online", "slowmodeS", "groupName"]),
    kind("group", "group_restricted", &["reason", "groupName"]),
    kind("sender", "sender_flood_wait", &["method", "waitS"]),
    kind("sender", "sender_peer_flood", &[]),
    kind("sender", "sender_restricted", &["until"]),
    kind("sender", "sender_banned", &[]),
    kind("sender", "sender_session_lost", &[]),
    kind("sender", "sender_recovered", &[]),
    kind("campaign", "campaign_started", &["campaignName"]),
    kind("campaign", "campaign_paused", &["reason", "campaignName"]),
    kind("campaign", "campaign_completed", &["targets", "sent", "failed", "durationS", "campaignName"]),
    kind("money", "cost_recorded", &["amount", "currency", "kind"]),
    kind("money", "conversion_recorded", &["goal", "value", "currency"]),
];

/// The catalogue's entry for an event name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Entries by event name in the catalogue's order; unknown names come last.
pub fn in_order<'a, T>(by_name: &'a BTreeMap<&'static str, T>) -> Vec<(&'static str, &'a T)> {
    let position = |name: &str| KINDS.iter().position(|kind| kind.name == name).unwrap_or(KINDS.len());
    let mut entries: Vec<_> = by_name.iter().map(|(name, entry)| (*name, entry)).collect();
    entries.sort_by_key(|(name, _)| position(name));
    entries
}
