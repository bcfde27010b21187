//! Funnels and retention of random histories: each answer equals the plain computation, person by person.

use std::collections::BTreeMap;

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use tests::stack::{Account, Stack};

use super::{
    plain::{Event, Filter},
    random::{NAMES, event, filter},
};

const DAY: i64 = 86_400_000;
const EVENTS: usize = 600;
const QUESTIONS: usize = 60;

/// An event with conditions, as a step is written.
#[derive(Clone, Debug)]
struct Step {
    name: &'static str,
    filter: Option<Filter>,
}

impl Step {
    fn is(&self, event: &Event) -> bool {
        event.name == self.name && self.filter.as_ref().is_none_or(|filter| filter.holds(event))
    }

    fn text(&self) -> String {
        self.filter.as_ref().map_or_else(|| self.name.to_owned(), |filter| format!("{}{{{filter}}}", self.name))
    }
}

#[derive(Clone, Debug)]
struct Question {
    steps: Vec<Step>,
    by: &'static str,
    /// Days before now, and how many.
    range: (i64, i64),
    within_hours: i64,
    group_by: Option<&'static str>,
    filter: Option<Filter>,
    is_end: bool,
    periods: Vec<i64>,
    interval: &'static str,
}

fn step() -> impl Strategy<Value = Step> {
    (prop::sample::select(NAMES.to_vec()), prop::option::weighted(0.3, filter()))
        .prop_map(|(name, filter)| Step { name, filter })
}

fn question() -> impl Strategy<Value = Question> {
    (
        prop::collection::vec(step(), 1..6),
        prop::sample::select(vec!["$userId", "groupId", "objectId"]),
        (1_i64..40, 1_i64..40),
        prop::sample::select(vec![1_i64, 24, 24 * 7, 24 * 366]),
        prop::option::of(Just("campaignId")),
        prop::option::weighted(0.3, filter()),
        any::<bool>(),
        prop::sample::select(vec![vec![1], vec![1, 7, 30], vec![2, 3, 60]]),
        prop::sample::select(vec!["none", "day", "week"]),
    )
        .prop_map(|(steps, by, range, within_hours, group_by, filter, is_end, periods, interval)| Question {
            steps,
            by,
            range,
            within_hours,
            group_by,
            filter,
            is_end,
            periods,
            interval,
        })
}

fn sample<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> Result<S::Value> {
    Ok(strategy.new_tree(runner).map_err(|reason| anyhow::anyhow!("{reason}"))?.current())
}

/// The events of each person, in the order in which they count.
fn people<'e>(
    question: &Question,
    steps: &[Step],
    events: &'e [Event],
    until: i64,
) -> BTreeMap<String, Vec<&'e Event>> {
    let mut people: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let meets = question.filter.as_ref().is_none_or(|filter| filter.holds(event));
        if let (Some(person), true) = (event.text(question.by), meets) {
            people.entry(person).or_default().push(event);
        }
    }
    let bits = |event: &Event| -> u32 {
        let is = |(place, step): &(usize, &Step)| step.is(event) && (*place > 0 || event.at < until);
        steps.iter().enumerate().filter(is).map(|(place, _)| 1_u32 << place).sum()
    };
    for events in people.values_mut() {
        events.sort_by_key(|event| (event.at, bits(event).trailing_zeros(), bits(event), event.id.clone()));
    }
    people
}

fn key(question: &Question, first: &Event) -> Option<String> {
    question.group_by.and_then(|path| first.text(path))
}

/// The earliest event of a person that is the first step, in the range. Among those of one time, the one with the least id.
fn first<'e>(step: &Step, events: &[&'e Event], range: &std::ops::Range<i64>) -> Option<&'e Event> {
    let is_first = |event: &&&Event| range.contains(&event.at) && step.is(event);
    events.iter().filter(is_first).min_by_key(|event| (event.at, event.id.clone())).copied()
}

/// By key: of a funnel the people of each step, and for each person who reaches it how long it took.
type Counts = BTreeMap<Option<String>, Vec<u64>>;
type Times = BTreeMap<Option<String>, Vec<Vec<i64>>>;

fn funnel(question: &Question, events: &[Event], range: &std::ops::Range<i64>) -> Times {
    let within = question.within_hours * 3_600_000;
    let mut times = Times::new();
    for events in people(question, &question.steps, events, range.end).values() {
        let Some(of_key) = first(&question.steps[0], events, range) else { continue };
        // Of the latest start from which each step is reached.
        let mut starts: Vec<Option<i64>> = vec![None; question.steps.len()];
        let mut own: Vec<Option<i64>> = vec![None; question.steps.len()];
        for (start, event) in events.iter().enumerate() {
            if !range.contains(&event.at) || !question.steps[0].is(event) {
                continue;
            }
            let mut reached = 1;
            own[0] = Some(0);
            for later in &events[start + 1..] {
                let next = question.steps.get(reached);
                if later.at - event.at <= within && next.is_some_and(|step| step.is(later)) {
                    if starts[reached].is_none_or(|before| event.at > before) {
                        (own[reached], starts[reached]) = (Some(later.at - event.at), Some(event.at));
                    }
                    reached += 1;
                }
            }
        }
        let times = times.entry(key(question, of_key)).or_insert_with(|| vec![Vec::new(); question.steps.len()]);
        times.iter_mut().zip(own).for_each(|(times, own)| times.extend(own));
    }
    times
}

/// For each key how many begin, and for each period for how many it is over and how many are kept.
fn retention(question: &Question, steps: &[Step], events: &[Event], range: &std::ops::Range<i64>, now: i64) -> Counts {
    let mut counts = Counts::new();
    for events in people(question, steps, events, range.end).values() {
        let Some(begin) = first(&steps[0], events, range) else { continue };
        let seconds = || events.iter().filter(|event| steps[1].is(event)).map(|event| event.at - begin.at);
        let counts = counts.entry(key(question, begin)).or_insert_with(|| vec![0; 1 + 2 * question.periods.len()]);
        counts[0] += 1;
        for (place, period) in question.periods.iter().enumerate() {
            let (start, end) = (period * DAY, (period + 1) * DAY);
            let is_over = begin.at + if question.is_end { start } else { end } <= now;
            let is_kept = match question.is_end {
                true => !seconds().any(|after| (0..start).contains(&after)),
                false => seconds().any(|after| (start..end).contains(&after)),
            };
            counts[1 + 2 * place] += u64::from(is_over);
            counts[2 + 2 * place] += u64::from(is_over && is_kept);
        }
    }
    counts
}

/// The counts of an answer by key, where the other keys come last.
fn told(question: &Question, answer: &Value, numbers: impl Fn(&Value) -> Option<Vec<u64>>) -> Result<Counts> {
    let mut counts = Counts::new();
    for series in answer["series"].as_array().context("series")? {
        ensure!(series["other"] != true, "all groups are shown");
        let key = question.group_by.and_then(|path| series["key"][path].as_str().map(str::to_owned));
        counts.insert(key, numbers(series).context("numbers")?);
    }
    // Without groups there is a series also for nobody.
    counts.retain(|_, numbers| numbers[0] > 0);
    Ok(counts)
}

async fn check(account: &Account<'_>, question: &Question, events: &[Event], now: i64) -> Result<u64> {
    let from = now - question.range.0 * DAY;
    let to = (from + question.range.1 * DAY).min(now);
    let range = from..to;
    let filter = question.filter.as_ref().map(ToString::to_string);
    let body = json!({"from": from, "to": to, "groupBy": question.group_by, "filter": filter, "limit": 100});
    let texts: Vec<String> = question.steps.iter().map(Step::text).collect();
    let mut of_funnel = body.clone();
    of_funnel["funnel"] = json!({"steps": texts, "by": question.by, "within": format!("{}h", question.within_hours)});
    let answer = account.query(&of_funnel).await?["results"][0].clone();
    // How many, and the milliseconds of the one in the middle.
    let steps = |series: &Value| {
        let mut numbers = Vec::new();
        for step in series["steps"].as_array()? {
            let people = step["people"].as_u64()?;
            let median = step["medianSeconds"].as_f64().map_or(u64::MAX, |seconds| (seconds * 1_000.0).round() as u64);
            numbers.extend([people, median]);
        }
        Some(numbers)
    };
    let in_the_middle = |times: &Vec<i64>| {
        let mut times = times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).map_or(u64::MAX, |time| time.unsigned_abs())
    };
    let numbers = |times: Vec<Vec<i64>>| {
        times.iter().flat_map(|times| [times.len() as u64, in_the_middle(times)]).collect::<Vec<_>>()
    };
    let wanted: Counts =
        funnel(question, events, &range).into_iter().map(|(key, times)| (key, numbers(times))).collect();
    ensure!(told(question, &answer, steps)? == wanted, "{wanted:?} wanted, found {answer} for {of_funnel}");

    let second = question.steps.get(1).unwrap_or(&question.steps[0]);
    let pair = [question.steps[0].clone(), second.clone()];
    // What people begin with is not what ends it.
    let question = &Question { is_end: question.is_end && pair[0].text() != pair[1].text(), ..question.clone() };
    let mut of_retention = body;
    of_retention["interval"] = json!(question.interval);
    of_retention["retention"] = json!({"first": pair[0].text(), "by": question.by, "periods": question.periods});
    of_retention["retention"][if question.is_end { "leave" } else { "return" }] = json!(pair[1].text());
    let answer = account.query(&of_retention).await?["results"][0].clone();
    let as_of = answer["asOf"].as_str().and_then(analytics_domain::time::parse).context("asOf")?;
    let kept = |of: &Value| {
        let mut counts = vec![of["people"].as_u64()?];
        for period in of["periods"].as_array()? {
            counts.extend([period["of"].as_u64()?, period["people"].as_u64()?]);
        }
        Some(counts)
    };
    let wanted = retention(question, &pair, events, &range, as_of);
    ensure!(told(question, &answer, kept)? == wanted, "{wanted:?} wanted, found {answer} for {of_retention}");
    // Cohorts add up to all.
    for series in answer["series"].as_array().context("series")? {
        let Some(cohorts) = series["cohorts"].as_array() else {
            ensure!(question.interval == "none", "no cohorts in {answer}");
            continue;
        };
        let mut sum = vec![0; 1 + 2 * question.periods.len()];
        for cohort in cohorts {
            let counts = kept(cohort).context("numbers")?;
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        ensure!(Some(sum) == kept(series), "cohorts do not add up: {answer}");
    }
    Ok(wanted.values().map(|counts| counts[0]).sum())
}

/// A funnel of people who get messages, and who stays of those who join, of an account's events. How many people there were.
pub async fn compare(account: &Account<'_>, events: &[Event], now: i64) -> Result<u64> {
    let step = |name| Step { name, filter: None };
    let messages = Question {
        steps: ["message_sent", "message_delivered", "reply_received"].map(step).to_vec(),
        by: "$userId",
        range: (7, 7),
        within_hours: 24 * 7,
        group_by: Some("campaignId"),
        filter: None,
        is_end: false,
        periods: vec![1, 2, 3],
        interval: "day",
    };
    let members = Question {
        steps: ["member_joined", "member_left"].map(step).to_vec(),
        by: "memberHash",
        group_by: Some("source"),
        is_end: true,
        ..messages.clone()
    };
    Ok(check(account, &messages, events, now).await? + check(account, &members, events, now).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn funnels_and_retention_equal_the_plain_computation() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("people");
    let mut runner = TestRunner::default();
    let now = now_millis();
    let mut events = Vec::new();
    for number in 0..EVENTS {
        let drawn = sample(&mut runner, &event())?;
        // Many at the same time.
        let at = now - 1 - drawn.at;
        let at = if number % 2 == 0 { at - at.rem_euclid(DAY / 4) } else { at };
        events.push(Event { id: format!("e{number}"), at, ..drawn });
    }
    account.send_all(&events.iter().map(Event::json).collect::<Vec<_>>()).await?;
    account.until_total(EVENTS as u64, &[]).await?;
    let mut people = 0;
    for _ in 0..QUESTIONS {
        let question = sample(&mut runner, &question())?;
        people += check(&account, &question, &events, now).await.with_context(|| format!("{question:?}"))?;
    }
    ensure!(people > 100, "only {people} people were asked about");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_is_told_by_group_and_by_step() -> Result<()> {
    let stack = Stack::shared().await;
    let account = stack.account("steps");
    let start = now_millis() - 20 * DAY;
    let event = |name: &str, person: usize, at: i64, campaign: &str| {
        json!({"eventName": name, "eventId": format!("{name}-{person}-{at}"), "timestamp": start + at, "userId": format!("u{person}"),
            "properties": {"campaignId": campaign, "memberHash": format!("m{person}")}})
    };
    let mut events = Vec::new();
    for person in 0..10 {
        let campaign = if person < 6 { "spring" } else { "autumn" };
        // All within one second, as Telegram tells the time.
        events.push(event("message_sent", person, 0, campaign));
        events.push(event("member_joined", person, 0, campaign));
        if person % 2 == 0 {
            events.push(event("message_delivered", person, 0, campaign));
        }
        if person == 0 {
            events.push(event("link_clicked", person, 3 * DAY, campaign));
        }
        if person < 3 {
            events.push(event("member_left", person, DAY / 2 + i64::try_from(person)? * 3 * DAY, campaign));
        }
    }
    account.send_all(&events).await?;
    account.until_total(events.len() as u64, &[]).await?;
    let period = json!({"from": start - DAY, "to": start + DAY});
    let ask = async |question: Value| {
        let mut body = period.clone();
        for (name, value) in question.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        Ok::<_, anyhow::Error>(account.query(&body).await?["results"][0].clone())
    };
    let steps = json!(["sent", "delivered", "link_clicked"]);
    // The click comes after the range, and within a week of the message.
    let answer = ask(json!({"funnel": {"steps": steps}, "groupBy": "campaignId"})).await?;
    let expected = json!([
        {"key": {"campaignId": "spring"}, "steps": [
            {"event": "message_sent", "people": 6, "ofFirst": 100.0, "ofPrevious": 100.0, "medianSeconds": 0.0},
            {"event": "message_delivered", "people": 3, "ofFirst": 50.0, "ofPrevious": 50.0, "medianSeconds": 0.0},
            {"event": "link_clicked", "people": 1, "ofFirst": 100.0 / 6.0, "ofPrevious": 100.0 / 3.0,
                "medianSeconds": 3.0 * 86_400.0}]},
        {"key": {"campaignId": "autumn"}, "steps": [
            {"event": "message_sent", "people": 4, "ofFirst": 100.0, "ofPrevious": 100.0, "medianSeconds": 0.0},
            {"event": "message_delivered", "people": 2, "ofFirst": 50.0, "ofPrevious": 50.0, "medianSeconds": 0.0},
            {"event": "link_clicked", "people": 0, "ofFirst": 0.0, "ofPrevious": 0.0, "medianSeconds": null}]}]);
    assert_eq!(answer["series"], expected, "{answer}");
    let answer = ask(json!({"funnel": {"steps": steps, "within": "2d"}, "limit": 1, "groupBy": "campaignId"})).await?;
    assert_eq!(answer["series"][0]["steps"][2]["people"], 0, "{answer}");
    assert_eq!((&answer["series"][1]["other"], &answer["series"][1]["steps"][0]["people"]), (&json!(true), &json!(4)));
    // The same step twice needs two events.
    let answer = ask(json!({"funnel": {"steps": ["sent", "sent"]}})).await?;
    assert_eq!(answer["series"][0]["steps"][1]["people"], 0, "{answer}");
    let stays = json!({"first": "joined", "leave": "left", "by": "memberHash", "periods": [1, 7, 30]});
    let answer = ask(json!({"retention": stays, "interval": "none"})).await?;
    let expected = json!([{"people": 10, "periods": [
        {"period": 1, "of": 10, "people": 9, "share": 90.0},
        {"period": 7, "of": 10, "people": 7, "share": 70.0},
        // Nobody has been there for so long.
        {"period": 30, "of": 0, "people": 0, "share": null}]}]);
    assert_eq!(answer["series"], expected, "{answer}");

    let refused = async |question: Value| {
        let request = stack.post("/api/query").bearer_auth(account.token(Role::Viewer)).json(&question);
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await?;
        let error = &answer["errors"][0];
        Ok::<_, anyhow::Error>((status, error["pointer"].clone(), error["code"].clone()))
    };
    for (question, pointer, code) in [
        (json!({"funnel": {"steps": ["sent", "sum(message_sent.latencyMs)"]}}), "/funnel/steps/1", "not_a_step"),
        (json!({"funnel": {"steps": ["sent", "delivery_rate"]}}), "/funnel/steps/1", "not_a_step"),
        (json!({"funnel": {"steps": ["sent", "clickd"]}}), "/funnel/steps/1", "unknown_name"),
        (json!({"retention": {"first": "joined", "leave": "lft"}}), "/retention/leave", "unknown_name"),
        (json!({"funnel": {"steps": ["sent"]}, "compare": "previous_period"}), "/compare", "conflict"),
        (json!({"funnel": {"steps": ["sent"]}, "accountId": "another"}), "/accountId", "account_mismatch"),
    ] {
        assert_eq!(refused(question).await?, (422, json!(pointer), json!(code)));
    }
    Ok(())
}
