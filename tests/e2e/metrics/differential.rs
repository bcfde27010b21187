//! Random events, definitions, filters and time zones: each answer equals the plain computation, from events, from rollups,
//! and from both, while events come late, come again and are deleted.

#![expect(clippy::print_stdout, reason = "what was compared: shown when a test fails")]

use std::collections::BTreeMap;

use analytics_domain::access::Role;
use analytics_platform::now_millis;
use anyhow::{Context, Result, ensure};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use tests::stack::{Account, Stack, eventually};

use super::{
    plain::{Event, Filter, Formula, Scope},
    random::{self, event, filter, formula, key_filter},
    until_rolled_up,
};

/// Accounts, each with its own events and metrics.
const CASES: usize = 5;
const EVENTS: usize = 400;
const METRICS: usize = 6;
/// Questions of each account in each state of its rollups.
const QUESTIONS: usize = 12;
const ZONES: [&str; 8] = [
    "UTC",
    "Asia/Shanghai",
    "Europe/Moscow",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
];

#[derive(Clone, Debug)]
struct Question {
    /// Which of the account's metrics.
    metric: usize,
    zone: &'static str,
    interval: &'static str,
    /// Milliseconds before now.
    from: i64,
    length: i64,
    /// Whether the range keeps to whole hours of the clock.
    aligned: bool,
    group_by: Vec<&'static str>,
    filter: Option<Filter>,
}

fn question() -> impl Strategy<Value = Question> {
    let days = 86_400_000_i64;
    let range = prop_oneof![
        // Whole hours, anything, and the newest.
        (1_i64..960, 1_i64..960).prop_map(|(from, length)| (from * 3_600_000, length * 3_600_000, true)),
        (1..40 * days, 1..40 * days, Just(false)),
        (1..2 * days, 1..2 * days, Just(false)),
    ];
    let groups = prop::sample::select(vec![
        vec![],
        vec![],
        vec!["campaignId"],
        vec!["groupId"],
        vec!["campaignId", "groupId"],
        vec!["groupId", "campaignId"],
        vec!["$userId"],
    ]);
    (
        0..METRICS,
        prop::sample::select(ZONES.to_vec()),
        prop::sample::select(vec!["none", "auto", "hour", "2h", "6h", "day", "week", "month", "15m"]),
        range,
        groups,
        prop_oneof![
            2 => Just(None),
            2 => key_filter().prop_map(Some),
            1 => filter().prop_map(Some),
        ],
    )
        .prop_map(|(metric, zone, interval, (from, length, aligned), group_by, filter)| {
            // What would be too many buckets is asked for in longer ones.
            let interval = if interval == "15m" && length > 5 * 86_400_000 { "hour" } else { interval };
            let interval = if interval == "hour" && length > 20 * 86_400_000 { "day" } else { interval };
            Question { metric, zone, interval, from, length, aligned, group_by, filter }
        })
}

fn sample<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> Result<S::Value> {
    Ok(strategy.new_tree(runner).map_err(|reason| anyhow::anyhow!("{reason}"))?.current())
}

struct Case<'s> {
    account: Account<'s>,
    token: String,
    formulas: Vec<Formula>,
    events: Vec<Event>,
    now: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_equals_the_plain_computation() -> Result<()> {
    let stack = Stack::shared().await;
    // Another seed each time; what fails prints all that it takes to see it again.
    let mut runner = TestRunner::default();
    let mut sources: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..CASES {
        let mut case = Case::new(&stack, &mut runner, number).await?;
        case.compare(&mut runner, "before rollups", &mut sources).await?;
        until_rolled_up(&case.account).await?;
        case.compare(&mut runner, "rolled up", &mut sources).await?;
        case.add_late_and_again(&mut runner).await?;
        case.compare(&mut runner, "with late events", &mut sources).await?;
        until_rolled_up(&case.account).await?;
        case.compare(&mut runner, "rolled up again", &mut sources).await?;
        case.delete_some(&mut runner).await?;
        until_rolled_up(&case.account).await?;
        case.compare(&mut runner, "after a deletion", &mut sources).await?;
    }
    println!("answers by source: {sources:?}");
    for source in ["events", "rollups", "both"] {
        ensure!(sources.get(source).copied().unwrap_or_default() > 20, "too few answers from {source}: {sources:?}");
    }
    Ok(())
}

impl<'s> Case<'s> {
    async fn new(stack: &'s Stack, runner: &mut TestRunner, number: usize) -> Result<Self> {
        let account = stack.account(&format!("differential-{number}"));
        let token = account.token(Role::Analyst);
        let now = now_millis();
        let mut case = Self { account, token, formulas: Vec::new(), events: Vec::new(), now };
        let events = case.draw(runner, EVENTS)?;
        case.store(events).await?;
        for place in 0..METRICS {
            let formula = sample(runner, &formula())?;
            let definition = json!({
                "name": format!("metric {place}"), "type": "gauge", "formula": formula.to_string(),
                "dimensions": ["campaignId", "groupId"],
            });
            let request = stack.post("/api/metrics").bearer_auth(&case.token).json(&definition);
            let answer = request.send().await?;
            let status = answer.status();
            ensure!(status == 201, "{formula}: {status} {}", answer.text().await?);
            case.formulas.push(formula);
        }
        Ok(case)
    }

    fn draw(&self, runner: &mut TestRunner, count: usize) -> Result<Vec<Event>> {
        let first = self.events.len();
        let draw = |number: usize| {
            let drawn = sample(runner, &event())?;
            Ok(Event { id: format!("e{}", first + number), at: self.now - drawn.at, ..drawn })
        };
        (0..count).map(draw).collect()
    }

    async fn store(&mut self, events: Vec<Event>) -> Result<()> {
        self.account.send_all(&events.iter().map(Event::json).collect::<Vec<_>>()).await?;
        self.events.extend(events);
        self.account.until_total(self.events.len() as u64, &[]).await
    }

    /// New events of any time, and some of the old ones once more, saying something else.
    async fn add_late_and_again(&mut self, runner: &mut TestRunner) -> Result<()> {
        let late = self.draw(runner, EVENTS / 8)?;
        let mut again = Vec::new();
        for event in self.events.iter().step_by(7) {
            let other = sample(runner, &random::event())?;
            again.push(Event { properties: other.properties, ..event.clone() }.json());
        }
        let sent_at = now_millis().to_string();
        self.account.send_all(&again).await?;
        self.store(late).await?;
        // An event can be found a moment before it is known which rollups it has changed.
        const UNMARKED: &str = "SELECT count() FROM events WHERE account_id = {account:String} AND received_at >= \
                                fromUnixTimestamp64Milli({sent:Int64}) AND toStartOfHour(timestamp) NOT IN (SELECT bucket FROM \
                                rollup_buckets WHERE account_id = {account:String} AND grain = 3600 AND changed_at >= \
                                fromUnixTimestamp64Milli({sent:Int64}))";
        let parameters = [("account", &*self.account.id), ("sent", &*sent_at)];
        eventually("late events are marked", async || {
            Ok(self.account.stack.clickhouse(UNMARKED, &parameters).await? == "0")
        })
        .await
    }

    async fn delete_some(&mut self, runner: &mut TestRunner) -> Result<()> {
        let place = sample(runner, &(0_usize..10))?;
        let gone: Vec<String> = self
            .events
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 10 == place)
            .map(|(_, event)| event.id.clone())
            .collect();
        let list = format!("['{}']", gone.join("','"));
        self.account
            .stack
            .clickhouse(
                "DELETE FROM events WHERE account_id = {account:String} AND has({gone:Array(String)}, event_id)",
                &[("account", &self.account.id), ("gone", &list)],
            )
            .await?;
        self.events.retain(|event| !gone.contains(&event.id));
        Ok(())
    }

    async fn compare(&self, runner: &mut TestRunner, state: &str, sources: &mut BTreeMap<String, usize>) -> Result<()> {
        for _ in 0..QUESTIONS {
            let question = sample(runner, &question())?;
            let source = self.ask(&question).await.with_context(|| {
                format!("{state}: {} asked {question:?} of account {}", self.formulas[question.metric], self.account.id)
            })?;
            *sources.entry(source).or_default() += 1;
        }
        Ok(())
    }

    /// Asks, compares every number of the answer, and says where it came from.
    async fn ask(&self, question: &Question) -> Result<String> {
        let formula = &self.formulas[question.metric];
        let (from, to) = match question.aligned {
            true => {
                let hour = self.now - self.now % 3_600_000;
                (hour - question.from, (hour - question.from + question.length).min(hour))
            }
            false => (self.now - question.from, (self.now - question.from + question.length).min(self.now + 1)),
        };
        let filter = question.filter.as_ref().map(ToString::to_string).unwrap_or_default();
        let (from_text, to_text, groups) = (from.to_string(), to.to_string(), question.group_by.join(","));
        let parameters = [
            ("from", from_text.as_str()),
            ("to", &to_text),
            ("interval", question.interval),
            ("timezone", question.zone),
            ("groupBy", &groups),
            ("filter", &filter),
            ("limit", "3"),
        ];
        let path = format!("/api/metrics/metric_{}/data", question.metric);
        let request = self.account.stack.get(&path).bearer_auth(&self.token).query(&parameters);
        let answer = request.send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status == 200, "{status} {answer}");

        let meets = |event: &&Event| question.filter.as_ref().is_none_or(|filter| filter.holds(event));
        let all: Vec<&Event> = self.events.iter().filter(meets).collect();
        let events: Vec<&Event> = all.iter().copied().filter(|event| (from..to).contains(&event.at)).collect();
        let key_of = |event: &Event| question.group_by.iter().map(|path| event.text(path)).collect::<Vec<_>>();
        let series = answer["series"].as_array().context("no series")?;
        let mut shown = Vec::new();
        for found in series {
            let key: Vec<Option<String>> =
                question.group_by.iter().map(|path| found["key"][*path].as_str().map(str::to_owned)).collect();
            if found["other"] != true {
                shown.push(key);
            }
        }
        for (place, found) in series.iter().enumerate() {
            let of_series: Vec<&Event> = all
                .iter()
                .copied()
                .filter(|event| match (question.group_by.is_empty(), found["other"] == true) {
                    (true, _) => true,
                    (false, true) => !shown.contains(&key_of(event)),
                    (false, false) => key_of(event) == shown[place],
                })
                .collect();
            check(formula, &Scope::within(&of_series, from..to, &(from..to)), &found["total"])
                .with_context(|| format!("total of series {place} in {answer}"))?;
            let points = found["points"].as_array().context("no points")?;
            let starts: Vec<i64> = points
                .iter()
                .map(|point| analytics_domain::time::parse(point["time"].as_str().unwrap_or_default()))
                .collect::<Option<_>>()
                .context("times")?;
            ensure!(question.interval == "none" || starts.first().is_some_and(|start| *start <= from), "{starts:?}");
            let mut last: Option<&Value> = None;
            for (at, point) in points.iter().enumerate() {
                let end = starts.get(at + 1).copied().unwrap_or(i64::MAX);
                let of_bucket = Scope::within(&of_series, from..to, &(starts[at]..end));
                // A level goes on from the bucket before.
                let goes_on = formula.is_level()
                    && formula.value(&of_bucket).is_none()
                    && last.is_some_and(|last| *last == point["value"]);
                if !goes_on {
                    check(formula, &of_bucket, &point["value"])
                        .with_context(|| format!("{point} of series {place} in {answer}"))?;
                }
                last = Some(&point["value"]);
            }
        }
        self.check_groups(question, &events, series, &shown)?;
        Ok(answer["source"].as_str().unwrap_or_default().to_owned())
    }

    /// Every group with events of the formula is shown or among the others, and none is missing.
    fn check_groups(
        &self,
        question: &Question,
        events: &[&Event],
        series: &[Value],
        shown: &[Vec<Option<String>>],
    ) -> Result<()> {
        if question.group_by.is_empty() {
            ensure!(series.len() == 1, "one series, not {}", series.len());
            return Ok(());
        }
        let has_other = series.iter().any(|series| series["other"] == true);
        let key_of = |event: &&Event| question.group_by.iter().map(|path| event.text(path)).collect::<Vec<_>>();
        for event in events {
            let counts =
                self.formulas[question.metric].value(&Scope::of(vec![event])).is_some_and(|value| value != 0.0);
            ensure!(!counts || has_other || shown.contains(&key_of(event)), "no series for {:?}", key_of(event));
        }
        Ok(())
    }
}

pub fn check(formula: &Formula, scope: &Scope<'_>, found: &Value) -> Result<()> {
    let wanted = formula.value(scope);
    let found = found.as_f64();
    let equal = match (wanted, found) {
        (None, None) => true,
        (Some(wanted), Some(found)) => {
            // What is added and taken away again leaves the rounding of the large behind.
            (wanted - found).abs() <= wanted.abs().max(found.abs()) * formula.tolerance() + 1e-9
        }
        _ => false,
    };
    ensure!(equal, "expected {wanted:?}, found {found:?} over {} events", scope.events.len());
    Ok(())
}
