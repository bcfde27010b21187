//! Answers: what they are read from, and whom they share a statement with.

use std::collections::{BTreeMap, HashMap};

use analytics_domain::{
    account::AccountId,
    metric::{
        Aliases, Cell, Filter, Key, Measure, Of, Piece, Series, State,
        buckets::{Buckets, Range},
        cover,
    },
};
use clickhouse::Row;
use futures_util::stream::{self, StreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    Rollups,
    carried::{Carried, with_what_was},
    select::statement,
    states::{Accounts, Placed, objects_of},
};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Accounts that one statement asks about, at most.
const ACCOUNTS: usize = 200;

/// Measures and buckets that one statement gives of all its accounts, at most; those of one account are given whatever their number.
const CELLS: usize = 500_000;

/// Statements that run at the same time, so that one that takes long holds up only some of the others.
const STATEMENTS: usize = 4;

/// Measures over time.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    pub measures: &'q [Measure],
    pub buckets: &'q Buckets,
    /// Properties to split by.
    pub group_by: &'q [String],
    /// What events must meet besides the measures' own conditions.
    pub filter: &'q Filter,
    /// Which ids mean the same group. The filters know of them already.
    pub aliases: &'q Aliases,
    /// Only these keys by themselves, the others put together.
    pub only: Option<&'q [Key]>,
    /// Whether buckets are wanted, or totals only.
    pub by_bucket: bool,
    /// Cells that are worth having, of all accounts of a statement.
    pub most: Option<usize>,
    /// When the time of the whole question is up, of which this may be a part.
    pub deadline: Instant,
}

/// Whose events a question is about, and what is known of their rollups.
#[derive(Clone, Copy, Debug)]
pub struct Tenant<'q> {
    pub account_id: &'q AccountId,
    /// For each measure, the splits that may be kept: lists of dimensions.
    pub kept: &'q [Vec<Vec<String>>],
    pub rollups: &'q Rollups,
}

/// Where the answer was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Computes measures over time, of each of these accounts, in their order.
    pub async fn measure(&self, tenants: &[Tenant<'_>], asked: &Asked<'_>) -> Vec<Result<Told, WarehouseError>> {
        let carried = Carried::of(asked.measures);
        if carried.is_empty() {
            return self.measure_all(tenants, asked, None).await;
        }
        let (kept, others) =
            tokio::join!(self.measure_kept(tenants, asked), self.measure_carried(tenants, asked, &carried),);
        let both = |(kept, others): (Result<Option<Told>, _>, Result<Told, _>)| {
            let (kept, mut told) = (kept?, others?);
            if let Some(kept) = kept {
                told.cells.extend(kept.cells);
                told.is_cut |= kept.is_cut;
                told.source = if told.source == kept.source { kept.source } else { Source::Both };
            }
            Ok(told)
        };
        kept.into_iter().zip(others).map(both).collect()
    }

    /// Those of the measures that are kept; none if there are none.
    async fn measure_kept(
        &self,
        tenants: &[Tenant<'_>],
        asked: &Asked<'_>,
    ) -> Vec<Result<Option<Told>, WarehouseError>> {
        let places: Vec<usize> =
            (0..asked.measures.len()).filter(|place| asked.measures[*place].parts().is_none()).collect();
        if places.is_empty() {
            return tenants.iter().map(|_| Ok(None)).collect();
        }
        let measures: Vec<Measure> = places.iter().map(|place| asked.measures[*place].clone()).collect();
        let kept: Vec<Vec<_>> =
            tenants.iter().map(|tenant| places.iter().map(|place| tenant.kept[*place].clone()).collect()).collect();
        let tenants: Vec<Tenant<'_>> =
            tenants.iter().zip(&kept).map(|(tenant, kept)| Tenant { kept, ..*tenant }).collect();
        let asked = Asked { measures: &measures, ..*asked };
        let in_place = |mut told: Told| {
            told.cells.iter_mut().for_each(|cell| cell.measure = places[cell.measure]);
            Some(told)
        };
        let found = self.measure_all(&tenants, &asked, None).await;
        found.into_iter().map(|told| told.map(in_place)).collect()
    }

    /// Those that are not kept.
    async fn measure_carried(
        &self,
        tenants: &[Tenant<'_>],
        asked: &Asked<'_>,
        carried: &Carried,
    ) -> Vec<Result<Told, WarehouseError>> {
        let kept: Vec<Vec<_>> = tenants.iter().map(|tenant| carried.kept(tenant)).collect();
        let tenants: Vec<Tenant<'_>> =
            tenants.iter().zip(&kept).map(|(tenant, kept)| Tenant { kept, ..*tenant }).collect();
        let buckets = with_what_was(asked.buckets);
        let found = self.measure_all(&tenants, &carried.asked(asked, &buckets), Some(carried)).await;
        found.into_iter().map(|told| told.map(|told| carried.tell(told, asked))).collect()
    }

    /// Accounts whose answers are read of the same series and events take one statement together. If that is too much for one
    /// statement, each takes one by itself, so that a large account does not fail the others.
    async fn measure_all(
        &self,
        tenants: &[Tenant<'_>],
        asked: &Asked<'_>,
        carried: Option<&Carried>,
    ) -> Vec<Result<Told, WarehouseError>> {
        let cells = asked.measures.len().max(1) * if asked.by_bucket { asked.buckets.starts.len() + 1 } else { 1 };
        let most = (CELLS / cells).clamp(1, ACCOUNTS);
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (index, tenant) in tenants.iter().enumerate() {
            let parts = asked.parts(tenant);
            let fits = |group: &&mut Group<'_>| {
                group.members.len() < most
                    && group.parts == parts
                    && group.members.iter().all(|(_, account)| *account != tenant.account_id)
            };
            match groups.iter_mut().find(fits) {
                Some(group) => group.members.push((index, tenant.account_id)),
                None => groups.push(Group { parts, members: vec![(index, tenant.account_id)] }),
            }
        }
        let groups: Vec<_> = groups.iter().map(|group| self.measure_group(group, asked, carried)).collect();
        let found: Vec<Vec<_>> = stream::iter(groups).buffer_unordered(STATEMENTS).collect().await;
        let mut found: Vec<(usize, Result<Told, WarehouseError>)> = found.into_iter().flatten().collect();
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, told)| told).collect()
    }

    /// The answers of a group, each with the index of its account.
    async fn measure_group(
        &self,
        group: &Group<'_>,
        asked: &Asked<'_>,
        carried: Option<&Carried>,
    ) -> Vec<(usize, Result<Told, WarehouseError>)> {
        let Group { parts, members } = group;
        let accounts: Vec<&AccountId> = members.iter().map(|(_, account)| *account).collect();
        let indexes = members.iter().map(|(index, _)| *index);
        let is_alone = members.len() == 1;
        match self.measure_together(&accounts, parts, asked, carried).await {
            Ok(all) if is_alone || all.iter().all(|told| !told.is_cut) => {
                indexes.zip(all.into_iter().map(Ok)).collect()
            }
            Err(error) if is_alone || error.concerns_others() => {
                indexes.map(|index| (index, Err(error.clone()))).collect()
            }
            _ => {
                let mut found = Vec::with_capacity(members.len());
                for (index, account) in members {
                    match self.measure_together(&[account], parts, asked, carried).await {
                        Ok(one) => found.extend(one.into_iter().map(|told| (*index, Ok(told)))),
                        Err(error) => found.push((*index, Err(error))),
                    }
                }
                found
            }
        }
    }

    async fn measure_together(
        &self,
        accounts: Accounts<'_>,
        parts: &[Part<'_>],
        asked: &Asked<'_>,
        carried: Option<&Carried>,
    ) -> Result<Vec<Told>, WarehouseError> {
        let (raw, rolled): (Vec<&Part<'_>>, Vec<&Part<'_>>) =
            parts.iter().partition(|part| matches!(part, Part::Raw { .. }));
        let source = match (rolled.is_empty(), raw.is_empty()) {
            (true, _) => Source::Events,
            (false, true) => Source::Rollups,
            (false, false) => Source::Both,
        };
        let adds_up = asked.measures.iter().all(|measure| measure.of.adds_up());
        let most = asked.most.unwrap_or(usize::MAX);
        if !adds_up {
            let parts: Vec<&Part<'_>> = rolled.into_iter().chain(raw).collect();
            let statement = match carried {
                None => statement(accounts, asked, &parts, asked.by_bucket),
                Some(carried) => carried.statement(accounts, asked, &parts),
            };
            let found = self.cells(accounts, asked, &parts, statement).await?;
            let is_cut = found.iter().map(Vec::len).sum::<usize>() > most;
            return Ok(found.into_iter().map(|cells| Told { cells, source, is_cut }).collect());
        }
        // What adds up is asked for in two statements at once, since most of what one takes is to be understood.
        let one = async |parts: &[&Part<'_>]| match parts.is_empty() {
            true => Ok(vec![Vec::new(); accounts.len()]),
            false => self.cells(accounts, asked, parts, statement(accounts, asked, parts, false)).await,
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

    /// What a statement over some parts finds, of each account.
    async fn cells(
        &self,
        accounts: Accounts<'_>,
        asked: &Asked<'_>,
        parts: &[&Part<'_>],
        mut statement: Statement,
    ) -> Result<Vec<Vec<Cell>>, WarehouseError> {
        if parts.iter().any(|part| matches!(part, Part::Rolled { .. })) {
            statement.by_one_thread();
        }
        let rows: Result<Vec<FoundCell>, _> = timeout_at(asked.deadline, self.ask(&statement))
            .await
            .map_err(|_| WarehouseError::OverLimits("the time of one question is up".to_owned()))?;
        let indexes: HashMap<&str, usize> =
            accounts.iter().enumerate().map(|(index, account)| (account.as_str(), index)).collect();
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

/// Accounts whose answers are read of the same, each with its index among the tenants.
struct Group<'q> {
    parts: Vec<Part<'q>>,
    members: Vec<(usize, &'q AccountId)>,
}

/// Measures that are read together, each with its place among those asked for.
#[derive(PartialEq)]
pub(super) enum Part<'q> {
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

fn cell(row: FoundCell, asked: &Asked<'_>) -> Cell {
    let measure = usize::try_from(row.place).unwrap_or(0);
    let key = match (row.other, asked.group_by.is_empty()) {
        (_, true) => Key::All,
        (0, false) => Key::Group(row.key),
        (_, false) => Key::Other,
    };
    let is_level = matches!(
        asked.measures.get(measure).map(|measure| &measure.of),
        Some(Of::First { .. } | Of::Last { .. } | Of::LastWithin { .. })
    );
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
    use analytics_domain::metric::{Filter, buckets::Range};

    use super::*;

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
            aliases: &Aliases::default(),
            only: None,
            by_bucket: false,
            most: None,
            deadline: Instant::now() + std::time::Duration::from_millis(50),
        };
        let shop = AccountId::stored("shop");
        let tenant = Tenant { account_id: &shop, kept: &[Vec::new()], rollups: &Rollups::default() };
        let answer = warehouse.measure(&[tenant], &asked).await.pop();
        assert!(matches!(answer, Some(Err(WarehouseError::OverLimits(_)))), "{answer:?}");
    }
}
