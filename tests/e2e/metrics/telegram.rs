//! What marketers would work out by hand, as the built-in metrics answer it: from events and from rollups.

use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tests::stack::{Account, Stack};

use super::until_rolled_up;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The hours of an example: it begins at a full hour, ten days ago.
struct Example {
    name: &'static str,
    events: Vec<Value>,
    start: i64,
}

impl Example {
    fn new(name: &'static str) -> Self {
        let start = now_millis() - 10 * DAY;
        Self { name, events: Vec::new(), start: start - start % HOUR }
    }

    /// Events of the example's group, so many, each with properties of its own.
    fn add(mut self, event_name: &str, count: i64, properties: impl Fn(i64) -> Value) -> Self {
        for number in 0..count {
            let mut event = json!({"eventName": event_name, "eventId": format!("{}-{}", self.name, self.events.len())});
            let mut own: Map<String, Value> = properties(number).as_object().cloned().unwrap_or_default();
            let at = own.remove("at").and_then(|at| at.as_i64()).unwrap_or(HOUR / 2);
            event["timestamp"] = json!(self.start + at + number);
            if let Some(user) = own.remove("userId") {
                event["userId"] = user;
            }
            own.entry("groupId").or_insert_with(|| json!(self.name));
            event["properties"] = Value::Object(own);
            self.events.push(event);
        }
        self
    }
}

/// A number that a metric must have: from and to in hours of the example, what the events are split by, and the key.
struct Wanted {
    metric: &'static str,
    hours: (i64, i64),
    /// None: all of the example.
    filter: Option<String>,
    split: Option<(&'static str, &'static str)>,
    value: Option<f64>,
}

fn wanted(metric: &'static str, value: f64) -> Wanted {
    Wanted { metric, hours: (0, 7 * 24), filter: None, split: None, value: Some(value) }
}

impl Wanted {
    fn within(self, from: i64, to: i64) -> Self {
        Self { hours: (from, to), ..self }
    }

    fn of(self, filter: &str) -> Self {
        Self { filter: Some(filter.to_owned()), ..self }
    }

    fn by(self, path: &'static str, key: &'static str) -> Self {
        Self { split: Some((path, key)), ..self }
    }

    async fn check(&self, account: &Account<'_>, example: &Example, is_rolled_up: bool) -> Result<()> {
        let filter = self.filter.clone().unwrap_or_else(|| format!("groupId = \"{}\"", example.name));
        let (from, to) = (example.start + self.hours.0 * HOUR, example.start + self.hours.1 * HOUR);
        let split = self.split.map(|(path, _)| path);
        let body = json!({"from": from, "to": to, "interval": "none", "filter": filter, "groupBy": split, "metric": self.metric});
        let answer = account.query(&body).await?["results"][0].clone();
        let series = answer["series"].as_array().context("series")?;
        let is_wanted = |series: &&Value| self.split.is_none_or(|(path, key)| series["key"][path] == *key);
        let found = series.iter().find(is_wanted).with_context(|| format!("no such series in {answer}"))?;
        let found = found["total"].as_f64();
        let is_equal = match (found, self.value) {
            (Some(found), Some(wanted)) => (found - wanted).abs() < 0.005,
            (found, wanted) => found == wanted,
        };
        let Self { metric, value, .. } = self;
        ensure!(is_equal, "{}: {metric} is {found:?}, not {value:?}: {answer}", example.name);
        ensure!(!is_rolled_up || answer["source"] != "events", "{}: {metric} is not kept: {answer}", example.name);
        Ok(())
    }
}

fn examples() -> Vec<(Example, Vec<Wanted>)> {
    let campaign = || json!({"campaignId": "spring"});
    let of = |properties: Value| move |_: i64| properties.clone();
    vec![
        (
            Example::new("refused")
                .add("message_queued", 1_000, of(campaign()))
                .add("message_failed", 620, of(json!({"campaignId": "spring", "final": true, "errorClass": "privacy"})))
                .add("message_failed", 55, of(json!({"campaignId": "spring", "final": false, "errorClass": "network"})))
                .add("message_sent", 380, of(campaign()))
                .add("message_delivered", 371, of(campaign())),
            vec![
                wanted("delivery_rate", 37.1),
                wanted("delivery_rate", 37.1).by("campaignId", "spring"),
                wanted("confirmation_rate", 97.63),
                wanted("final_failure_rate", 62.0),
                wanted("error_rate", 63.98),
            ],
        ),
        (
            Example::new("all refused").add("message_failed", 1_000, of(json!({"final": true}))),
            vec![wanted("delivery_rate", 0.0), Wanted { value: None, ..wanted("confirmation_rate", 0.0) }],
        ),
        (
            // Five mailings to the same hundred people, of whom the same twenty click each time, and once more.
            (0..5).fold(Example::new("five mailings"), |example, day| {
                let message = move |number: i64| {
                    json!({"at": day * DAY, "audience": "person", "campaignId": "spring", "messageKey": format!("{day}/{number}")})
                };
                let click = move |number: i64| {
                    let mut event = message(number % 20);
                    event["clickerHash"] = json!(format!("p{}", number % 20));
                    event
                };
                let bot = move |number: i64| {
                    let mut event = message(number);
                    event["clickerHash"] = json!("bot");
                    event["botSuspected"] = json!(true);
                    event
                };
                example
                    .add("message_delivered", 100, message)
                    .add("link_clicked", 30, click)
                    .add("link_clicked", 50, bot)
            }),
            vec![
                wanted("ctr", 20.0),
                wanted("ctr", 20.0).within(0, 24),
                wanted("ctr", 20.0).within(24, 48),
                wanted("ctr", 20.0).by("campaignId", "spring"),
            ],
        ),
        (
            Example::new("one post")
                .add("post_stats_sampled", 1, of(json!({"postId": "7", "views": 2_000, "ageMinutes": 600})))
                .add("post_stats_sampled", 1, of(json!({"at": 2 * DAY, "postId": "7", "views": 9_000, "ageMinutes": 3_000})))
                .add("link_clicked", 40, |number| json!({"postId": "7", "clickerHash": format!("p{number}")})),
            vec![wanted("ctr_views", 2.0)],
        ),
        (
            Example::new("fifty-two readers")
                .add("message_delivered", 1, of(json!({"messageKey": "g/1", "readTrackable": true})))
                .add("message_read", 52, of(json!({"messageKey": "g/1"}))),
            vec![wanted("read_rate", 100.0)],
        ),
        (
            Example::new("five read at once")
                .add("message_delivered", 5, |number| json!({"messageKey": format!("g/{number}"), "readTrackable": true}))
                .add("message_read", 5, |number| json!({"messageKey": format!("g/{number}")})),
            vec![wanted("read_rate", 100.0)],
        ),
        (
            Example::new("replies")
                .add("message_delivered", 100, |number| json!({"userId": format!("u{number}")}))
                .add("reply_received", 15, |number| {
                    let person = number % 6;
                    let (sentiment, intent) = if person < 2 { ("negative", "stop") } else { ("positive", "question") };
                    json!({"userId": format!("u{person}"), "sentiment": sentiment, "intent": intent})
                }),
            vec![
                wanted("reply_rate", 6.0),
                wanted("positive_reply_rate", 4.0),
                wanted("opt_out_rate", 2.0),
            ],
        ),
        (
            Example::new("joins")
                .add("member_joined", 80, of(json!({"source": "search"})))
                .add("member_joined", 40, of(campaign()))
                .add("link_clicked", 150, |number| {
                    json!({"campaignId": "spring", "clickerHash": format!("p{}", number % 100)})
                })
                .add("link_clicked", 50, |number| {
                    json!({"campaignId": "spring", "clickerHash": format!("b{number}"), "botSuspected": true})
                }),
            vec![wanted("join_rate", 40.0), wanted("join_rate", 40.0).by("campaignId", "spring")],
        ),
        (
            Example::new("subscribers")
                .add("cost_recorded", 1, of(json!({"campaignId": "spring", "amount": 10_000, "currency": "USD"})))
                .add("member_joined", 200, of(campaign()))
                .add("member_joined", 300, of(json!({})))
                .add("member_left", 60, of(json!({"campaignId": "spring", "daysSinceJoin": 0.4, "reason": "left"})))
                .add("member_left", 20, of(json!({"campaignId": "spring", "daysSinceJoin": 3, "reason": "left"}))),
            vec![
                wanted("cps", 50.0),
                wanted("cost_per_stayed", 71.43),
                wanted("stay_rate_1d", 70.0),
                wanted("net_growth", 120.0).by("campaignId", "spring"),
                wanted("cps", 50.0).by("campaignId", "spring"),
            ],
        ),
        (
            Example::new("clicks")
                .add("cost_recorded", 1, of(json!({"amount": 100, "currency": "USD"})))
                .add("link_clicked", 120, of(json!({})))
                .add("link_clicked", 80, of(json!({"botSuspected": true}))),
            vec![wanted("cpc", 0.833)],
        ),
        (
            Example::new("placement")
                .add("cost_recorded", 1, of(json!({"amount": 100, "currency": "USD", "kind": "placement", "placementId": "p"})))
                .add("cost_recorded", 1, of(json!({"amount": 60, "currency": "USD", "kind": "proxy"})))
                .add("post_stats_sampled", 1, of(json!({"postId": "ad", "placementId": "p", "views": 5_000, "ageMinutes": 1_440})))
                .add("post_stats_sampled", 1, of(json!({"at": 3 * DAY, "postId": "ad", "placementId": "p", "views": 7_000, "ageMinutes": 4_320})))
                .add("post_stats_sampled", 4, |number| json!({"postId": number, "views": 11_250, "ageMinutes": 900})),
            vec![wanted("cpm", 20.0)],
        ),
        (
            // The second group has no sample in the hour that is asked about.
            Example::new("churn")
                .add("group_stats_sampled", 1, of(json!({"at": -5 * HOUR, "groupId": "churn-b", "members": 9_000})))
                .add("group_stats_sampled", 1, of(json!({"at": 1, "groupId": "churn-a", "members": 1_000})))
                .add("member_left", 10, of(json!({"groupId": "churn-a", "reason": "left"})))
                .add("member_left", 90, of(json!({"groupId": "churn-b", "reason": "left"}))),
            vec![
                wanted("churn_rate", 1.0).within(0, 1).of("groupId in (\"churn-a\", \"churn-b\")"),
                wanted("churn_rate", 1.0).within(0, 1).of("groupId = \"churn-b\""),
                wanted("churn_rate", 1.0).within(0, 1).of("groupId contains \"churn\"").by("groupId", "churn-b"),
            ],
        ),
        (
            Example::new("raid")
                .add("group_stats_sampled", 1, of(json!({"at": -1, "members": 10_000})))
                .add("member_joined", 50, of(json!({})))
                .add("member_left", 48, of(json!({"reason": "left", "daysSinceJoin": 0.1})))
                .add("member_left", 50, of(json!({"reason": "left", "daysSinceJoin": 90})))
                .add("member_left", 30, of(json!({"reason": "kicked", "daysSinceJoin": 20}))),
            vec![wanted("churn_rate", 0.5).within(0, 24)],
        ),
        (
            Example::new("bot")
                .add("message_delivered", 200, |number| json!({"userId": format!("b{number}"), "senderKind": "bot"}))
                .add("message_delivered", 1_800, |number| json!({"userId": format!("u{number}"), "senderKind": "user"}))
                .add("button_pressed", 90, |number| json!({"userId": format!("b{}", number % 30), "buttonId": "buy"}))
                .add("bot_blocked", 20, |number| json!({"userId": format!("b{}", number % 12)})),
            vec![wanted("bot_block_rate", 6.0), wanted("bot_engagement", 15.0)],
        ),
        (
            Example::new("everything waits")
                .add("message_failed", 500, of(json!({"final": true, "errorClass": "flood"})))
                .add("sender_flood_wait", 1, of(json!({"kind": "flood", "method": "messages.sendMessage", "waitS": 3_000}))),
            vec![wanted("flood_wait_per_1k", 6_000.0)],
        ),
        (
            Example::new("other waits")
                .add("message_sent", 1_000, of(json!({})))
                .add("sender_flood_wait", 1, of(json!({"kind": "flood", "method": "messages.sendMessage", "waitS": 300})))
                .add("sender_flood_wait", 1, of(json!({"kind": "flood", "method": "contacts.resolveUsername", "waitS": 86_400})))
                .add("sender_flood_wait", 1, of(json!({"kind": "slow_mode", "method": "messages.sendMessage", "waitS": 3_600}))),
            vec![wanted("flood_wait_per_1k", 300.0)],
        ),
        (
            Example::new("engagement")
                .add("post_stats_sampled", 1, of(json!({"postId": "new", "views": 2_000, "forwards": 20, "reactions": 70,
                    "replies": 10, "ageMinutes": 1_200})))
                .add("post_stats_sampled", 1, of(json!({"postId": "old", "views": 50_000, "forwards": 100, "reactions": 300,
                    "replies": 100, "ageMinutes": 28_800})))
                .add("post_stats_sampled", 1, of(json!({"postId": "copy", "views": 80_000, "forwards": 1, "reactions": 1,
                    "replies": 1, "ageMinutes": 60, "isForwardedCopy": true}))),
            vec![wanted("er", 5.0)],
        ),
        (
            // An album of five pictures is one post.
            Example::new("album").add("post_stats_sampled", 1, of(json!({"postId": "1", "mediaGroupId": "m", "views": 1_000,
                "forwards": 0, "reactions": 100, "replies": 0, "ageMinutes": 60}))),
            vec![wanted("er", 10.0)],
        ),
        (
            Example::new("reach")
                .add("group_stats_sampled", 1, of(json!({"groupId": "reach-1", "members": 10_000, "kind": "channel"})))
                .add("group_stats_sampled", 1, of(json!({"groupId": "reach-2", "members": 1_000, "kind": "channel"})))
                .add("group_stats_sampled", 1, of(json!({"groupId": "reach-chat", "members": 5_000, "kind": "supergroup"})))
                .add("post_stats_sampled", 2, |number| {
                    json!({"groupId": "reach-1", "postId": number, "views": 4_000 + 2_000 * number, "ageMinutes": 1_440})
                })
                .add("post_stats_sampled", 8, |number| {
                    json!({"groupId": "reach-2", "postId": number, "views": 100, "ageMinutes": 1_440})
                }),
            vec![
                wanted("err24", 50.0).of("groupId = \"reach-1\""),
                wanted("err24", 10.0).of("groupId = \"reach-2\""),
                wanted("err24", 46.36).of("groupId in (\"reach-1\", \"reach-2\", \"reach-chat\")"),
                wanted("avg_reach", 5_000.0).of("groupId = \"reach-1\""),
                wanted("avg_reach", 1_080.0).of("groupId in (\"reach-1\", \"reach-2\")"),
            ],
        ),
        (
            Example::new("returns")
                .add("cost_recorded", 1, of(json!({"amount": 1_000, "currency": "USD"})))
                .add("conversion_recorded", 1, of(json!({"value": 3_000, "margin": 1_200, "currency": "USD"})))
                .add("conversion_recorded", 1, of(json!({"goal": "refund", "value": -1_000, "margin": -1_000, "currency": "USD"}))),
            vec![wanted("roi", 100.0), wanted("margin_roi", -80.0)],
        ),
        (
            Example::new("bans")
                .add("sender_stats_sampled", 10, |number| json!({"campaignId": "pool", "senderId": format!("s{number}"), "state": "active"}))
                .add("message_sent", 2, |number| json!({"campaignId": "pool", "senderId": format!("s{number}")}))
                .add("sender_banned", 3, |number| json!({"campaignId": "pool", "senderId": format!("s{}", number + 5)})),
            vec![wanted("sender_ban_rate", 30.0).of("campaignId = pool")],
        ),
        (
            Example::new("growth")
                .add("group_stats_sampled", 1, of(json!({"at": -DAY, "members": 10_000})))
                .add("member_joined", 120, of(json!({})))
                .add("member_left", 40, of(json!({"reason": "left"})))
                .add("group_stats_sampled", 1, of(json!({"at": 2 * HOUR, "members": 10_050}))),
            vec![wanted("net_growth", 80.0), wanted("member_change", 50.0)],
        ),
        (
            Example::new("removals")
                .add("message_delivered", 200, of(json!({"audience": "group"})))
                .add("message_delivered", 50, of(json!({"audience": "person"})))
                .add("message_deleted", 8, of(json!({"removedBy": "other"})))
                .add("message_deleted", 5, of(json!({"removedBy": "self"}))),
            vec![wanted("removal_rate", 4.0)],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_metrics_say_what_marketers_would_work_out() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("telegram");
    let examples = examples();
    let mut sent = 0;
    for (example, _) in &examples {
        for events in example.events.chunks(2_000) {
            account.send_all(events).await?;
        }
        sent += example.events.len();
    }
    account.until_total(sent.try_into()?, &[]).await?;
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            until_rolled_up(&account).await?;
        }
        for (example, wanted) in &examples {
            for wanted in wanted {
                wanted.check(&account, example, is_rolled_up).await?;
            }
        }
    }
    Ok(())
}

/// A counter of one object, in minutes before the hour that is asked about and within it.
async fn counter(account: &Account<'_>, object: &str, samples: &[(i64, i64)], extra: Value, start: i64) -> Result<()> {
    let sample = |(minute, value): &(i64, i64)| {
        let mut properties = json!({"groupId": "g", "postId": object, "views": value});
        for (name, value) in extra.as_object().into_iter().flatten() {
            properties[name] = value.clone();
        }
        json!({"eventName": "post_stats_sampled", "eventId": format!("{object}-{minute}-{value}"),
            "timestamp": start + minute * 60_000, "properties": properties})
    };
    account.send_all(&samples.iter().map(sample).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_counter_has_gained_counts_from_its_last_value_before_the_range() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("gain");
    let start = now_millis() - 3 * DAY;
    let start = start - start % HOUR;
    // Before the hour, at its first sample and at its last.
    counter(&account, "grows", &[(-40, 10_000), (5, 10_020), (50, 10_100)], json!({}), start).await?;
    // Without a sample before, it starts at its first.
    counter(&account, "appears", &[(5, 300), (50, 340)], json!({}), start).await?;
    // Published ten minutes before its first sample, within the hour: it starts at nothing.
    counter(&account, "is new", &[(15, 70)], json!({"ageMinutes": 10}), start).await?;
    counter(&account, "is old", &[(15, 90)], json!({"ageMinutes": 600}), start).await?;
    // Reactions are taken back, a counter is reset.
    counter(&account, "falls", &[(-40, 50), (30, 45)], json!({}), start).await?;
    counter(&account, "is reset", &[(-40, 1_000), (20, 0), (40, 30)], json!({}), start).await?;
    // More than a month ago.
    counter(&account, "is forgotten", &[(-32 * 24 * 60, 500), (30, 900)], json!({}), start).await?;
    account.until_total(14, &[]).await?;
    let objects = [
        ("grows", Some(100.0)),
        ("appears", Some(40.0)),
        ("is new", Some(70.0)),
        ("is old", Some(0.0)),
        ("falls", Some(-5.0)),
        ("is reset", Some(-970.0)),
        ("is forgotten", Some(0.0)),
    ];
    let total: f64 = objects.iter().filter_map(|(_, gain)| *gain).sum();
    let definition = json!({"name": "gained views", "type": "gauge", "formula": "gain(post_stats_sampled.views)", "dimensions": ["postId"]});
    let created = stack.post("/api/metrics").bearer_auth(account.token(analytics_domain::access::Role::Analyst));
    created.json(&definition).send().await?.error_for_status()?;
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            until_rolled_up(&account).await?;
        }
        for interval in ["none", "5m", "hour"] {
            let body = json!({"from": start, "to": start + HOUR, "interval": interval, "groupBy": "postId", "metric": "gained_views"});
            let answer = account.query(&body).await?["results"][0].clone();
            ensure!(!is_rolled_up || answer["source"] != "events", "{answer}");
            for (object, gain) in objects {
                let is_of = |series: &&Value| series["key"]["postId"] == object;
                let series = answer["series"].as_array().context("series")?.iter().find(is_of).context(object)?;
                assert_eq!(series["total"].as_f64(), gain, "{object}, {interval}: {series}");
                let points = series["points"].as_array().context("points")?;
                let sum: f64 = points.iter().filter_map(|point| point["value"].as_f64()).sum();
                assert!(points.is_empty() || Some(sum) == gain, "{object}, {interval}: {series}");
            }
            let all = json!({"from": start, "to": start + HOUR, "interval": interval, "metric": "gained_views"});
            let answer = account.query(&all).await?;
            assert_eq!(answer["results"][0]["series"][0]["total"].as_f64(), Some(total), "{answer}");
        }
    }
    Ok(())
}
