//! The built-in vocabulary: events that marketers on Telegram send. Event names are open; these are the ones whose type
//! is known, so that it need not be sent, and whose properties built-in metrics read.

/// Type of an event whose name is not in the catalogue and that names none itself.
pub const CUSTOM: &str = "custom";

/// An event of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub event_type: &'static str,
    pub name: &'static str,
    /// What it may carry beside [`COMMON`].
    pub properties: &'static [&'static str],
    /// Properties without which built-in metrics and the dashboard leave it out or mix it up.
    pub needs: &'static [&'static str],
}

/// Properties that every event may carry: strings, but for the flag `isScheduled`.
pub const COMMON: [&str; 12] = [
    "campaignId",
    "groupId",
    "senderId",
    "variantId",
    "messageKey",
    "audience",
    "senderKind",
    "topicId",
    "mediaGroupId",
    "inviteLinkId",
    "placementId",
    "isScheduled",
];

/// Properties that built-in metrics read as numbers, and as true or false.
pub const NUMBERS: [&str; 12] = [
    "latencyMs",
    "views",
    "forwards",
    "reactions",
    "replies",
    "ageMinutes",
    "members",
    "daysSinceJoin",
    "waitS",
    "amount",
    "value",
    "margin",
];
pub const FLAGS: [&str; 4] = ["final", "readTrackable", "botSuspected", "isForwardedCopy"];

const fn known(
    event_type: &'static str,
    name: &'static str,
    properties: &'static [&'static str],
    needs: &'static [&'static str],
) -> Known {
    Known { event_type, name, properties, needs }
}

/// By type. Beside their own properties, `text` is what was written, `campaignName` and `groupName` what people call the thing
/// that an id stands for.
pub const EVENTS: &[Known] = &[
    known("message", "message_queued", &["scheduledAt"], &[]),
    known(
        "message",
        "message_sent",
        &["messageId", "messageType", "charactersCount", "hasMedia", "latencyMs", "text"],
        &[],
    ),
    known("message", "message_delivered", &["confirmedBy", "readTrackable"], &["messageKey", "audience"]),
    known(
        "message",
        "message_failed",
        &["errorCode", "errorClass", "fault", "retryAfterS", "attempt", "final"],
        &["final"],
    ),
    known("message", "message_read", &[], &["messageKey"]),
    known("message", "message_deleted", &["removedBy", "byModerator"], &["removedBy"]),
    known("message", "reply_received", &["sentiment", "intent", "isComment", "postId", "text"], &[]),
    known("post", "post_published", &["postId", "mediaCount", "isPaidPost", "text"], &["groupId", "postId"]),
    known(
        "post",
        "post_stats_sampled",
        &[
            "postId",
            "views",
            "forwards",
            "reactions",
            "paidReactions",
            "reactionsPositive",
            "replies",
            "ageMinutes",
            "isForwardedCopy",
        ],
        &["groupId", "postId", "ageMinutes", "views"],
    ),
    known("link", "link_clicked", &["linkId", "clickerHash", "botSuspected", "postId"], &["clickerHash"]),
    known(
        "member",
        "member_joined",
        &["memberHash", "source", "inviteLinkName", "viaJoinRequest", "viaFolderLink"],
        &["groupId"],
    ),
    known("member", "member_left", &["memberHash", "reason", "daysSinceJoin"], &["groupId"]),
    known("member", "join_requested", &["memberHash"], &["groupId"]),
    known("bot", "bot_started", &["startParam", "isNew", "surface"], &[]),
    known("bot", "bot_blocked", &["detectedBy"], &[]),
    known("bot", "bot_unblocked", &[], &[]),
    known("bot", "button_pressed", &["buttonId"], &[]),
    known("bot", "poll_voted", &["pollId", "options", "retracted"], &[]),
    known(
        "group",
        "group_stats_sampled",
        &[
            "members",
            "online",
            "notificationsOn",
            "joinRequestsPending",
            "boosts",
            "kind",
            "linkedGroupId",
            "slowmodeS",
            "groupName",
        ],
        &["groupId", "members"],
    ),
    known("group", "group_restricted", &["reason", "groupName"], &["groupId"]),
    known("group", "group_changed", &["change", "newGroupId"], &["groupId", "change"]),
    known(
        "group",
        "source_stats_sampled",
        &["what", "source", "value", "day"],
        &["groupId", "what", "source", "value", "day"],
    ),
    known("group", "invite_stats_sampled", &["name", "joins", "pending"], &["inviteLinkId"]),
    known("group", "boost_changed", &["boostId", "change", "source", "expiresAt"], &["groupId"]),
    known("group", "reaction_changed", &["postId", "added", "removed", "isPaid"], &["groupId", "postId"]),
    known(
        "group",
        "story_stats_sampled",
        &["storyId", "views", "forwards", "reactions", "ageMinutes"],
        &["groupId", "storyId", "ageMinutes"],
    ),
    known(
        "sender",
        "sender_flood_wait",
        &["kind", "method", "waitS", "absorbed"],
        &["senderId", "kind", "method", "waitS"],
    ),
    known("sender", "sender_peer_flood", &[], &["senderId"]),
    known("sender", "sender_restricted", &["kind", "until", "detectedBy"], &["senderId"]),
    known("sender", "sender_banned", &[], &["senderId"]),
    known("sender", "sender_session_lost", &[], &["senderId"]),
    known("sender", "sender_recovered", &[], &["senderId"]),
    known(
        "sender",
        "sender_stats_sampled",
        &["state", "sentToday", "newChatsToday", "dailyLimit", "ageDays", "proxyId", "dc", "phoneCountry", "isPremium"],
        &["senderId", "state"],
    ),
    known("campaign", "campaign_started", &["targets", "budget", "currency", "campaignName"], &["campaignId"]),
    known("campaign", "campaign_paused", &["reason", "campaignName"], &["campaignId"]),
    known(
        "campaign",
        "campaign_completed",
        &["targets", "sent", "failed", "durationS", "campaignName"],
        &["campaignId"],
    ),
    known(
        "money",
        "cost_recorded",
        &["amount", "currency", "kind", "postId", "topHours", "feedHours"],
        &["amount", "currency"],
    ),
    known(
        "money",
        "conversion_recorded",
        &["goal", "value", "margin", "currency", "chargeId", "isRecurring"],
        &["value", "currency"],
    ),
    known("money", "revenue_stats_sampled", &["currency", "total", "available", "usdRate"], &["currency", "total"]),
];

/// The catalogue's entry for an event name.
#[must_use]
pub fn find(event_name: &str) -> Option<&'static Known> {
    EVENTS.iter().find(|known| known.name == event_name)
}

/// The type of an event with this name that did not say its type.
#[must_use]
pub fn type_of(event_name: &str) -> &'static str {
    find(event_name).map_or(CUSTOM, |known| known.event_type)
}

/// Whether events of this name tell a level: what an object has, until the next sample says otherwise.
#[must_use]
pub fn is_sampled(event_name: &str) -> bool {
    event_name.ends_with("_sampled")
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

    /// Formulas of accounts hold short names, such as `sent`, which mean the one known event that ends so.
    #[test]
    fn a_short_name_means_what_it_has_always_meant() {
        let short = [
            ("sent", "message_sent"),
            ("delivered", "message_delivered"),
            ("failed", "message_failed"),
            ("read", "message_read"),
            ("queued", "message_queued"),
            ("deleted", "message_deleted"),
            ("clicked", "link_clicked"),
            ("joined", "member_joined"),
            ("left", "member_left"),
            ("blocked", "bot_blocked"),
            ("banned", "sender_banned"),
            ("published", "post_published"),
            ("received", "reply_received"),
            ("completed", "campaign_completed"),
            ("paused", "campaign_paused"),
        ];
        for (name, event) in short {
            let ends_so = |known: &&Known| known.name.ends_with(&format!("_{name}"));
            assert_eq!(EVENTS.iter().filter(ends_so).map(|known| known.name).collect::<Vec<_>>(), [event]);
        }
    }

    #[test]
    fn what_metrics_need_of_an_event_is_what_it_may_carry() {
        for Known { name, properties, needs, .. } in EVENTS {
            for need in *needs {
                assert!(properties.contains(need) || COMMON.contains(need), "{name}: {need}");
            }
        }
    }
}
