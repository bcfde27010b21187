//! The built-in metrics as the catalogue puts them, for the plain computation.

use analytics_domain::{access::Role, metric::builtin::METRICS};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::stack::Account;

use super::plain::{Event, Filter, Formula, Function};

fn input(name: &'static str, function: Function, property: &'static str, filter: Option<Filter>) -> Formula {
    let by = match function {
        Function::First | Function::Last if name == "post_stats_sampled" => vec!["groupId", "postId"],
        Function::First | Function::Last => vec!["groupId"],
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

fn formula(id: &str) -> Option<Formula> {
    let last = |property| input("post_stats_sampled", Function::Last, property, None);
    let unique = |name, property| input(name, Function::Unique, property, None);
    let is_true = |path| Filter::Equals(path, json!(true));
    let cost = || sum("cost_recorded", "amount");
    Some(match id {
        "delivery_rate" => times(100, count("message_delivered"), count("message_sent")),
        "error_rate" => times(100, count("message_failed"), both('+', count("message_sent"), count("message_failed"))),
        "final_failure_rate" => {
            times(100, input("message_failed", Function::Count, "", Some(is_true("final"))), count("message_queued"))
        }
        "read_rate" => times(
            100,
            count("message_read"),
            input("message_delivered", Function::Count, "", Some(is_true("readTrackable"))),
        ),
        "ctr" => times(
            100,
            input(
                "link_clicked",
                Function::Unique,
                "clickerHash",
                Some(Filter::Not(Box::new(is_true("botSuspected")))),
            ),
            count("message_delivered"),
        ),
        "reply_rate" => times(100, count("reply_received"), count("message_delivered")),
        "er" => times(100, both('+', both('+', last("forwards"), last("reactions")), last("replies")), last("views")),
        "net_growth" => both('-', count("member_joined"), count("member_left")),
        "churn_rate" => {
            times(100, count("member_left"), input("group_stats_sampled", Function::First, "members", None))
        }
        "join_rate" => times(100, count("member_joined"), count("link_clicked")),
        "bot_block_rate" => times(100, count("bot_blocked"), unique("message_delivered", "$userId")),
        "cpm" => times(1000, cost(), last("views")),
        "cpc" => both('/', cost(), count("link_clicked")),
        "cps" => both('/', cost(), count("member_joined")),
        "roi" => times(100, both('-', sum("conversion_recorded", "value"), cost()), cost()),
        "flood_wait_per_1k" => times(1000, sum("sender_flood_wait", "waitS"), count("message_sent")),
        "sender_ban_rate" => times(100, unique("sender_banned", "senderId"), unique("message_sent", "senderId")),
        "send_latency_p95" => Formula::Percentile("message_sent", "latencyMs", 95),
        _ => return None,
    })
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
            ensure!(answer["source"] != "events", "{} does not come from rollups: {answer}", metric.id);
            for series in series {
                let key = series["key"]["campaignId"].as_str();
                let of_series: Vec<&Event> = events
                    .iter()
                    .filter(|event| group.is_empty() || event.text("campaignId").as_deref() == key)
                    .collect();
                super::differential::check(&formula, &of_series, &series["total"])
                    .with_context(|| format!("{} of {key:?} in account {}", metric.id, account.id))?;
                numbers += usize::from(series["total"].is_number());
            }
        }
    }
    Ok(numbers)
}
