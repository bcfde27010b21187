//! The built-in metrics as the catalogue puts them, for the plain computation.

use analytics_domain::{access::Role, metric::builtin::METRICS};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::stack::Account;

use super::plain::{Event, Filter, Formula, Function, Scope};

fn input(name: &'static str, function: Function, property: &'static str, filter: Option<Filter>) -> Formula {
    let by = match function {
        Function::First | Function::Last | Function::Gain | Function::MeanLast(_) if name == "post_stats_sampled" => {
            vec!["groupId", "postId"]
        }
        Function::First | Function::Last | Function::Gain => vec!["groupId"],
        _ => Vec::new(),
    };
    Formula::Input { name, function, property, by, filter }
}

fn count(name: &'static str) -> Formula {
    input(name, Function::Count, "", None)
}

fn sum(name: &'static str, property: &'static str) -> Formula {
    input(name, Function::Sum, property, None)
}

fn both(operator: char, left: Formula, right: Formula) -> Formula {
    Formula::Both(operator, Box::new(left), Box::new(right))
}

fn times(factor: i32, formula: Formula, by: Formula) -> Formula {
    both('/', both('*', Formula::Number(factor), formula), by)
}

fn is_true(path: &'static str) -> Filter {
    Filter::Equals(path, json!(true))
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn and(left: Filter, right: Filter) -> Filter {
    Filter::And(Box::new(left), Box::new(right))
}

fn is(path: &'static str, text: &'static str) -> Filter {
    Filter::Equals(path, json!(text))
}

/// Within a day of its publishing, and no forwarded copy.
fn of_a_day() -> Filter {
    and(Filter::Less("ageMinutes", 1_441), not(is_true("isForwardedCopy")))
}

fn of_campaign() -> Filter {
    Filter::Exists("campaignId")
}

fn count_if(name: &'static str, filter: Filter) -> Formula {
    input(name, Function::Count, "", Some(filter))
}

fn unique(name: &'static str, property: &'static str, filter: Option<Filter>) -> Formula {
    input(name, Function::Unique, property, filter)
}

fn sum_if(name: &'static str, property: &'static str, filter: Filter) -> Formula {
    input(name, Function::Sum, property, Some(filter))
}

fn last(name: &'static str, property: &'static str, filter: Filter) -> Formula {
    input(name, Function::Last, property, Some(filter))
}

fn unique_of(property: &'static str, by: &[&'static str], filter: Filter) -> Formula {
    let (name, function) = ("link_clicked", Function::Unique);
    Formula::Input { name, function, property, by: by.to_vec(), filter: Some(filter) }
}

fn views(within: &[&'static str]) -> Formula {
    let function = Function::MeanLast(within.to_vec());
    input("post_stats_sampled", function, "views", Some(of_a_day()))
}

fn formula(id: &str) -> Option<Formula> {
    let given_up = || count_if("message_failed", is_true("final"));
    let tried = || both('+', count("message_sent"), given_up());
    let reached = || unique("message_delivered", "$userId", None);
    let reached_by_bots = || unique("message_delivered", "$userId", Some(is("senderKind", "bot")));
    let replied = |filter| unique("reply_received", "$userId", filter);
    let not_bot = || not(is_true("botSuspected"));
    let post = |property| last("post_stats_sampled", property, of_a_day());
    let cost = || sum("cost_recorded", "amount");
    let campaign_cost = || sum_if("cost_recorded", "amount", of_campaign());
    let joined = || count_if("member_joined", of_campaign());
    let stayed = || both('-', joined(), count_if("member_left", and(of_campaign(), Filter::Less("daysSinceJoin", 1))));
    let return_on = |property| times(100, both('-', sum("conversion_recorded", property), cost()), cost());
    Some(match id {
        "delivery_rate" => times(100, count("message_delivered"), tried()),
        "confirmation_rate" => times(100, count("message_delivered"), count("message_sent")),
        "error_rate" => times(100, count("message_failed"), both('+', count("message_sent"), count("message_failed"))),
        "final_failure_rate" => times(100, given_up(), tried()),
        "read_rate" => times(
            100,
            unique("message_read", "messageKey", None),
            unique("message_delivered", "messageKey", Some(is_true("readTrackable"))),
        ),
        "ctr" => times(
            100,
            unique_of("clickerHash", &["messageKey"], and(not_bot(), is("audience", "person"))),
            count_if("message_delivered", is("audience", "person")),
        ),
        "ctr_views" => times(
            100,
            unique_of("clickerHash", &["groupId", "postId"], and(not_bot(), Filter::Exists("postId"))),
            post("views"),
        ),
        "reply_rate" => times(100, replied(None), reached()),
        "positive_reply_rate" => times(100, replied(Some(is("sentiment", "positive"))), reached()),
        "opt_out_rate" => times(100, replied(Some(is("intent", "stop"))), reached()),
        "er" => times(100, both('+', both('+', post("forwards"), post("reactions")), post("replies")), post("views")),
        "err24" => {
            let is_group = Filter::In("kind", vec![json!("group"), json!("supergroup")]);
            times(100, views(&["groupId"]), last("group_stats_sampled", "members", not(is_group)))
        }
        "avg_reach" => views(&[]),
        "net_growth" => both('-', count("member_joined"), count("member_left")),
        "member_change" => input("group_stats_sampled", Function::Gain, "members", None),
        "churn_rate" => {
            let left = and(Filter::Differs("reason", json!("kicked")), not(Filter::Less("daysSinceJoin", 1)));
            let members = input("group_stats_sampled", Function::First, "members", None);
            times(100, count_if("member_left", left), members)
        }
        "stay_rate_1d" => times(100, stayed(), joined()),
        "join_rate" => times(100, joined(), unique("link_clicked", "clickerHash", Some(and(not_bot(), of_campaign())))),
        "bot_block_rate" => times(100, unique("bot_blocked", "$userId", None), reached_by_bots()),
        "bot_engagement" => times(100, unique("button_pressed", "$userId", None), reached_by_bots()),
        "removal_rate" => {
            let elsewhere = Filter::In("audience", vec![json!("person"), json!("channel")]);
            times(
                100,
                count_if("message_deleted", and(is("removedBy", "other"), not(elsewhere))),
                count_if("message_delivered", is("audience", "group")),
            )
        }
        "cpm" => {
            let of_placement = and(Filter::Exists("placementId"), Filter::Less("ageMinutes", 1_441));
            times(
                1000,
                sum_if("cost_recorded", "amount", is("kind", "placement")),
                last("post_stats_sampled", "views", of_placement),
            )
        }
        "cpc" => both('/', cost(), count_if("link_clicked", not_bot())),
        "cps" => both('/', campaign_cost(), joined()),
        "cost_per_stayed" => both('/', campaign_cost(), stayed()),
        "roi" => return_on("value"),
        "margin_roi" => return_on("margin"),
        "flood_wait_per_1k" => {
            let sending = ["sendMessage", "sendMedia", "sendMultiMedia", "forwardMessages"];
            let methods = sending.iter().map(|method| json!(format!("messages.{method}"))).collect();
            let waits = and(is("kind", "flood"), Filter::In("method", methods));
            times(1000, sum_if("sender_flood_wait", "waitS", waits), tried())
        }
        "sender_ban_rate" => {
            times(100, unique("sender_banned", "senderId", None), unique("sender_stats_sampled", "senderId", None))
        }
        "send_latency_p95" => Formula::Percentile("message_sent", "latencyMs", 95),
        _ => return None,
    })
}

fn time(value: &Value) -> Result<i64> {
    value.as_str().and_then(analytics_domain::time::parse).context("no time")
}

/// Every built-in metric of an account, in total and by campaign, is what its events make it. Says how many of the numbers
/// there were.
pub async fn compare(account: &Account<'_>, events: &[Event]) -> Result<usize> {
    let mut numbers = 0;
    for metric in &METRICS {
        let formula = formula(metric.id).with_context(|| format!("{} has no plain formula", metric.id))?;
        let path = format!("/api/metrics/{}/data?period=7d&interval=none&groupBy=", metric.id);
        for group in ["", "campaignId"] {
            let request =
                account.stack.get(&format!("{path}{group}&limit=100")).bearer_auth(account.token(Role::Viewer));
            let answer: Value = request.send().await?.json().await?;
            let series = answer["series"].as_array().with_context(|| format!("{}: {answer}", metric.id))?;
            let is_kept = group.is_empty() || metric.dimensions.contains(&group);
            ensure!(!is_kept || answer["source"] != "events", "{} does not come from rollups: {answer}", metric.id);
            for series in series {
                let key = series["key"]["campaignId"].as_str();
                let of_series: Vec<&Event> = events
                    .iter()
                    .filter(|event| group.is_empty() || event.text("campaignId").as_deref() == key)
                    .collect();
                let range = time(&answer["from"])?..time(&answer["to"])?;
                let scope = Scope::within(&of_series, range.clone(), &range);
                super::differential::check(&formula, &scope, &series["total"])
                    .with_context(|| format!("{} of {key:?} in account {}", metric.id, account.id))?;
                numbers += usize::from(series["total"].is_number());
            }
        }
    }
    Ok(numbers)
}
