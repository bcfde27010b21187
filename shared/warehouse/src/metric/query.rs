//! Answers: states of measures by bucket and key.

use std::collections::HashMap;

use analytics_domain::metric::{
    Cell, Filter, Freshness, Grain, Key, Measure, Of, Piece, Series, State,
    buckets::{Buckets, Range},
    cover,
};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{
    read::{self, condition},
    states::{self, Bucket, key, of_events, within},
};
use crate::{EventWarehouse, WarehouseError, statement::Statement};

/// Parts of a time range that one statement reads from. A range in more pieces is read from the events.
const MOST_PIECES: usize = 200;

/// Measures over time.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    pub measures: &'q [Measure],
    pub buckets: &'q Buckets,
    /// Properties to split by.
    pub group_by: &'q [String],
    /// What events must meet besides the measures' own conditions.
    pub filter: &'q Filter,
    /// For each measure, the splits that may be kept: lists of dimensions.
    pub kept: &'q [Vec<Vec<String>>],
    /// Only these keys by themselves, the others put together.
    pub only: Option<&'q [Key]>,
    /// Whether buckets are wanted, or totals only.
    pub by_bucket: bool,
    /// Epoch milliseconds.
    pub now: i64,
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
}

#[derive(Deserialize, Row)]
struct FoundCell {
    place: u8,
    whole: u8,
    bucket: i64,
    other: u8,
    key: Vec<Option<String>>,
    n: u64,
    total: f64,
    low: f64,
    high: f64,
    uniques: u64,
    bins: Vec<i32>,
    bin_counts: Vec<u64>,
    level: f64,
}

impl EventWarehouse {
    /// Computes measures over time.
    ///
    /// # Errors
    /// If ClickHouse does not answer, or not within the limits of one question.
    pub async fn measure(&self, account_id: &str, asked: &Asked<'_>) -> Result<Told, WarehouseError> {
        let needed: Vec<&str> = asked.group_by.iter().map(String::as_str).chain(asked.filter.paths()).collect();
        // Rollups keep the text of properties only.
        let usable = asked.filter.reads_text_only();
        let series: Vec<Option<Series>> = asked
            .measures
            .iter()
            .zip(asked.kept)
            .map(|(measure, kept)| {
                let fits = |set: &&Vec<String>| needed.iter().all(|path| set.iter().any(|kept| kept == path));
                let set = kept.iter().filter(fits).min_by_key(|set| set.len()).filter(|_| usable)?;
                Some(Series { measure: measure.clone(), dimensions: set.clone() })
            })
            .collect();
        let ids: Vec<u64> = series.iter().flatten().map(Series::id).collect();
        let range = asked.buckets.range;
        let odd: Vec<i64> =
            asked.buckets.starts.iter().copied().filter(|start| Grain::Hour.floor(*start) != *start).collect();
        let events_only = [Piece { grain: None, range }];
        let known = match ids.is_empty() {
            true => None,
            false => Some(self.known(account_id, range, &odd, &ids, asked.now).await?),
        };
        let freshness = known.as_ref().and_then(|known| known.freshness.as_ref());
        let (mut rolled, mut raw) = (false, false);
        let mut statement = Statement::default();
        merged(&mut statement, asked, |statement| {
            let mut is_first = true;
            for (place, (measure, series)) in asked.measures.iter().zip(&series).enumerate() {
                let ready = series
                    .as_ref()
                    .filter(|series| known.as_ref().is_some_and(|known| known.ready.contains(&series.id())));
                let pieces = match (ready, freshness) {
                    (Some(series), Some(freshness)) => {
                        pieces(range, &odd, freshness, Grain::kept_of(series.dimensions.len()))
                    }
                    _ => events_only.to_vec(),
                };
                if let Some(series) = ready
                    && pieces.iter().any(|piece| piece.grain.is_some())
                {
                    union(statement, &mut is_first);
                    of_rollups(statement, account_id, place, series, asked, &pieces);
                    rolled = true;
                }
                let ranges: Vec<Range> =
                    pieces.iter().filter(|piece| piece.grain.is_none()).map(|piece| piece.range).collect();
                if !ranges.is_empty() {
                    union(statement, &mut is_first);
                    of_raw(statement, account_id, place, measure, asked, &ranges);
                    raw = true;
                }
            }
        });
        let rows: Vec<FoundCell> = self.ask(&statement).await?;
        let cells = rows.into_iter().map(|row| cell(row, asked)).collect();
        let source = match (rolled, raw) {
            (true, true) => Source::Both,
            (true, false) => Source::Rollups,
            _ => Source::Events,
        };
        Ok(Told { cells, source })
    }
}

fn union(statement: &mut Statement, is_first: &mut bool) {
    if !std::mem::take(is_first) {
        statement.push(" UNION ALL ");
    }
}

fn pieces(range: Range, cuts: &[i64], freshness: &Freshness, grains: &[Grain]) -> Vec<Piece> {
    let pieces = cover(range, cuts, freshness, grains);
    if pieces.len() <= MOST_PIECES {
        return pieces;
    }
    // Much is stale, or the buckets are finer than what is kept: the events hold the answer.
    let whole: Vec<Piece> = pieces.iter().copied().filter(|piece| piece.grain == Some(Grain::Hour)).collect();
    if whole.is_empty() || whole.len() > MOST_PIECES / 2 {
        return vec![Piece { grain: None, range }];
    }
    // What lies between the whole hours.
    let mut merged: Vec<Piece> = Vec::new();
    let mut from = range.from;
    for piece in whole {
        if from < piece.range.from {
            merged.push(Piece { grain: None, range: Range { from, to: piece.range.from } });
        }
        from = piece.range.to;
        merged.push(piece);
    }
    if from < range.to {
        merged.push(Piece { grain: None, range: Range { from, to: range.to } });
    }
    merged
}

/// States of the parts that `parts` selects, put together: by bucket if that is wanted, and for the whole range.
fn merged(statement: &mut Statement, asked: &Asked<'_>, parts: impl FnOnce(&mut Statement)) {
    let has = |wanted: fn(&Of) -> bool| asked.measures.iter().any(|measure| wanted(&measure.of));
    let first = has(|of| matches!(of, Of::First { .. }));
    let last = has(|of| matches!(of, Of::Last { .. }));
    // Within an object the latest value counts; then objects add up.
    statement.push(
        "SELECT place, whole, bucket, other, key, sum(ns), sum(totals), min(lows), max(highs), sum(uniques), \
         any(distribution.1), any(distribution.2), sum(level) FROM (SELECT place, ",
    );
    statement.push(if asked.by_bucket { "toUInt8(grouping(bucket))" } else { "toUInt8(1)" });
    statement.push(" AS whole, ");
    statement.push(if asked.by_bucket { "bucket" } else { "toInt64(0) AS bucket" });
    statement.push(", other, key, object, sum(n) AS ns, sum(total) AS totals, min(low) AS lows, max(high) AS highs, ");
    statement.push(match has(|of| matches!(of, Of::Uniques(_))) {
        true => "uniqExactArray(hashes) AS uniques, ",
        false => "toUInt64(0) AS uniques, ",
    });
    statement.push(match has(|of| matches!(of, Of::Distribution(_))) {
        true => "sumMap(bins) AS distribution, ",
        false => "any(bins) AS distribution, ",
    });
    let firsts: Vec<u64> = places(asked, |of| matches!(of, Of::First { .. }));
    match (first, last) {
        (true, true) => {
            statement.push("if(has(").ids(&firsts).push(", place), argMin(total, at), argMax(total, at)) AS level");
        }
        (true, false) => drop(statement.push("argMin(total, at) AS level")),
        (false, true) => drop(statement.push("argMax(total, at) AS level")),
        (false, false) => drop(statement.push("toFloat64(0) AS level")),
    }
    statement.push(" FROM (SELECT place, bucket, ");
    match asked.only {
        None => drop(statement.push("toUInt8(0) AS other, key, ")),
        Some(only) => {
            let keys: Vec<Vec<Option<String>>> = only
                .iter()
                .filter_map(|key| match key {
                    Key::Group(values) => Some(values.clone()),
                    Key::All | Key::Other => None,
                })
                .collect();
            statement.push("toUInt8(full_key NOT IN (SELECT arrayJoin(").key_list(&keys).push("))) AS other, ");
            statement.push("if(other, CAST([], 'Array(Nullable(String))'), full_key) AS key, ");
        }
    }
    statement.push("object, ").push(states::VALUES).push(" FROM (SELECT place, bucket, ");
    statement.push(if asked.only.is_some() { "key AS full_key" } else { "key" });
    statement.push(", object, ").push(states::VALUES).push(" FROM (");
    parts(statement);
    statement.push("))) GROUP BY ");
    statement.push(match asked.by_bucket {
        true => "GROUPING SETS ((place, other, key, object, bucket), (place, other, key, object))",
        false => "place, other, key, object",
    });
    statement.push(") GROUP BY place, whole, bucket, other, key");
}

fn places(asked: &Asked<'_>, wanted: fn(&Of) -> bool) -> Vec<u64> {
    let places = asked.measures.iter().zip(0..).filter(|(measure, _)| wanted(&measure.of));
    places.map(|(_, place)| place).collect()
}

fn of_raw(
    statement: &mut Statement,
    account_id: &str,
    place: usize,
    measure: &Measure,
    asked: &Asked<'_>,
    ranges: &[Range],
) {
    let measure = Measure { filter: measure.filter.clone().and(asked.filter), ..measure.clone() };
    statement.push("SELECT toUInt8(").integer(i64::try_from(place).unwrap_or(0)).push(") AS place, bucket, ");
    key(statement, asked.group_by.len());
    statement.push(" AS key, object, ").push(states::VALUES).push(" FROM (");
    of_events(
        statement,
        account_id,
        &measure,
        asked.group_by,
        Bucket::Starts(&asked.buckets.starts),
        |statement| within(statement, "timestamp", ranges),
        None,
    );
    statement.push(")");
}

fn of_rollups(
    statement: &mut Statement,
    account_id: &str,
    place: usize,
    series: &Series,
    asked: &Asked<'_>,
    pieces: &[Piece],
) {
    let source = read::Source::Key(&series.dimensions);
    statement.push("SELECT toUInt8(").integer(i64::try_from(place).unwrap_or(0)).push(") AS place, ");
    Bucket::Starts(&asked.buckets.starts).of(statement, "toInt64(toUnixTimestamp(rollups.bucket)) * 1000");
    statement.push(" AS bucket, ");
    if asked.group_by.is_empty() {
        key(statement, 0);
    } else {
        for (place, path) in asked.group_by.iter().enumerate() {
            statement.push(if place == 0 { "[" } else { ", " });
            read::text(statement, source, path);
        }
        statement.push("]");
    }
    statement.push(" AS key, object, ").push(states::VALUES);
    statement.push(
        " FROM rollups FINAL ARRAY JOIN keys AS k, objects AS object, ns AS n, totals AS total, lows AS low, highs AS \
         high, bin_lists AS bins, hash_lists AS hashes, ats AS at WHERE account_id = ",
    );
    statement.text(account_id).push(" AND series = ").id(series.id()).push(" AND (");
    let mut by_grain: HashMap<u8, Vec<Range>> = HashMap::new();
    for piece in pieces {
        if let Some(grain) = piece.grain {
            by_grain.entry(grain.minutes()).or_default().push(piece.range);
        }
    }
    let mut is_first = true;
    for grain in Grain::ALL {
        let Some(ranges) = by_grain.get(&grain.minutes()) else { continue };
        statement.push(if std::mem::take(&mut is_first) { "(grain = " } else { " OR (grain = " });
        statement.integer(grain.minutes().into()).push(" AND ");
        within(statement, "rollups.bucket", ranges);
        statement.push(")");
    }
    statement.push(") AND ");
    condition(statement, source, asked.filter);
}

fn cell(row: FoundCell, asked: &Asked<'_>) -> Cell {
    let measure = usize::from(row.place);
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
        bins: row.bins.into_iter().zip(row.bin_counts).collect(),
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
            Of::First { property: name(), object: Some(name()) },
            Of::Last { property: name(), object: Some(name()) },
        ]
        .map(|of| Measure { event_name: name(), filter: filter.clone(), of })
        .to_vec();
        let asked = Asked {
            measures: &measures,
            buckets: &buckets,
            group_by: &[name()],
            filter: &filter,
            kept: &[],
            only: Some(&[Key::Group(vec![Some(name()), None])]),
            by_bucket: true,
            now: 0,
        };
        let pieces = [Piece { grain: Some(Grain::Hour), range: buckets.range }];
        let mut statement = Statement::default();
        merged(&mut statement, &asked, |statement| {
            for (place, measure) in measures.iter().enumerate() {
                of_raw(statement, evil, place, measure, &asked, &[buckets.range]);
                let series = Series { measure: measure.clone(), dimensions: vec![name()] };
                of_rollups(statement, evil, place, &series, &asked, &pieces);
            }
        });
        let sql = statement.sql();
        assert!(!sql.contains("1=1") && !sql.contains("--"), "{sql}");
    }
}
