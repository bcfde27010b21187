//! What people do one after another: how far they get through steps, and whether they come back or stay.
//!
//! A person is whoever has the same text in one property. Each counts once, by what the events in the range say of them.

use analytics_domain::{
    account::AccountId,
    metric::{Aliases, Filter, buckets::Range},
};
use clickhouse::Row;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::{
    EventWarehouse, WarehouseError,
    metric::{ReadSource, condition, group_text, text},
    statement::Statement,
};

/// Events that are one thing that people do.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub event_name: String,
    pub filter: Filter,
}

/// Whose steps are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Crowd<'q> {
    pub account_id: &'q AccountId,
    /// The property that tells people apart.
    pub by: &'q str,
    /// When people take the first step.
    pub range: Range,
    /// Properties to split by: a person is where the earliest first step is.
    pub group_by: &'q [String],
    /// What each event must meet besides its step's own conditions.
    pub filter: &'q Filter,
    pub aliases: &'q Aliases,
    /// Groups that are worth having.
    pub most: usize,
    pub deadline: Instant,
}

/// How far the people of one group get.
#[derive(Clone, Debug, Deserialize, PartialEq, Row)]
pub struct Reached {
    pub key: Vec<Option<String>>,
    /// For each step how many people reach it; the last ones are left out if nobody does.
    pub people: Vec<u64>,
    /// How many milliseconds after the first step, for the person in the middle.
    pub medians: Vec<i64>,
}

/// People of one group who take the first step in the same bucket.
#[derive(Clone, Debug, Deserialize, PartialEq, Row)]
pub struct Cohort {
    pub key: Vec<Option<String>>,
    /// Start of the bucket.
    pub bucket: i64,
    pub people: u64,
    /// For each period those for whom it is over, and those of them who came back or stayed.
    pub over: Vec<u64>,
    pub kept: Vec<u64>,
}

/// What becomes of people after the first step.
#[derive(Clone, Copy, Debug)]
pub struct Periods<'q> {
    /// Starts of the buckets of first steps.
    pub starts: &'q [i64],
    /// How long a period is, in milliseconds.
    pub length: i64,
    /// Which periods after the first step are told, from 1.
    pub numbers: &'q [i64],
    /// Whether the second event ends it: those stay who have none up to the end of the period. Otherwise those come back who
    /// have one within the period that follows so many.
    pub is_end: bool,
    /// Epoch milliseconds.
    pub now: i64,
}

impl EventWarehouse {
    /// How many people get how far through steps that come one after another, within so many milliseconds of the first. Events of
    /// the same millisecond count in the order of their steps, and one event is one step.
    ///
    /// # Errors
    /// If ClickHouse does not answer, or it takes more than a question may.
    pub async fn funnel(&self, crowd: &Crowd<'_>, steps: &[Step], within: i64) -> Result<Vec<Reached>, WarehouseError> {
        self.in_time(crowd, &funnel(crowd, steps, within)).await
    }

    /// Whether people come back, or stay, after their earliest first step.
    ///
    /// # Errors
    /// As [`EventWarehouse::funnel`].
    pub async fn retention(
        &self,
        crowd: &Crowd<'_>,
        steps: &[Step; 2],
        periods: &Periods<'_>,
    ) -> Result<Vec<Cohort>, WarehouseError> {
        self.in_time(crowd, &retention(crowd, steps, periods)).await
    }

    async fn in_time<T>(&self, crowd: &Crowd<'_>, statement: &Statement) -> Result<Vec<T>, WarehouseError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let no_time = |_| WarehouseError::OverLimits("the time of one question is up".to_owned());
        timeout_at(crowd.deadline, self.ask(statement)).await.map_err(no_time)?
    }
}

pub(crate) fn funnel(crowd: &Crowd<'_>, steps: &[Step], within: i64) -> Statement {
    let mut statement = Statement::default();
    let count = i64::try_from(steps.len()).unwrap_or(0);
    // For each step the latest first step from which it was reached, which leaves most time for what follows, and when it was.
    statement
        .push("SELECT key, countForEach(times) AS people, quantileExactForEach(0.5)(times) AS medians FROM (SELECT ");
    first_key(&mut statement, crowd);
    statement.push(
        ", arrayMap(one -> one.2 - one.1, arrayFilter(one -> one.1 > 0, arrayFold((reached, event) -> arrayMap((old, number) -> \
         multiIf(NOT bitTest(event.3, number), old, number = 0, if(event.1 > old.1, (event.1, event.1), old), \
         reached[number].1 > old.1 AND event.1 - reached[number].1 <= ",
    );
    statement.integer(within).push(", (reached[number].1, event.1), old), reached, range(").integer(count);
    statement.push(
        ")), arraySort(groupArray((at, bitCount(bitXor(steps, steps - 1)), steps))), \
         arrayResize(CAST([], 'Array(Tuple(Int64, Int64))'), ",
    );
    statement.integer(count).push(")))) AS times");
    events(&mut statement, crowd, steps, crowd.range.to.saturating_add(within));
    statement.push(" GROUP BY person HAVING notEmpty(times)) GROUP BY key");
    limit(&mut statement, crowd);
    statement
}

pub(crate) fn retention(crowd: &Crowd<'_>, steps: &[Step; 2], periods: &Periods<'_>) -> Statement {
    let Periods { starts, length, numbers, is_end, now } = *periods;
    let mut statement = Statement::default();
    statement.push("SELECT key, toInt64(roundDown(start, ").integers(starts);
    statement.push(")) AS bucket, count() AS people, sumForEach(ended) AS over, sumForEach(arrayMap((is_over, has) -> is_over * has, \
                    ended, had)) AS kept FROM (SELECT key, start, arrayMap(number -> toUInt64(start + ");
    // The period that follows so many is over when one more is.
    statement.push(if is_end { "number * " } else { "(number + 1) * " }).integer(length).push(" <= ").integer(now);
    statement.push("), ").integers(numbers).push(") AS ended, arrayMap(number -> toUInt64(");
    statement.push(if is_end {
        "NOT arrayExists(at -> at >= start AND at - start < number * "
    } else {
        "arrayExists(at -> at - start >= number * "
    });
    statement.integer(length);
    if !is_end {
        statement.push(" AND at - start < (number + 1) * ").integer(length);
    }
    statement.push(", second_times)), ").integers(numbers).push(") AS had FROM (SELECT ");
    first_key(&mut statement, crowd);
    statement.push(", minIf(at, bitTest(steps, 0)) AS start, groupUniqArrayIf(at, bitTest(steps, 1)) AS second_times");
    let last = numbers.iter().max().copied().unwrap_or(0).saturating_add(1).saturating_mul(length);
    events(&mut statement, crowd, steps, crowd.range.to.saturating_add(last));
    statement.push(" GROUP BY person HAVING start > 0)) GROUP BY key, bucket");
    limit(&mut statement, crowd);
    statement
}

/// The key of a person's earliest first step.
fn first_key(statement: &mut Statement, crowd: &Crowd<'_>) {
    statement.push(if crowd.group_by.is_empty() {
        "CAST([], 'Array(Nullable(String))') AS key"
    } else {
        "argMinIf(values, (at, event_id), bitTest(steps, 0)) AS key"
    });
}

/// The events of people with the steps that each may be, as bits.
fn events(statement: &mut Statement, crowd: &Crowd<'_>, steps: &[Step], until: i64) {
    statement.push(" FROM (SELECT ");
    text(statement, ReadSource::Events, crowd.by);
    statement.push(" AS person, toUnixTimestamp64Milli(timestamp) AS at, event_id");
    for (place, path) in crowd.group_by.iter().enumerate() {
        statement.push(if place == 0 { ", [" } else { ", " });
        group_text(statement, ReadSource::Events, path, crowd.aliases);
    }
    statement.push(if crowd.group_by.is_empty() { "" } else { "] AS values" });
    statement.push(", toUInt32(0");
    for (place, step) in (0_i64..).zip(steps) {
        statement.push(" + bitShiftLeft(toUInt32(event_name = ").text(&step.event_name);
        if place == 0 {
            statement.push(" AND timestamp < ").time(crowd.range.to);
        }
        statement.push(" AND ");
        condition(statement, ReadSource::Events, &step.filter);
        statement.push("), ").integer(place).push(")");
    }
    let mut names: Vec<&str> = steps.iter().map(|step| step.event_name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    statement.push(") AS steps FROM events FINAL WHERE account_id = ").text(crowd.account_id);
    statement.push(" AND event_name IN ").texts(names);
    statement.push(" AND timestamp >= ").time(crowd.range.from).push(" AND timestamp <= ").time(until).push(" AND ");
    condition(statement, ReadSource::Events, crowd.filter);
    statement.push(") WHERE steps > 0 AND person IS NOT NULL");
}

fn limit(statement: &mut Statement, crowd: &Crowd<'_>) {
    statement.push(" LIMIT ").integer(i64::try_from(crowd.most).unwrap_or(i64::MAX).saturating_add(1));
}
