//! The metrics that every account has: what marketers on Telegram measure.

use super::definition::Kind;

/// A metric that is there without being created.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    pub id: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub unit: &'static str,
    pub formula: &'static str,
    /// The definition in a sentence or two.
    pub description: &'static str,
    /// Properties that it is often split by.
    pub dimensions: &'static [&'static str],
}

/// What metrics of messages are often split by. Each split is a series more to keep, so the other metrics have only those that
/// their events carry.
const OF_MESSAGES: &[&str] = &["campaignId", "groupId", "senderId", "variantId"];
/// Posts, members and money.
const OF_RESULTS: &[&str] = &["campaignId", "groupId"];
const OF_SENDERS: &[&str] = &["campaignId", "senderId"];
/// Samples are of a group, whoever sends to it.
const OF_GROUPS: &[&str] = &["groupId"];

/// Sampled values belong to an object, and these properties together tell objects apart. Telegram numbers the messages of
/// each chat by themselves.
pub const OBJECTS: [(&str, &[&str]); 7] = [
    ("post_stats_sampled", &["groupId", "postId"]),
    ("story_stats_sampled", &["groupId", "storyId"]),
    ("group_stats_sampled", &["groupId"]),
    ("invite_stats_sampled", &["inviteLinkId"]),
    ("source_stats_sampled", &["day", "groupId", "source", "what"]),
    ("sender_stats_sampled", &["senderId"]),
    ("revenue_stats_sampled", &["currency", "groupId"]),
];

/// Sampled objects that say how old they are.
pub(super) fn has_age(event_name: &str) -> bool {
    matches!(event_name, "post_stats_sampled" | "story_stats_sampled")
}

/// Numbers of built-in events that are no amounts of money, whatever properties else an account sends with them.
const NO_AMOUNTS: [(&str, &[&str]); 14] = [
    ("message_sent", &["charactersCount", "latencyMs"]),
    ("message_failed", &["retryAfterS", "attempt"]),
    ("post_published", &["mediaCount"]),
    (
        "post_stats_sampled",
        &["views", "forwards", "reactions", "paidReactions", "reactionsPositive", "replies", "ageMinutes"],
    ),
    ("story_stats_sampled", &["views", "forwards", "reactions", "ageMinutes"]),
    ("member_left", &["daysSinceJoin"]),
    ("group_stats_sampled", &["members", "online", "notificationsOn", "joinRequestsPending", "boosts", "slowmodeS"]),
    ("source_stats_sampled", &["value"]),
    ("invite_stats_sampled", &["joins", "pending"]),
    ("sender_stats_sampled", &["sentToday", "newChatsToday", "dailyLimit", "ageDays"]),
    ("sender_flood_wait", &["waitS"]),
    ("cost_recorded", &["topHours", "feedHours"]),
    ("campaign_started", &["targets"]),
    ("campaign_completed", &["targets", "sent", "failed", "durationS"]),
];

/// Whether the numbers of an event's property may be amounts of money.
pub(super) fn may_be_amount(event_name: &str, property: &str) -> bool {
    !NO_AMOUNTS.iter().any(|(event, properties)| *event == event_name && properties.contains(&property))
}

/// What tells the objects of an event's samples apart; nothing if they are all of one.
pub(super) fn objects(event_name: &str) -> Vec<String> {
    let found = OBJECTS.iter().find(|(event, _)| *event == event_name);
    found.into_iter().flat_map(|(_, objects)| *objects).map(|object| (*object).to_owned()).collect()
}

const fn metric(
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    formula: &'static str,
    description: &'static str,
) -> BuiltIn {
    BuiltIn { id, name, kind: Kind::Gauge, unit, formula, description, dimensions: OF_MESSAGES }
}

pub const METRICS: [BuiltIn; 30] = [
    metric(
        "delivery_rate",
        "Delivery rate",
        "percentage",
        "100 * message_delivered / (message_sent + message_failed{final})",
        "Messages delivered, of all that were sent or given up. A message that Telegram refuses for good counts as not delivered.",
    ),
    metric(
        "confirmation_rate",
        "Confirmation rate",
        "percentage",
        "100 * message_delivered / message_sent",
        "Messages whose delivery was confirmed, of those that Telegram has taken.",
    ),
    metric(
        "error_rate",
        "Failed attempts",
        "percentage",
        "100 * message_failed / (message_sent + message_failed)",
        "Attempts to send that failed, of all attempts. A message that is tried again counts again.",
    ),
    metric(
        "final_failure_rate",
        "Final failure rate",
        "percentage",
        "100 * message_failed{final} / (message_sent + message_failed{final})",
        "Messages given up, of all that were sent or given up.",
    ),
    metric(
        "read_rate",
        "Read rate",
        "percentage",
        "100 * unique(message_read.messageKey) / unique(message_delivered.messageKey{readTrackable})",
        "Different messages read, of those delivered where reading can be seen: in private chats by a user account, and in groups of up to 100 members. Final after seven days, since Telegram tells for so long who has read.",
    ),
    metric(
        "ctr",
        "Click-through rate",
        "percentage",
        "100 * unique(link_clicked.clickerHash{not botSuspected and audience = person} by messageKey) \
         / message_delivered{audience = person}",
        "People who clicked in a private message, counted once a message and without suspected bots, of private messages delivered.",
    ),
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "ctr_views",
            "Click-through rate by views",
            "percentage",
            "100 * unique(link_clicked.clickerHash{not botSuspected and postId exists} by groupId, postId) \
         / last(post_stats_sampled.views{ageMinutes <= 1440 and not isForwardedCopy})",
            "People who clicked in a post, counted once a post and without suspected bots, of the views of posts at their last sample within 24 hours.",
        )
    },
    metric(
        "reply_rate",
        "Reply rate",
        "percentage",
        "100 * unique(reply_received.$userId) / unique(message_delivered.$userId)",
        "Different people who replied, of the different people whom a message was delivered to.",
    ),
    metric(
        "positive_reply_rate",
        "Positive reply rate",
        "percentage",
        "100 * unique(reply_received.$userId{sentiment = positive}) / unique(message_delivered.$userId)",
        "Different people with a positive reply, of the different people whom a message was delivered to.",
    ),
    metric(
        "opt_out_rate",
        "Opt-out rate",
        "percentage",
        "100 * unique(reply_received.$userId{intent = stop}) / unique(message_delivered.$userId)",
        "Different people who asked for no more messages, of the different people whom a message was delivered to.",
    ),
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "er",
            "Engagement rate by views (ER)",
            "percentage",
            "100 * (last(post_stats_sampled.forwards{ageMinutes <= 1440 and not isForwardedCopy}) \
         + last(post_stats_sampled.reactions{ageMinutes <= 1440 and not isForwardedCopy}) \
         + last(post_stats_sampled.replies{ageMinutes <= 1440 and not isForwardedCopy})) \
         / last(post_stats_sampled.views{ageMinutes <= 1440 and not isForwardedCopy})",
            "Forwards, reactions and replies, of views: both of each post at its last sample within 24 hours, without forwarded copies.",
        )
    },
    BuiltIn {
        dimensions: OF_GROUPS,
        ..metric(
            "err24",
            "Reach of subscribers in 24 hours (ERR24)",
            "percentage",
            "100 * avg(last(post_stats_sampled.views{ageMinutes <= 1440 and not isForwardedCopy}) by groupId) \
         / last(group_stats_sampled.members{not (kind in (group, supergroup))})",
            "Mean views of a post at its last sample within 24 hours, of the members of its channel. Over several channels each counts by its members.",
        )
    },
    BuiltIn {
        dimensions: OF_GROUPS,
        ..metric(
            "avg_reach",
            "Average reach of a post",
            "views",
            "avg(last(post_stats_sampled.views{ageMinutes <= 1440 and not isForwardedCopy}))",
            "Mean views of a post at its last sample within 24 hours, without forwarded copies. Views are not people: who comes back days later counts again.",
        )
    },
    BuiltIn {
        kind: Kind::Counter,
        dimensions: OF_RESULTS,
        ..metric("net_growth", "Net growth", "members", "member_joined - member_left", "Joins less leaves.")
    },
    BuiltIn {
        dimensions: OF_GROUPS,
        ..metric(
            "member_change",
            "Change of members",
            "members",
            "gain(group_stats_sampled.members)",
            "Members at the last sample less members before. It also holds the joins and leaves that no update tells, such as deleted accounts.",
        )
    },
    BuiltIn {
        dimensions: OF_GROUPS,
        ..metric(
            "churn_rate",
            "Churn rate",
            "percentage",
            "100 * member_left{reason != kicked and not (daysSinceJoin < 1)} / first(group_stats_sampled.members)",
            "Members who left, of those there at the start. Who was kicked, or had joined within a day, does not count.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "stay_rate_1d",
            "Share who stay a day",
            "percentage",
            "100 * (member_joined{campaignId exists} - member_left{campaignId exists and daysSinceJoin < 1}) \
         / member_joined{campaignId exists}",
            "Joins by campaigns less leaves within a day of such a join, of joins by campaigns.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "join_rate",
            "Join rate",
            "percentage",
            "100 * member_joined{campaignId exists} \
         / unique(link_clicked.clickerHash{not botSuspected and campaignId exists})",
            "Joins by campaigns, of the different people who clicked a link of a campaign, without suspected bots.",
        )
    },
    metric(
        "bot_block_rate",
        "Bot block rate",
        "percentage",
        "100 * unique(bot_blocked.$userId) / unique(message_delivered.$userId{senderKind = bot})",
        "Different people who blocked a bot, of the different people whom bots have reached.",
    ),
    metric(
        "bot_engagement",
        "Bot engagement",
        "percentage",
        "100 * unique(button_pressed.$userId) / unique(message_delivered.$userId{senderKind = bot})",
        "Different people who pressed a button, of the different people whom bots have reached.",
    ),
    metric(
        "removal_rate",
        "Removal rate",
        "percentage",
        "100 * message_deleted{removedBy = other and not (audience in (person, channel))} \
         / message_delivered{audience = group}",
        "Messages in groups that somebody else removed, of those delivered in groups.",
    ),
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "cpm",
            "Cost per thousand views (CPM)",
            "currency",
            "1000 * sum(cost_recorded.amount{kind = placement}) \
         / last(post_stats_sampled.views{placementId exists and ageMinutes <= 1440})",
            "Price of placements for each thousand views of them, at their last sample within 24 hours.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "cpc",
            "Cost per click (CPC)",
            "currency",
            "sum(cost_recorded.amount) / link_clicked{not botSuspected}",
            "Cost of a click, without clicks of suspected bots.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "cps",
            "Cost per subscriber (CPS, CPF)",
            "currency",
            "sum(cost_recorded.amount{campaignId exists}) / member_joined{campaignId exists}",
            "Cost of campaigns for each join by a campaign.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "cost_per_stayed",
            "Cost per subscriber who stays",
            "currency",
            "sum(cost_recorded.amount{campaignId exists}) \
         / (member_joined{campaignId exists} - member_left{campaignId exists and daysSinceJoin < 1})",
            "Cost of campaigns for each join by a campaign that is not undone within a day.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "roi",
            "Return on investment, on revenue",
            "percentage",
            "100 * (sum(conversion_recorded.value) - sum(cost_recorded.amount)) \
         / sum(cost_recorded.amount)",
            "Value of conversions above their cost, of the cost. The value is revenue; refunds are negative.",
        )
    },
    BuiltIn {
        dimensions: OF_RESULTS,
        ..metric(
            "margin_roi",
            "Return on investment, on margin",
            "percentage",
            "100 * (sum(conversion_recorded.margin) - sum(cost_recorded.amount)) \
         / sum(cost_recorded.amount)",
            "Margin of conversions above their cost, of the cost.",
        )
    },
    metric(
        "flood_wait_per_1k",
        "Flood wait per 1,000 messages",
        "seconds",
        "1000 * sum(sender_flood_wait.waitS{kind = flood and method in (\"messages.sendMessage\", \"messages.sendMedia\", \
          \"messages.sendMultiMedia\", \"messages.forwardMessages\")}) / (message_sent + message_failed{final})",
        "Seconds that Telegram made senders wait before sending, for each thousand messages sent or given up. Slow mode and waits of other methods do not count.",
    ),
    BuiltIn {
        dimensions: OF_SENDERS,
        ..metric(
            "sender_ban_rate",
            "Sender ban rate",
            "percentage",
            "100 * unique(sender_banned.senderId) / unique(sender_stats_sampled.senderId)",
            "Different senders banned, of the different senders sampled: the pool.",
        )
    },
    BuiltIn {
        kind: Kind::Histogram,
        ..metric(
            "send_latency_p95",
            "Send latency, 95th percentile",
            "milliseconds",
            "p95(message_sent.latencyMs)",
            "Nineteen of twenty messages that Telegram took were taken within this time from the call, without waits before it.",
        )
    },
];
