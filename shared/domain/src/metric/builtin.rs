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
    pub description: &'static str,
}

/// What built-in metrics are often split by.
pub const DIMENSIONS: [&str; 4] = ["campaignId", "groupId", "senderId", "variantId"];

/// Sampled values belong to an object, and these properties together tell objects apart. Telegram numbers the messages of
/// each chat by themselves.
pub const OBJECTS: [(&str, &[&str]); 2] =
    [("post_stats_sampled", &["groupId", "postId"]), ("group_stats_sampled", &["groupId"])];

/// Numbers of built-in events that are no amounts of money, whatever properties else an account sends with them.
const NO_AMOUNTS: [(&str, &[&str]); 8] = [
    ("message_sent", &["charactersCount", "latencyMs"]),
    ("message_failed", &["retryAfterS", "attempt"]),
    ("reply_received", &["sentiment"]),
    ("post_stats_sampled", &["views", "forwards", "reactions", "replies", "ageMinutes"]),
    ("member_left", &["daysSinceJoin"]),
    ("group_stats_sampled", &["members", "online", "slowmodeS"]),
    ("sender_flood_wait", &["waitS"]),
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
    BuiltIn { id, name, kind: Kind::Gauge, unit, formula, description }
}

pub const METRICS: [BuiltIn; 18] = [
    metric(
        "delivery_rate",
        "Delivery rate",
        "percentage",
        "100 * message_delivered / message_sent",
        "Messages delivered of those sent.",
    ),
    metric(
        "error_rate",
        "Error rate",
        "percentage",
        "100 * message_failed / (message_sent + message_failed)",
        "Attempts that failed, of all.",
    ),
    metric(
        "final_failure_rate",
        "Final failure rate",
        "percentage",
        "100 * message_failed{final} / message_queued",
        "Messages given up, of those queued.",
    ),
    metric(
        "read_rate",
        "Read rate",
        "percentage",
        "100 * message_read / message_delivered{readTrackable}",
        "Messages read, of those delivered where reading can be seen: from user accounts, in small groups.",
    ),
    metric(
        "ctr",
        "Click-through rate",
        "percentage",
        "100 * unique(link_clicked.clickerHash{not botSuspected}) / message_delivered",
        "Different people who clicked, without suspected bots, of messages delivered.",
    ),
    metric(
        "reply_rate",
        "Reply rate",
        "percentage",
        "100 * reply_received / message_delivered",
        "Replies, of messages delivered.",
    ),
    metric(
        "er",
        "Engagement rate",
        "percentage",
        "100 * (last(post_stats_sampled.forwards) + last(post_stats_sampled.reactions) + last(post_stats_sampled.replies)) \
         / last(post_stats_sampled.views)",
        "Forwards, reactions and replies of posts, of their views, by the last sample of each post.",
    ),
    BuiltIn {
        kind: Kind::Counter,
        ..metric(
            "net_growth",
            "Net growth",
            "members",
            "member_joined - member_left",
            "Members who joined less those who left.",
        )
    },
    metric(
        "churn_rate",
        "Churn rate",
        "percentage",
        "100 * member_left / first(group_stats_sampled.members)",
        "Members who left, of those there at the start, by the first sample of each group.",
    ),
    metric("join_rate", "Join rate", "percentage", "100 * member_joined / link_clicked", "Joins, of clicks."),
    metric(
        "bot_block_rate",
        "Bot block rate",
        "percentage",
        "100 * bot_blocked / unique(message_delivered.$userId)",
        "Blocks of the bot, of the different users it has reached.",
    ),
    metric(
        "cpm",
        "Cost per thousand views",
        "currency",
        "1000 * sum(cost_recorded.amount) / last(post_stats_sampled.views)",
        "Cost of a thousand views, in one currency.",
    ),
    metric("cpc", "Cost per click", "currency", "sum(cost_recorded.amount) / link_clicked", "Cost of a click."),
    metric("cps", "Cost per subscriber", "currency", "sum(cost_recorded.amount) / member_joined", "Cost of a join."),
    metric(
        "roi",
        "Return on investment",
        "percentage",
        "100 * (sum(conversion_recorded.value) - sum(cost_recorded.amount)) / sum(cost_recorded.amount)",
        "Value of conversions above their cost, of the cost.",
    ),
    metric(
        "flood_wait_per_1k",
        "Flood wait per 1,000 sent",
        "seconds",
        "1000 * sum(sender_flood_wait.waitS) / message_sent",
        "Seconds that Telegram made senders wait, for each thousand messages sent.",
    ),
    metric(
        "sender_ban_rate",
        "Sender ban rate",
        "percentage",
        "100 * unique(sender_banned.senderId) / unique(message_sent.senderId)",
        "Different senders banned, of the different senders that sent.",
    ),
    BuiltIn {
        kind: Kind::Histogram,
        ..metric(
            "send_latency_p95",
            "Send latency, 95th percentile",
            "milliseconds",
            "p95(message_sent.latencyMs)",
            "Nineteen of twenty messages were sent within this time.",
        )
    },
];
