//! Answers: states of measures by bucket and key.

use std::collections::{BTreeMap, HashMap};

use analytics_domain::metric::{
    Cell, Filter, Grain, Key, Measure, Of, Piece, Series, State,
    buckets::{Buckets, Range},
    cover,
};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    Rollups,
    read::{self, condition},
    shape::{Column, columns_of, named, unfold},
    states::{Accounts, Bucket, MOST_RANGES, Placed, Scan, objects_of, of_accounts, within},
};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Ranges of stored buckets of one length that are told one by one: what lies between them is few rows.
const MOST_STORED_RANGES: usize = 3;

/// Accounts that one statement asks about.
const ACCOUNTS: usize = 200;

/// Measures over time.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    pub measures: &'q [Measure],
    pub buckets: &'q Buckets,
    /// Properties to split by.
    pub group_by: &'q [String],
    /// What events must meet besides the measures' own conditions.
    pub filter: &'q Filter,
    /// Only these keys by themselves, the others put together.
    pub only: Option<&'q [Key]>,
    /// Whether buckets are wanted, or totals only.
    pub by_bucket: bool,
    /// Cells that are worth having.
    pub most: Option<usize>,
    /// When the time of the whole question is up, of which this may be a part.
    pub deadline: Instant,
}

/// Whose events a question is about, and what is known of their rollups.
#[derive(Clone, Copy, Debug)]
pub struct Tenant<'q> {
    pub account_id: &'q str,
    /// For each measure, the splits that may be kept: lists of dimensions.
    pub kept: &'q [Vec<Vec<String>>],
    pub rollups: &'q Rollups,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    Rollups,
    Events,
    Both,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub cells: Vec<Cell>,
    pub source: Source,
    /// There are more cells than were wanted.
    pub is_cut: bool,
}

#[derive(Deserialize, Row)]
struct FoundCell {
    account: String,
    place: i64,
    whole: u8,
    bucket: i64,
    other: u8,
    key: Vec<Option<String>>,
    n: u64,
    total: f64,
    low: f64,
    high: f64,
    uniques: u64,
    bins: (Vec<i32>, Vec<u64>),
    level: f64,
}

impl Asked<'_> {
    /// The series that answers for a measure: the narrowest one that is complete and has what is asked for.
    fn series_of(&self, measure: &Measure, kept: &[Vec<String>], rollups: &Rollups) -> Option<Series> {
        // Rollups keep the text of properties only.
        if !self.filter.reads_text_only() {
            return None;
        }
        let needed: Vec<&str> = self.group_by.iter().map(String::as_str).chain(self.filter.paths()).collect();
        let fits = |set: &&Vec<String>| needed.iter().all(|path| set.iter().any(|kept| kept == path));
        let series = |set: &Vec<String>| Series { measure: measure.clone(), dimensions: set.clone() };
        let kept = kept.iter().filter(fits).map(series);
        kept.filter(|series| rollups.ready.contains(&series.id())).min_by_key(|series| series.dimensions.len())
    }
}

impl EventWarehouse {
    /// Computes measures over time, of each of these accounts, in their order. Accounts whose answers are read of the same series and
    /// events take one statement together. If that is too much for one statement, each takes one by itself, so that a large account
    /// does not fail the others.
    pub async fn measure(&self, tenants: &[Tenant<'_>], asked: &Asked<'_>) -> Vec<Result<Told, WarehouseError>> {
        let mut groups: Vec<(Vec<Part<'_>>, Vec<usize>)> = Vec::new();
        for (index, tenant) in tenants.iter().enumerate() {
            let parts = asked.parts(tenant);
            let is_other = |member: &usize| tenants[*member].account_id != tenant.account_id;
            let fits = |(others, members): &&mut (Vec<Part<'_>>, Vec<usize>)| {
                members.len() < ACCOUNTS && *others == parts && members.iter().all(is_other)
            };
            match groups.iter_mut().find(fits) {
                Some((_, members)) => members.push(index),
                None => groups.push((parts, vec![index])),
            }
        }
        let mut found: Vec<(usize, Result<Told, WarehouseError>)> = Vec::with_capacity(tenants.len());
        for (parts, members) in groups {
            let accounts: Vec<&str> = members.iter().map(|index| tenants[*index].account_id).collect();
            match self.measure_together(&accounts, &parts, asked).await {
                Ok(all) => found.extend(members.into_iter().zip(all.into_iter().map(Ok))),
                Err(error) if members.len() == 1 || error.concerns_others() => {
                    found.extend(members.into_iter().map(|index| (index, Err(error.clone()))));
                }
                Err(_) => {
                    for (index, account) in members.into_iter().zip(accounts) {
                        match self.measure_together(&[account], &parts, asked).await {
                            Ok(one) => found.extend(one.into_iter().map(|told| (index, Ok(told)))),
                            Err(error) => found.push((index, Err(error))),
                        }
                    }
                }
            }
        }
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, told)| told).collect()
    }

    async fn measure_together(
        &self,
        accounts: Accounts<'_>,
        parts: &[Part<'_>],
        asked: &Asked<'_>,
    ) -> Result<Vec<Told>, WarehouseError> {
        let (raw, rolled): (Vec<&Part<'_>>, Vec<&Part<'_>>) =
            parts.iter().partition(|part| matches!(part, Part::Raw { .. }));
        let source = match (rolled.is_empty(), raw.is_empty()) {
            (true, _) => Source::Events,
            (false, true) => Source::Rollups,
            (false, false) => Source::Both,
        };
        let adds_up = asked.measures.iter().all(|measure| measure.of.adds_up());
        let most = asked.most.map_or(usize::MAX, |most| most.saturating_mul(accounts.len()));
        if !adds_up {
            let parts: Vec<&Part<'_>> = rolled.into_iter().chain(raw).collect();
            let found = self.cells(accounts, asked, &parts, asked.by_bucket).await?;
            let is_cut = found.iter().map(Vec::len).sum::<usize>() > most;
            return Ok(found.into_iter().map(|cells| Told { cells, source, is_cut }).collect());
        }
        // What adds up is asked for in two statements at once, since most of what one takes is to be understood.
        let one = async |parts: &[&Part<'_>]| match parts.is_empty() {
            true => Ok(vec![Vec::new(); accounts.len()]),
            false => self.cells(accounts, asked, parts, false).await,
        };
        let (rolled, raw) = tokio::try_join!(one(&rolled), one(&raw))?;
        let count = |found: &[Vec<Cell>]| found.iter().map(Vec::len).sum::<usize>();
        let is_cut = count(&rolled).max(count(&raw)) > most;
        let told = rolled.into_iter().zip(raw).map(|(rolled, raw)| {
            let mut cells = sums(rolled.into_iter().chain(raw));
            if asked.by_bucket {
                cells.extend(sums(cells.iter().cloned().map(|cell| Cell { bucket: None, ..cell })));
            }
            Told { cells, source, is_cut }
        });
        Ok(told.collect())
    }

    /// What some parts come to, put together, of each account; with totals beside the buckets where they are wanted.
    async fn cells(
        &self,
        accounts: Accounts<'_>,
        asked: &Asked<'_>,
        parts: &[&Part<'_>],
        has_totals: bool,
    ) -> Result<Vec<Vec<Cell>>, WarehouseError> {
        let mut statement = statement(accounts, asked, parts, has_totals);
        if parts.iter().any(|part| matches!(part, Part::Rolled { .. })) {
            statement.by_one_thread();
        }
        let rows: Result<Vec<FoundCell>, _> = timeout_at(asked.deadline, self.ask(&statement))
            .await
            .map_err(|_| WarehouseError::OverLimits("the time of one question is up".to_owned()))?;
        let indexes: HashMap<&str, usize> =
            accounts.iter().enumerate().map(|(index, account)| (*account, index)).collect();
        let mut found = vec![Vec::new(); accounts.len()];
        for row in rows? {
            let index = if accounts.len() > 1 { indexes.get(&*row.account).copied() } else { Some(0) };
            if let Some(index) = index {
                found[index].push(cell(row, asked));
            }
        }
        Ok(found)
    }
}

/// One cell for each measure, key and bucket, where states add up.
fn sums(cells: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let mut sums: BTreeMap<(usize, Key, Option<i64>), State> = BTreeMap::new();
    for Cell { measure, key, bucket, state } in cells {
        sums.entry((measure, key, bucket)).or_default().add(&state);
    }
    let cell = |((measure, key, bucket), state)| Cell { measure, key, bucket, state };
    sums.into_iter().map(cell).collect()
}

/// Measures that are read together, each with its place among those asked for.
#[derive(PartialEq)]
enum Part<'q> {
    /// From the events.
    Raw { measures: Vec<Placed<'q>>, ranges: Vec<Range> },
    /// From series that are split by the same dimensions.
    Rolled { series: Vec<(i64, Series)>, pieces: Vec<Piece> },
}

impl<'q> Asked<'q> {
    fn parts(&self, tenant: &Tenant<'_>) -> Vec<Part<'q>> {
        let Tenant { kept, rollups, .. } = tenant;
        let range = self.buckets.range;
        let mut rolled: BTreeMap<Vec<String>, Vec<(i64, Series)>> = BTreeMap::new();
        let mut raw: Vec<(Vec<Range>, i64, &'q Measure)> = Vec::new();
        for (measure, place) in self.measures.iter().zip(0_i64..) {
            match self.series_of(measure, &kept[usize::try_from(place).unwrap_or(0)], rollups) {
                Some(series) => rolled.entry(series.dimensions.clone()).or_default().push((place, series)),
                None => raw.push((vec![range], place, measure)),
            }
        }
        let mut parts = Vec::new();
        for (dimensions, series) in rolled {
            let pieces = match &rollups.freshness {
                Some(freshness) => cover(range, &self.buckets.starts, freshness, dimensions.len()),
                None => vec![Piece { grain: None, range }],
            };
            let ranges: Vec<Range> =
                pieces.iter().filter(|piece| piece.grain.is_none()).map(|piece| piece.range).collect();
            if !ranges.is_empty() {
                let measure = |place: i64| &self.measures[usize::try_from(place).unwrap_or(0)];
                raw.extend(series.iter().map(|(place, _)| (ranges.clone(), *place, measure(*place))));
            }
            if pieces.iter().any(|piece| piece.grain.is_some()) {
                parts.push(Part::Rolled { series, pieces });
            }
        }
        // What is read of the same time and told apart in the same way takes one look.
        let mut looks: Vec<(Vec<Range>, Vec<Placed<'_>>)> = Vec::new();
        for (ranges, place, measure) in raw {
            let fits = |(others, measures): &&mut (Vec<Range>, Vec<Placed<'_>>)| {
                *others == ranges && measures.iter().all(|(_, other)| objects_of(other) == objects_of(measure))
            };
            match looks.iter_mut().find(fits) {
                Some((_, measures)) => measures.push((place, measure)),
                None => looks.push((ranges, vec![(place, measure)])),
            }
        }
        parts.extend(looks.into_iter().map(|(ranges, measures)| Part::Raw { measures, ranges }));
        parts
    }
}

/// States by measure, key and bucket, and with totals for the whole range too. ClickHouse takes longer to understand a statement than to
/// read some thousand rows, so it has no column and no subquery that it can do without.
fn statement(accounts: Accounts<'_>, asked: &Asked<'_>, parts: &[&Part<'_>], has_totals: bool) -> Statement {
    let columns = columns_of(asked.measures.iter());
    let has_objects = columns.contains(&Column::Object);
    let has_accounts = accounts.len() > 1;
    let mut statement = Statement::default();
    if has_objects {
        // Within an object the latest value counts; then objects add up.
        statement.push(
            "SELECT account, place, whole, bucket, other, key, sum(ns), sum(totals), min(lows), max(highs), sum(uniques), \
             any(distribution), sum(level) FROM (",
        );
    }
    let all: [(bool, &'static str, &'static str); 5] = [
        (
            has_totals,
            "toUInt8(grouping(bucket)) AS whole",
            if asked.by_bucket { "toUInt8(0) AS whole" } else { "toUInt8(1) AS whole" },
        ),
        (asked.by_bucket, "bucket", "toInt64(0) AS bucket"),
        (asked.only.is_some(), "other", "toUInt8(0) AS other"),
        (!asked.group_by.is_empty(), "key", "CAST([], 'Array(Nullable(String))') AS key"),
        (true, "sum(n) AS ns", ""),
    ];
    let values: [(Column, &'static str, &'static str); 5] = [
        (Column::Total, "sum(total) AS totals", "toFloat64(0) AS totals"),
        (Column::Low, "min(low) AS lows", "toFloat64(0) AS lows"),
        (Column::High, "max(high) AS highs", "toFloat64(0) AS highs"),
        (Column::Hashes, "uniqExactArray(hashes) AS uniques", "toUInt64(0) AS uniques"),
        (
            Column::Bins,
            "sumMap(bins) AS distribution",
            "(CAST([], 'Array(Int32)'), CAST([], 'Array(UInt64)')) AS distribution",
        ),
    ];
    statement.push(if has_accounts {
        "SELECT toString(account) AS account, place"
    } else {
        "SELECT '' AS account, place"
    });
    for (has, present, absent) in
        all.into_iter().chain(values.map(|(column, present, absent)| (columns.contains(&column), present, absent)))
    {
        statement.push(", ").push(if has { present } else { absent });
    }
    level(&mut statement, asked);
    statement.push(" FROM (");
    match asked.only {
        None => read(&mut statement, accounts, asked, parts, &columns, "key"),
        Some(only) => {
            let values = |key: &Key| match key {
                Key::Group(values) => Some(values.clone()),
                Key::All | Key::Other => None,
            };
            let keys: Vec<Vec<Option<String>>> = only.iter().filter_map(values).collect();
            statement.push("SELECT place, ").push(if has_accounts { "account, " } else { "" });
            statement.push(if asked.by_bucket { "bucket, " } else { "" });
            statement.push("toUInt8(full_key NOT IN (SELECT arrayJoin(").key_list(&keys).push("))) AS other, ");
            statement.push("if(other, CAST([], 'Array(Nullable(String))'), full_key) AS key");
            named(&mut statement, &columns);
            statement.push(" FROM (");
            read(&mut statement, accounts, asked, parts, &columns, "full_key");
            statement.push(")");
        }
    }
    let keys = |statement: &mut Statement| {
        statement.push("place").push(if has_accounts { ", account" } else { "" }).push(if asked.only.is_some() {
            ", other"
        } else {
            ""
        });
        statement.push(if asked.group_by.is_empty() { "" } else { ", key" });
        statement.push(if has_objects { ", object" } else { "" });
    };
    statement.push(if has_totals { ") GROUP BY GROUPING SETS ((" } else { ") GROUP BY " });
    keys(&mut statement);
    statement.push(if asked.by_bucket { ", bucket" } else { "" });
    if has_totals {
        statement.push("), (");
        keys(&mut statement);
        statement.push("))");
    }
    if has_objects {
        statement.push(") GROUP BY account, place, whole, bucket, other, key");
    }
    if let Some(most) = asked.most {
        statement.push(" LIMIT ").integer(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
    }
    statement
}

/// The first or last value.
fn level(statement: &mut Statement, asked: &Asked<'_>) {
    let places = |wanted: fn(&Of) -> bool| {
        let places = asked.measures.iter().zip(0_i64..).filter(move |(measure, _)| wanted(&measure.of));
        places.map(|(_, place)| place).collect::<Vec<_>>()
    };
    let firsts = places(|of| matches!(of, Of::First { .. }));
    let lasts = places(|of| matches!(of, Of::Last { .. }));
    statement.push(", ");
    match (firsts.is_empty(), lasts.is_empty()) {
        (true, true) => statement.push("toFloat64(0)"),
        (true, false) => statement.push("argMax(total, (at, total))"),
        (false, true) => statement.push("argMin(total, (at, total))"),
        (false, false) => statement
            .push("if(has(")
            .integers(&firsts)
            .push(", place), argMin(total, (at, total)), argMax(total, (at, total)))"),
    };
    statement.push(" AS level");
}

/// Selects `place`, `bucket` and the key where they are wanted, and the columns, of all parts.
fn read(
    statement: &mut Statement,
    accounts: Accounts<'_>,
    asked: &Asked<'_>,
    parts: &[&Part<'_>],
    columns: &[Column],
    key_name: &'static str,
) {
    for (number, part) in parts.iter().enumerate() {
        statement.push(if number > 0 { " UNION ALL " } else { "" });
        match part {
            Part::Raw { measures, ranges } => {
                let bucket = asked.by_bucket.then_some(Bucket::Starts(&asked.buckets.starts));
                let dimensions = asked.group_by;
                let scan = Scan { accounts, measures, dimensions, bucket, columns, sets: None };
                scan.select(statement, key_name, |statement| {
                    within(statement, "timestamp", ranges, MOST_RANGES);
                    statement.push(" AND ");
                    condition(statement, read::Source::Events, asked.filter);
                });
            }
            Part::Rolled { series, pieces } => {
                rolled(statement, accounts, asked, series, pieces, columns, key_name);
            }
        }
    }
}

fn rolled(
    statement: &mut Statement,
    accounts: Accounts<'_>,
    asked: &Asked<'_>,
    series: &[(i64, Series)],
    pieces: &[Piece],
    columns: &[Column],
    key_name: &'static str,
) {
    let Some((_, first)) = series.first() else { return };
    let source = read::Source::Key(&first.dimensions);
    let ids: Vec<u64> = series.iter().map(|(_, series)| series.id()).collect();
    let places: Vec<i64> = series.iter().map(|(place, _)| *place).collect();
    statement.push("SELECT transform(series, ").ids(&ids).push(", ").integers(&places).push(", toInt64(0)) AS place");
    statement.push(if accounts.len() > 1 { ", account_id AS account" } else { "" });
    if asked.by_bucket {
        statement.push(", ");
        Bucket::Starts(&asked.buckets.starts).of(statement, "toInt64(toUnixTimestamp(rollups.bucket)) * 1000");
        statement.push(" AS bucket");
    }
    for (place, path) in asked.group_by.iter().enumerate() {
        statement.push(if place == 0 { ", [" } else { ", " });
        read::text(statement, source, path);
    }
    if !asked.group_by.is_empty() {
        statement.push("] AS ").push(key_name);
    }
    named(statement, columns);
    unfold(statement, columns, !asked.group_by.is_empty() || !asked.filter.paths().is_empty());
    statement.push(" WHERE ");
    of_accounts(statement, accounts);
    statement.push(" AND series IN ").ids(&ids).push(" AND (");
    let mut by_grain: BTreeMap<Grain, Vec<Range>> = BTreeMap::new();
    for piece in pieces {
        if let Some(grain) = piece.grain {
            by_grain.entry(grain).or_default().push(piece.range);
        }
    }
    for (place, (grain, ranges)) in by_grain.iter().enumerate() {
        statement.push(if place > 0 { " OR (grain = " } else { "(grain = " }).integer(grain.seconds().into());
        statement.push(" AND ");
        within(statement, "rollups.bucket", ranges, MOST_STORED_RANGES);
        statement.push(")");
    }
    statement.push(") AND ");
    condition(statement, source, asked.filter);
}

fn cell(row: FoundCell, asked: &Asked<'_>) -> Cell {
    let measure = usize::try_from(row.place).unwrap_or(0);
    let key = match (row.other, asked.group_by.is_empty()) {
        (_, true) => Key::All,
        (0, false) => Key::Group(row.key),
        (_, false) => Key::Other,
    };
    let is_level = matches!(asked.measures[measure].of, Of::First { .. } | Of::Last { .. });
    let state = State {
        count: row.n,
        sum: if is_level { row.level } else { row.total },
        low: row.low,
        high: row.high,
        uniques: row.uniques,
        bins: row.bins.0.into_iter().zip(row.bins.1).collect(),
    };
    Cell { measure, key, bucket: (row.whole == 0).then_some(row.bucket), state }
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::{buckets::Range, parse_filter};

    use super::*;

    #[test]
    fn nothing_that_a_user_says_becomes_part_of_the_statement() {
        let evil = "x') OR 1=1 --`{p0:String}?";
        let quoted = format!("\"{evil}\"");
        let tests = ["=", "!=", "<", ">=", "contains"].map(|test| format!("{quoted} {test} {quoted}"));
        let text = format!("({}) and {quoted} in ({quoted}, 5) and {quoted} exists", tests.join(" or "));
        let filter = parse_filter(&text).expect("can be read");
        let name = || evil.to_owned();
        let buckets = Buckets::whole(Range { from: 0, to: 7_200_000 });
        let measures: Vec<Measure> = [
            Of::Events,
            Of::Numbers(name()),
            Of::Distribution(name()),
            Of::Uniques(name()),
            Of::Currencies(name()),
            Of::First { property: name(), objects: vec![name(), name()] },
            Of::Last { property: name(), objects: vec![name()] },
        ]
        .map(|of| Measure { event_name: name(), filter: filter.clone(), of })
        .to_vec();
        let asked = Asked {
            measures: &measures,
            buckets: &buckets,
            group_by: &[name()],
            filter: &filter,
            only: Some(&[Key::Group(vec![Some(name()), None])]),
            by_bucket: true,
            most: Some(7),
            deadline: Instant::now(),
        };
        let measures: Vec<Placed<'_>> = (0..).zip(&measures).collect();
        let series = measures
            .iter()
            .map(|(place, measure)| (*place, Series { measure: (*measure).clone(), dimensions: vec![name()] }));
        let parts = [
            Part::Rolled {
                series: series.collect(),
                pieces: vec![Piece { grain: Some(Grain::Hour), range: buckets.range }],
            },
            Part::Raw { measures, ranges: vec![buckets.range] },
        ];
        let parts: Vec<&Part<'_>> = parts.iter().collect();
        for accounts in [&[evil][..], &[evil, "shop"]] {
            let statement = super::statement(accounts, &asked, &parts, true);
            let sql = statement.sql();
            assert!(!sql.contains("1=1") && !sql.contains("--"), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_question_whose_time_is_up_is_over_the_limits() {
        // It takes connections and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", silent.local_addr().expect("an address"));
        let lookup = |key: &str| (key == "CLICKHOUSE_URL").then(|| url.clone());
        let warehouse = EventWarehouse::from_lookup(&lookup).expect("is set");
        let measures = [Measure { event_name: "sent".to_owned(), filter: Filter::EVERYTHING, of: Of::Events }];
        let asked = Asked {
            measures: &measures,
            buckets: &Buckets::whole(Range { from: 0, to: 1 }),
            group_by: &[],
            filter: &Filter::EVERYTHING,
            only: None,
            by_bucket: false,
            most: None,
            deadline: Instant::now() + std::time::Duration::from_millis(50),
        };
        let tenant = Tenant { account_id: "shop", kept: &[Vec::new()], rollups: &Rollups::default() };
        let answer = warehouse.measure(&[tenant], &asked).await.pop();
        assert!(matches!(answer, Some(Err(WarehouseError::OverLimits(_)))), "{answer:?}");
    }
}
