//! The questions of the metrics benchmark, each with the statements that answer it too.

/// A question: the metric, the parameters, the SQL over `{events}` (the account's events in the range, `{all}` with those of the month
/// before) that gives the same total, or the same first total of a split, and the SQL over an expert's rollups by the hour that gives
/// the whole answer, its total first. None where hours are too long.
pub struct Case {
    pub name: &'static str,
    /// The id of a built-in metric, or the formula of one that the account defines: `= FORMULA`.
    pub metric: &'static str,
    pub query: &'static str,
    pub sql: &'static str,
    pub expert: Option<&'static str>,
}

/// The time that an answer is of, as ClickHouse reads it.
pub struct Range {
    pub from: String,
    pub to: String,
}

/// What stands before a formula.
pub const FORMULA: &str = "= ";

const RATE: &str = "= (delivered / sent) * 100";

const RATE_SQL: &str = "100 * countIf(event_name = 'message_delivered') / countIf(event_name = 'message_sent')";

/// The delivery rate, of rollups.
macro_rules! rate {
    () => {
        "100 * sumIf(events, event_name = 'message_delivered') / sumIf(events, event_name = 'message_sent')"
    };
}

/// The share of failed attempts, of rollups.
macro_rules! errors {
    () => {
        "100 * sumIf(events, event_name = 'message_failed') / sum(events)"
    };
}

/// Where the rollups of a split and of some events are.
macro_rules! of {
    ($split:literal, $names:literal) => {
        concat!(" FROM bench_rollups WHERE {hours} AND split = '", $split, "' AND event_name IN (", $names, ")")
    };
}

/// Where the percentiles and different values of some events are.
macro_rules! states_of {
    ($names:literal) => {
        concat!(" FROM bench_rollup_states WHERE {hours} AND event_name IN (", $names, ")")
    };
}

/// Points by time, and before them the value of all the time.
macro_rules! by_time {
    ($time:literal, $value:expr, $of:expr) => {
        Some(concat!("SELECT ", $time, " AS t, ", $value, $of, " GROUP BY t WITH ROLLUP ORDER BY t"))
    };
}

/// Those that older checkouts can answer too come first.
pub const COMPARED: usize = 15;

pub const CASES: [Case; 18] = [
    case(
        "rate, a day, total",
        RATE,
        "period=24h&interval=none",
        RATE_SQL,
        Some(concat!("SELECT ", rate!(), of!("total", "'message_sent', 'message_delivered'"))),
    ),
    case("rate, a day by 15 minutes", RATE, "period=24h&interval=15m", RATE_SQL, None),
    case(
        "rate, a week by hour",
        RATE,
        "period=7d&interval=hour",
        RATE_SQL,
        by_time!("hour", rate!(), of!("total", "'message_sent', 'message_delivered'")),
    ),
    case(
        "rate, a month by day",
        RATE,
        "period=30d&interval=day",
        RATE_SQL,
        by_time!("toStartOfDay(hour)", rate!(), of!("total", "'message_sent', 'message_delivered'")),
    ),
    case(
        "rate, a month by day and campaign",
        RATE,
        "period=30d&interval=day&groupBy=campaignId&orderBy=key",
        "100 * countIf(event_name = 'message_delivered' AND props.campaignId.:String = 'cmp-0') / countIf(event_name = \
         'message_sent' AND props.campaignId.:String = 'cmp-0')",
        Some(concat!(
            "SELECT key1, toStartOfDay(hour) AS t, ",
            rate!(),
            of!("campaign", "'message_sent', 'message_delivered'"),
            " GROUP BY GROUPING SETS ((key1, t), (key1)) ORDER BY key1 = '', key1, t"
        )),
    ),
    case(
        "rate, a week by campaign and group",
        RATE,
        "period=7d&interval=none&groupBy=campaignId,groupId&orderBy=key",
        "100 * countIf(event_name = 'message_delivered' AND props.campaignId.:String = 'cmp-0' AND props.groupId.:String = \
         'grp-0') / countIf(event_name = 'message_sent' AND props.campaignId.:String = 'cmp-0' AND props.groupId.:String = \
         'grp-0')",
        Some(concat!(
            "SELECT key1, key2, ",
            rate!(),
            of!("campaign and group", "'message_sent', 'message_delivered'"),
            " GROUP BY key1, key2 ORDER BY key1 = '', key1, key2 = '', key2 LIMIT 10"
        )),
    ),
    case(
        "errors, a month by day of Shanghai",
        "error_rate",
        "period=30d&interval=day&timezone=Asia/Shanghai",
        "100 * countIf(event_name = 'message_failed') / countIf(event_name IN ('message_sent', 'message_failed'))",
        by_time!("toStartOfDay(hour, 'Asia/Shanghai')", errors!(), of!("total", "'message_sent', 'message_failed'")),
    ),
    case(
        "errors, a month by day of Kolkata",
        "error_rate",
        "period=30d&interval=day&timezone=Asia/Kolkata",
        "100 * countIf(event_name = 'message_failed') / countIf(event_name IN ('message_sent', 'message_failed'))",
        None,
    ),
    case(
        "latency p95, a week by hour",
        "send_latency_p95",
        "period=7d&interval=hour",
        "quantileExactIf(0.95)(assumeNotNull(props.latencyMs.:Int64), event_name = 'message_sent')",
        by_time!("hour", "quantileTDigestMerge(0.95)(latency)", states_of!("'message_sent'")),
    ),
    case(
        "unique clickers, a week by day",
        "= 100 * unique(link_clicked.clickerHash{not botSuspected}) / message_delivered",
        "period=7d&interval=day",
        "100 * uniqExactIf(props.clickerHash.:String, event_name = 'link_clicked' AND NOT \
         ifNull(props.botSuspected.:Bool, false)) / countIf(event_name = 'message_delivered')",
        by_time!(
            "toStartOfDay(hour)",
            "100 * uniqMergeIf(clickers, event_name = 'link_clicked') / sumIf(events, event_name = 'message_delivered')",
            states_of!("'link_clicked', 'message_delivered'")
        ),
    ),
    case(
        "growth, a month beside the one before",
        "net_growth",
        "period=15d&interval=day&compare=previous_period",
        "toInt64(countIf(event_name = 'member_joined')) - toInt64(countIf(event_name = 'member_left'))",
        Some(
            "SELECT hour >= {from} AS is_current, toStartOfDay(hour) AS t, toInt64(sumIf(events, event_name = \
             'member_joined')) - toInt64(sumIf(events, event_name = 'member_left')) FROM bench_rollups WHERE {hours_before} \
             AND split = 'total' AND event_name IN ('member_joined', 'member_left') GROUP BY GROUPING SETS ((is_current, t), \
             (is_current)) ORDER BY is_current DESC, t",
        ),
    ),
    case(
        "flood wait, a month by sender",
        "= 1000 * sum(sender_flood_wait.waitS) / message_sent",
        "period=30d&interval=none&groupBy=senderId&orderBy=key",
        "1000 * sumIf(props.waitS.:Int64, event_name = 'sender_flood_wait' AND props.senderId.:String = 'snd-0') / \
         countIf(event_name = 'message_sent' AND props.senderId.:String = 'snd-0')",
        Some(concat!(
            "SELECT key1, 1000 * sumIf(amount, event_name = 'sender_flood_wait') / sumIf(events, event_name = 'message_sent')",
            of!("sender", "'sender_flood_wait', 'message_sent'"),
            " GROUP BY key1 ORDER BY key1 = '', key1 LIMIT 10"
        )),
    ),
    case(
        "bans, a month by week",
        "= 100 * unique(sender_banned.senderId) / unique(message_sent.senderId)",
        "period=30d&interval=week",
        "100 * uniqExactIf(props.senderId.:String, event_name = 'sender_banned') / uniqExactIf(props.senderId.:String, \
         event_name = 'message_sent')",
        by_time!(
            "toStartOfWeek(hour, 1)",
            "100 * uniqMergeIf(senders, event_name = 'sender_banned') / uniqMergeIf(senders, event_name = 'message_sent')",
            states_of!("'sender_banned', 'message_sent'")
        ),
    ),
    case(
        "cost per click, a month, one campaign",
        "= sum(cost_recorded.amount) / link_clicked",
        "period=30d&interval=day&filter=campaignId%20%3D%20%22cmp-7%22",
        "sumIf(props.amount.:Float64, event_name = 'cost_recorded' AND props.campaignId.:String = 'cmp-7') / \
         countIf(event_name = 'link_clicked' AND props.campaignId.:String = 'cmp-7')",
        by_time!(
            "toStartOfDay(hour)",
            "sumIf(amount, event_name = 'cost_recorded') / sumIf(events, event_name = 'link_clicked')",
            concat!(of!("campaign", "'cost_recorded', 'link_clicked'"), " AND key1 = 'cmp-7'")
        ),
    ),
    case(
        "engagement, a month by day",
        "= 100 * (last(post_stats_sampled.forwards) + last(post_stats_sampled.reactions) + last(post_stats_sampled.replies)) / \
         last(post_stats_sampled.views)",
        "period=30d&interval=day",
        "(SELECT 100 * (sum(f) + sum(r) + sum(a)) / sum(v) FROM (SELECT argMax(props.forwards.:Int64, timestamp) AS f, \
         argMax(props.reactions.:Int64, timestamp) AS r, argMax(props.replies.:Int64, timestamp) AS a, \
         argMax(props.views.:Int64, timestamp) AS v FROM {events} AND event_name = 'post_stats_sampled' GROUP BY \
         props.groupId.:String, props.postId.:String))",
        Some(concat!(
            "SELECT t, 100 * (sum(f) + sum(r) + sum(a)) / sum(v) FROM (SELECT toStartOfDay(hour) AS t, argMaxMerge(forwards) AS \
             f, argMaxMerge(reactions) AS r, argMaxMerge(replies) AS a, argMaxMerge(views) AS v",
            " FROM bench_rollup_posts WHERE {hours} GROUP BY GROUPING SETS ((group_id, post_id, t), (group_id, post_id))) GROUP \
             BY t ORDER BY t"
        )),
    ),
    case(
        "unique clickers of each group, a week by day",
        "= unique(link_clicked.clickerHash{not botSuspected} by groupId)",
        "period=7d&interval=day",
        "uniqExactIf((props.groupId.:String, props.clickerHash.:String), event_name = 'link_clicked' AND NOT \
         ifNull(props.botSuspected.:Bool, false))",
        by_time!("toStartOfDay(hour)", "uniqMerge(pairs)", states_of!("'link_clicked'")),
    ),
    case(
        "gained views, a week by day",
        "= gain(post_stats_sampled.views)",
        "period=7d&interval=day",
        "(SELECT sum(after - if(was > 0, before, first)) FROM (SELECT argMaxIf(props.views.:Int64, timestamp, timestamp >= {from}) AS \
         after, argMinIf(props.views.:Int64, timestamp, timestamp >= {from}) AS first, argMaxIf(props.views.:Int64, timestamp, \
         timestamp < {from}) AS before, countIf(timestamp < {from}) AS was, countIf(timestamp >= {from}) AS is FROM {all} AND \
         event_name = 'post_stats_sampled' GROUP BY props.groupId.:String, props.postId.:String) WHERE is > 0)",
        Some(
            "SELECT t, sum(gained) FROM (SELECT group_id, post_id, toStartOfDay(h) AS t, sum(v - before) AS gained FROM (SELECT \
             group_id, post_id, hour AS h, argMaxMerge(views) AS v, lagInFrame(v, 1, v) OVER (PARTITION BY group_id, \
             post_id ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before FROM bench_rollup_posts WHERE \
             {hours_of_a_month} GROUP BY group_id, post_id, hour) WHERE h >= {from} GROUP BY group_id, post_id, t) GROUP BY t WITH \
             ROLLUP ORDER BY t",
        ),
    ),
    case(
        "views at the start, a week by day",
        "= first(post_stats_sampled.views)",
        "period=7d&interval=none",
        "(SELECT sum(if(was > 0, before, first)) FROM (SELECT argMinIf(props.views.:Int64, timestamp, timestamp >= {from}) AS first, \
         argMaxIf(props.views.:Int64, timestamp, timestamp < {from}) AS before, countIf(timestamp < {from}) AS was FROM {all} AND \
         event_name = 'post_stats_sampled' GROUP BY props.groupId.:String, props.postId.:String))",
        Some(
            "SELECT sum(if(was > 0, before, first)) FROM (SELECT argMaxMergeIf(views, hour < {from}) AS before, argMaxMergeIf(views, \
             hour = {from}) AS first, countIf(hour < {from}) AS was FROM bench_rollup_posts WHERE {hours_of_a_month} GROUP BY group_id, \
             post_id)",
        ),
    ),
];

const fn case(
    name: &'static str,
    metric: &'static str,
    query: &'static str,
    sql: &'static str,
    expert: Option<&'static str>,
) -> Case {
    Case { name, metric, query, sql, expert }
}
