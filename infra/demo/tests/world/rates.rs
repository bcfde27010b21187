//! The built-in metrics over a month of the demo, computed by their definitions in `docs/api/metrics.md`.

#![expect(clippy::print_stdout, reason = "the rates, with --nocapture")]

use std::collections::{BTreeMap, HashMap, HashSet};

use demo::Event;

use crate::view::{is, month, number, says, text};

/// The events of one name that meet a condition.
struct Events<'a>(Vec<&'a Event>);

impl Events<'_> {
    fn count(&self) -> f64 {
        count(self.0.len())
    }

    fn sum(&self, key: &str) -> f64 {
        self.0.iter().filter_map(|event| number(event, key)).sum()
    }

    /// Different texts of the last key, told apart by the others.
    fn unique(&self, keys: &[&str]) -> f64 {
        let (last, by) = keys.split_last().expect("a key");
        let texts = self.0.iter().filter_map(|event| {
            let value = text(event, last)?;
            Some((value, by.iter().map(|key| text(event, key)).collect::<Vec<_>>()))
        });
        count(texts.collect::<HashSet<_>>().len())
    }

    /// The first and the last number of each object.
    fn ends(&self, key: &str, by: &[&str]) -> HashMap<Vec<Option<&str>>, (f64, f64)> {
        let mut ends = HashMap::new();
        for event in &self.0 {
            let Some(value) = number(event, key) else { continue };
            let object: Vec<_> = by.iter().map(|key| text(event, key)).collect();
            ends.entry(object).and_modify(|(_, last)| *last = value).or_insert((value, value));
        }
        ends
    }

    fn last(&self, key: &str, by: &[&str]) -> f64 {
        self.ends(key, by).values().map(|(_, last)| last).sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
fn count(events: usize) -> f64 {
    events as f64
}

struct Month(&'static [Event]);

impl Month {
    fn of(&self, name: &str, meets: impl Fn(&Event) -> bool) -> Events<'_> {
        Events(self.0.iter().filter(|event| event.name == name && meets(event)).collect())
    }

    fn all(&self, name: &str) -> Events<'_> {
        self.of(name, |_| true)
    }

    /// Samples of posts that `avg_reach`, `er` and others read.
    fn young_posts(&self, meets: impl Fn(&Event) -> bool) -> Events<'_> {
        self.of("post_stats_sampled", |event| {
            number(event, "ageMinutes").is_some_and(|age| age <= 1_440.0)
                && !is(event, "isForwardedCopy")
                && meets(event)
        })
    }

    fn messages(&self) -> Vec<(&'static str, f64)> {
        let sent = self.all("message_sent").count();
        let given_up = self.of("message_failed", |event| is(event, "final")).count();
        let failed = self.all("message_failed").count();
        let delivered = self.all("message_delivered");
        let by_bot = self.of("message_delivered", |event| says(event, "senderKind", "bot")).unique(&["$userId"]);
        let reached = delivered.unique(&["$userId"]);
        let replies = |key: &'static str, value: &'static str| {
            self.of("reply_received", move |event| says(event, key, value)).unique(&["$userId"])
        };
        let personal = |event: &Event| says(event, "audience", "person");
        let clickers = self.of("link_clicked", |event| personal(event) && !is(event, "botSuspected"));
        let trackable = self.of("message_delivered", |event| is(event, "readTrackable")).unique(&["messageKey"]);
        let in_groups = self.of("message_delivered", |event| says(event, "audience", "group")).count();
        let removed =
            self.of("message_deleted", |event| says(event, "removedBy", "other") && says(event, "audience", "group"));
        vec![
            ("delivery_rate", 100.0 * delivered.count() / (sent + given_up)),
            ("confirmation_rate", 100.0 * delivered.count() / sent),
            ("error_rate", 100.0 * failed / (sent + failed)),
            ("final_failure_rate", 100.0 * given_up / (sent + given_up)),
            ("read_rate", 100.0 * self.all("message_read").unique(&["messageKey"]) / trackable),
            (
                "ctr",
                100.0 * clickers.unique(&["messageKey", "clickerHash"])
                    / self.of("message_delivered", personal).count(),
            ),
            ("reply_rate", 100.0 * self.all("reply_received").unique(&["$userId"]) / reached),
            ("positive_reply_rate", 100.0 * replies("sentiment", "positive") / reached),
            ("opt_out_rate", 100.0 * replies("intent", "stop") / reached),
            ("bot_block_rate", 100.0 * self.all("bot_blocked").unique(&["$userId"]) / by_bot),
            ("bot_engagement", 100.0 * self.all("button_pressed").unique(&["$userId"]) / by_bot),
            ("removal_rate", 100.0 * removed.count() / in_groups),
            ("send_latency_p95", self.latency_p95()),
        ]
    }

    fn latency_p95(&self) -> f64 {
        let mut latencies: Vec<_> = self
            .0
            .iter()
            .filter(|event| event.name == "message_sent")
            .filter_map(|event| number(event, "latencyMs"))
            .collect();
        latencies.sort_by(f64::total_cmp);
        latencies[latencies.len() * 95 / 100]
    }

    fn groups(&self) -> Vec<(&'static str, f64)> {
        let post = ["groupId", "postId"];
        let young = self.young_posts(|_| true);
        let views = young.last("views", &post);
        let engaged = ["forwards", "reactions", "replies"].map(|key| young.last(key, &post)).iter().sum::<f64>();
        let in_posts =
            self.of("link_clicked", |event| !is(event, "botSuspected") && event.property("postId").is_some());
        let mut reach: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for (object, (_, last)) in young.ends("views", &post) {
            reach.entry(object[0].map(str::to_owned)).or_default().push(last);
        }
        let mean_by_group: f64 = reach.values().map(|views| views.iter().sum::<f64>() / count(views.len())).sum();
        let posts = count(reach.values().map(Vec::len).sum());
        let samples = self.all("group_stats_sampled");
        let members = samples.ends("members", &["groupId"]);
        let first: f64 = members.values().map(|(first, _)| first).sum();
        let channels = self.of("group_stats_sampled", |event| says(event, "kind", "channel"));
        let days = |event: &Event| number(event, "daysSinceJoin");
        let churned = self
            .of("member_left", |event| !says(event, "reason", "kicked") && days(event).is_none_or(|days| days >= 1.0));
        vec![
            ("ctr_views", 100.0 * in_posts.unique(&["groupId", "postId", "clickerHash"]) / views),
            ("er", 100.0 * engaged / views),
            ("err24", 100.0 * mean_by_group / channels.last("members", &["groupId"])),
            ("avg_reach", views / posts),
            ("net_growth", self.all("member_joined").count() - self.all("member_left").count()),
            ("member_change", members.values().map(|(first, last)| last - first).sum()),
            ("churn_rate", 100.0 * churned.count() / first),
        ]
    }

    fn senders(&self) -> Vec<(&'static str, f64)> {
        let sending = ["messages.sendMessage", "messages.sendMedia"];
        let waits = self.of("sender_flood_wait", |event| {
            says(event, "kind", "flood") && sending.iter().any(|method| says(event, "method", method))
        });
        let tried = self.all("message_sent").count() + self.of("message_failed", |event| is(event, "final")).count();
        let pool = self.all("sender_stats_sampled").unique(&["senderId"]);
        vec![
            ("flood_wait_per_1k", 1_000.0 * waits.sum("waitS") / tried),
            ("sender_ban_rate", 100.0 * self.all("sender_banned").unique(&["senderId"]) / pool),
        ]
    }

    fn campaigns(&self) -> Vec<(&'static str, f64)> {
        let paid = |event: &Event| event.property("campaignId").is_some();
        let joins = self.of("member_joined", paid).count();
        let gone = self
            .of("member_left", |event| paid(event) && number(event, "daysSinceJoin").is_some_and(|days| days < 1.0));
        let clickers =
            self.of("link_clicked", |event| paid(event) && !is(event, "botSuspected")).unique(&["clickerHash"]);
        vec![("stay_rate_1d", 100.0 * (joins - gone.count()) / joins), ("join_rate", 100.0 * joins / clickers)]
    }

    fn money(&self, currency: &'static str) -> Vec<(&'static str, f64)> {
        let mine = |event: &Event| says(event, "currency", currency);
        // Campaigns, and with them clicks and joins, belong to the currency that they are paid in.
        let campaigns: HashSet<_> =
            self.of("cost_recorded", mine).0.iter().filter_map(|event| text(event, "campaignId")).collect();
        let of_them = |event: &Event| text(event, "campaignId").is_some_and(|campaign| campaigns.contains(campaign));
        let costs = self.of("cost_recorded", mine).sum("amount");
        let of_campaigns = self.of("cost_recorded", |event| mine(event) && of_them(event)).sum("amount");
        let placed = self.of("cost_recorded", |event| mine(event) && says(event, "kind", "placement")).sum("amount");
        let views = self.young_posts(|event| of_them(event) && event.property("placementId").is_some());
        let joins = self.of("member_joined", of_them).count();
        let gone = self
            .of("member_left", |event| of_them(event) && number(event, "daysSinceJoin").is_some_and(|days| days < 1.0));
        let clicks = self.of("link_clicked", |event| of_them(event) && !is(event, "botSuspected")).count();
        let earned = self.of("conversion_recorded", mine);
        vec![
            ("cpm", 1_000.0 * placed / views.last("views", &["groupId", "postId"])),
            ("cpc", costs / clicks),
            ("cps", of_campaigns / joins),
            ("cost_per_stayed", of_campaigns / (joins - gone.count())),
            ("roi", 100.0 * (earned.sum("value") - costs) / costs),
            ("margin_roi", 100.0 * (earned.sum("margin") - costs) / costs),
        ]
    }
}

/// A metric, and the least and the most that it may be in a month.
type Range = (&'static str, f64, f64);

/// In percent, seconds, milliseconds, views or members.
const BELIEVABLE: [Range; 24] = [
    ("delivery_rate", 85.0, 97.0),
    ("confirmation_rate", 95.0, 99.9),
    ("error_rate", 3.0, 12.0),
    ("final_failure_rate", 2.0, 10.0),
    ("read_rate", 50.0, 80.0),
    ("ctr", 2.0, 12.0),
    ("reply_rate", 2.0, 10.0),
    ("positive_reply_rate", 0.5, 5.0),
    ("opt_out_rate", 0.2, 3.0),
    ("bot_block_rate", 0.5, 8.0),
    ("bot_engagement", 5.0, 50.0),
    ("removal_rate", 0.5, 5.0),
    ("send_latency_p95", 500.0, 6_500.0),
    ("ctr_views", 0.05, 2.0),
    ("er", 2.0, 10.0),
    ("err24", 10.0, 60.0),
    ("avg_reach", 500.0, 20_000.0),
    ("net_growth", 1.0, 20_000.0),
    ("member_change", 1.0, 20_000.0),
    ("churn_rate", 0.5, 8.0),
    ("flood_wait_per_1k", 50.0, 1_000.0),
    ("sender_ban_rate", 1.0, 15.0),
    ("stay_rate_1d", 85.0, 98.0),
    ("join_rate", 15.0, 70.0),
];

const MONEY: [(&str, [Range; 6]); 2] = [
    (
        "USD",
        [
            ("cpm", 4.0, 25.0),
            ("cpc", 0.3, 5.0),
            ("cps", 0.5, 15.0),
            ("cost_per_stayed", 0.5, 15.0),
            ("roi", -20.0, 250.0),
            ("margin_roi", -70.0, 100.0),
        ],
    ),
    (
        "RUB",
        [
            ("cpm", 400.0, 1_600.0),
            ("cpc", 30.0, 400.0),
            ("cps", 50.0, 900.0),
            ("cost_per_stayed", 50.0, 900.0),
            ("roi", -20.0, 250.0),
            ("margin_roi", -70.0, 100.0),
        ],
    ),
];

fn check(values: &[(&str, f64)], believable: &[Range], unit: &str, wrong: &mut Vec<String>) {
    assert_eq!(values.len(), believable.len());
    for (name, value) in values {
        println!("{name:<22}{value:>12.2} {unit}");
        let (_, low, high) = believable.iter().find(|(other, ..)| other == name).expect("a range for each metric");
        if !(low..=high).contains(&value) {
            wrong.push(format!("{name} {unit}: {value}, not {low} to {high}"));
        }
    }
}

#[test]
fn built_in_metrics_of_a_month_are_believable() {
    let month = Month(month());
    let mut wrong = Vec::new();
    let rates = [month.messages(), month.groups(), month.senders(), month.campaigns()].concat();
    check(&rates, &BELIEVABLE, "", &mut wrong);
    for (currency, believable) in MONEY {
        check(&month.money(currency), &believable, currency, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
