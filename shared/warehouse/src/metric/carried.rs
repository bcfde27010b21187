//! Values that objects carry into a bucket, and by how much they grow in it.
//!
//! The samples of each object are put in a row: its first and last value in each bucket, and in the time before the first one.
//! An object goes into a bucket with the last value of the sample before. So each sample says by how much the sum over all objects
//! changes, and the rest is adding up: [`assemble`](analytics_domain::metric::assemble).

use std::collections::{BTreeMap, BTreeSet};

use analytics_domain::metric::{
    CARRIED, Cell, Key, Measure, Of, Parts, State,
    buckets::{Buckets, Range},
};

use super::{
    query::{Asked, Part, Tenant, Told},
    select::chosen,
    shape::columns_of,
    states::Accounts,
};
use crate::statement::Statement;

/// How the measures of a question that are not kept are told.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Their places among the measures that were asked for, and which row of samples tells each.
    places: Vec<(usize, usize)>,
    rows: Vec<Samples>,
    /// What rows are made of.
    measures: Vec<Measure>,
    /// For each of these, a place among the measures that were asked for of which it is a part.
    owners: Vec<Vec<usize>>,
}

/// Which measures tell the samples of some objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Samples {
    first: usize,
    last: usize,
    age: Option<usize>,
}

impl Carried {
    /// Of the measures that are made of parts. The others are skipped.
    pub(super) fn of(measures: &[Measure]) -> Self {
        let mut carried = Self::default();
        for (place, measure) in measures.iter().enumerate() {
            let Some(Parts { first, last, age }) = measure.parts() else { continue };
            let mut part = |measure| carried.part(measure, place);
            let samples = Samples { first: part(first), last: part(last), age: age.map(part) };
            let row = carried.rows.iter().position(|other| *other == samples).unwrap_or_else(|| {
                carried.rows.push(samples);
                carried.rows.len() - 1
            });
            carried.places.push((place, row));
        }
        carried
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn part(&mut self, measure: Measure, owner: usize) -> usize {
        let place = self.measures.iter().position(|other| *other == measure).unwrap_or_else(|| {
            self.measures.push(measure);
            self.owners.push(Vec::new());
            self.measures.len() - 1
        });
        self.owners[place].push(owner);
        place
    }

    /// The question about the parts, with a bucket before the others.
    pub(super) fn asked<'q>(&'q self, asked: &Asked<'q>, buckets: &'q Buckets) -> Asked<'q> {
        Asked { measures: &self.measures, buckets, by_bucket: true, ..*asked }
    }

    /// The splits that may be kept of the parts: those of the measures that they are a part of.
    pub(super) fn kept(&self, tenant: &Tenant<'_>) -> Vec<Vec<Vec<String>>> {
        let of = |owners: &Vec<usize>| owners.iter().flat_map(|owner| tenant.kept[*owner].iter().cloned()).collect();
        self.owners.iter().map(of).collect()
    }

    /// Samples by row, bucket and key: how many objects come and what they start with, by how much all have changed and grown, and
    /// how many have been sampled.
    pub(super) fn statement(&self, accounts: Accounts<'_>, asked: &Asked<'_>, parts: &[&Part<'_>]) -> Statement {
        let places = |of: fn(&Samples) -> Option<usize>| {
            let place = |row| of(row).and_then(|place| i64::try_from(place).ok()).unwrap_or(-1);
            self.rows.iter().map(place).collect::<Vec<i64>>()
        };
        let (firsts, lasts) = (places(|row| Some(row.first)), places(|row| Some(row.last)));
        let ages = places(|row| row.age);
        let has_accounts = accounts.len() > 1;
        let mut statement = Statement::default();
        statement.push(if has_accounts { "SELECT toString(account) AS account" } else { "SELECT '' AS account" });
        statement.push(
            ", toInt64(row) AS place, toUInt8(0) AS whole, sample.1 AS bucket, other, key, countIf(number = 1) AS n, \
             sumIf(sample.2, number = 1) AS total, sum(sample.3 - multiIf(number > 1, samples[number - 1].3, sample.4 >= ",
        );
        statement.integer(asked.buckets.starts.get(1).copied().unwrap_or(i64::MAX));
        statement.push(
            ", 0, sample.2)) AS low, sum(sample.3 - if(number > 1, samples[number - 1].3, 0)) AS high, count() AS uniques, \
             (CAST([], 'Array(Int32)'), CAST([], 'Array(UInt64)')) AS bins, total AS level FROM (",
        );
        let keys = if has_accounts { "account, row, other, key, object" } else { "row, other, key, object" };
        statement.push("SELECT ").push(keys);
        statement.push(", arraySort(groupArray((bucket, opening, closing, begun))) AS samples FROM (SELECT ");
        statement.push(if has_accounts { "account, " } else { "" });
        statement.push("row, bucket, object, ");
        statement.push(if asked.only.is_some() { "other, " } else { "toUInt8(0) AS other, " });
        statement.push(if asked.group_by.is_empty() {
            "CAST([], 'Array(Nullable(String))') AS key, "
        } else {
            "key, "
        });
        statement.push("argMinIf(total, (at, total), place = ").integers(&firsts);
        statement.push("[row + 1]) AS opening, argMaxIf(total, (at, total), place = ").integers(&lasts);
        // An object whose first sample tells its age has begun so long before.
        statement.push("[row + 1]) AS closing, if(minIf(at, place = ").integers(&ages);
        statement.push("[row + 1]) = minIf(at, place = ").integers(&firsts);
        statement.push("[row + 1]), argMinIf(at - 60000 * total, (at, total), place = ").integers(&ages);
        statement.push("[row + 1]), 0) AS begun FROM (");
        chosen(&mut statement, accounts, asked, parts, &columns_of(asked.measures.iter()));
        statement.push(") ARRAY JOIN arrayFilter(row -> has([").integers(&firsts).push("[row + 1], ").integers(&lasts);
        statement.push("[row + 1], ").integers(&ages).push("[row + 1]], place), range(");
        statement.integer(i64::try_from(self.rows.len()).unwrap_or(0)).push(")) AS row GROUP BY bucket, ");
        statement.push(keys).push(") GROUP BY ").push(keys);
        statement.push(") ARRAY JOIN samples AS sample, arrayEnumerate(samples) AS number GROUP BY ");
        statement.push(if has_accounts { "account, " } else { "" }).push("row, bucket, other, key");
        if let Some(most) = asked.most {
            statement.push(" LIMIT ").integer(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
        }
        statement
    }

    /// The cells of the measures that were asked for.
    pub(super) fn tell(&self, samples: Told, asked: &Asked<'_>) -> Told {
        let from = asked.buckets.range.from;
        let mut keys = BTreeSet::new();
        let (mut cells, mut totals) = (Vec::new(), BTreeMap::<(usize, Key), State>::new());
        for Cell { measure: row, key, bucket, state } in samples.cells {
            let start = bucket.unwrap_or(from);
            let is_before = start < from;
            let bucket = if start == from { asked.buckets.starts.first().copied() } else { Some(start) };
            keys.insert(key.clone());
            for (place, _) in self.places.iter().filter(|(_, told_by)| *told_by == row) {
                let is_start = matches!(asked.measures[*place].of, Of::Start { .. });
                let (of_bucket, sum) = match (is_start, is_before) {
                    (true, true) => (State { sum: 0.0, low: 0.0, ..state.clone() }, state.high),
                    (true, false) => (State { low: 0.0, ..state.clone() }, state.sum),
                    (false, true) => continue,
                    (false, false) => (State { count: state.uniques, sum: state.low, ..State::default() }, state.low),
                };
                let total = totals.entry((*place, key.clone())).or_default();
                total.count += of_bucket.count;
                total.sum += sum;
                if asked.by_bucket {
                    cells.push(Cell { measure: *place, key: key.clone(), bucket, state: of_bucket });
                }
            }
        }
        let total = |((measure, key), state)| Cell { measure, key, bucket: None, state };
        cells.extend(totals.into_iter().map(total));
        // What objects start with is told of every bucket.
        let told = keys.len() * if asked.by_bucket { asked.buckets.starts.len() } else { 1 };
        Told { is_cut: samples.is_cut || asked.most.is_some_and(|most| told > most), cells, ..samples }
    }
}

/// The same buckets, and one before them.
pub(super) fn with_what_was(buckets: &Buckets) -> Buckets {
    let Range { from, to } = buckets.range;
    let starts = [from - CARRIED, from].into_iter().chain(buckets.starts.iter().skip(1).copied()).collect();
    Buckets { range: Range { from: from - CARRIED, to }, starts }
}
