//! The statement of an answer: states of measures by bucket and key, from the events and from rollups.

use std::collections::BTreeMap;

use analytics_domain::metric::{Grain, Key, Of, Piece, Series, buckets::Range};

use super::{
    query::{Asked, Part},
    read::{self, condition},
    shape::{Column, Renamed, columns_of, named, unfold},
    states::{Accounts, Bucket, MOST_RANGES, Scan, of_accounts, within},
};
use crate::statement::Statement;

/// Ranges of stored buckets of one length that are told one by one: what lies between them is few rows.
const MOST_STORED_RANGES: usize = 3;

/// States by measure, key and bucket, and with totals for the whole range too. ClickHouse takes longer to understand a statement than to
/// read some thousand rows, so it has no column and no subquery that it can do without.
pub(super) fn statement(accounts: Accounts<'_>, asked: &Asked<'_>, parts: &[&Part<'_>], has_totals: bool) -> Statement {
    let columns = columns_of(asked.measures.iter());
    let has_objects = columns.contains(&Column::Object);
    let has_accounts = accounts.len() > 1;
    let mut statement = Statement::default();
    let means = places(asked, |of| matches!(of, Of::LastWithin { .. }));
    if has_objects {
        // Within an object the latest value counts; then objects add up.
        statement.push(
            "SELECT account, place, whole, bucket, other, key, sum(ns), sum(totals), min(lows), max(highs), sum(uniques), \
             any(distribution), sum(level) FROM (",
        );
    }
    if !means.is_empty() {
        // Each object adds its share of its set's mean.
        statement.push("SELECT * REPLACE (if(has(").integers(&means).push(
            ", place), level / count() OVER (PARTITION BY account, place, whole, bucket, other, key, set), level) AS level) FROM (",
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
    statement.push(if means.is_empty() { " FROM (" } else { ", any(hashes) AS set FROM (" });
    chosen(&mut statement, accounts, asked, parts, &columns);
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
    if !means.is_empty() {
        statement.push(")");
    }
    if has_objects {
        statement.push(") GROUP BY account, place, whole, bucket, other, key");
    }
    if let Some(most) = asked.most {
        statement.push(" LIMIT ").integer(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
    }
    statement
}

/// The places of the measures that are wanted.
fn places(asked: &Asked<'_>, wanted: fn(&Of) -> bool) -> Vec<i64> {
    asked.measures.iter().zip(0..).filter(|(measure, _)| wanted(&measure.of)).map(|(_, place)| place).collect()
}

/// The first or last value.
fn level(statement: &mut Statement, asked: &Asked<'_>) {
    let firsts = places(asked, |of| matches!(of, Of::First { .. }));
    let lasts = places(asked, |of| matches!(of, Of::Last { .. } | Of::LastWithin { .. }));
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

/// Selects `place`, `account`, `bucket`, `other` and `key` where there are such, and the columns, of all parts.
pub(super) fn chosen(
    statement: &mut Statement,
    accounts: Accounts<'_>,
    asked: &Asked<'_>,
    parts: &[&Part<'_>],
    columns: &[Column],
) {
    let Some(only) = asked.only else { return read(statement, accounts, asked, parts, columns, "key") };
    let values = |key: &Key| match key {
        Key::Group(values) => Some(values.clone()),
        Key::All | Key::Other => None,
    };
    let keys: Vec<Vec<Option<String>>> = only.iter().filter_map(values).collect();
    statement.push("SELECT place, ").push(if accounts.len() > 1 { "account, " } else { "" });
    statement.push(if asked.by_bucket { "bucket, " } else { "" });
    statement.push("toUInt8(full_key NOT IN (SELECT arrayJoin(").key_list(&keys).push("))) AS other, ");
    statement.push("if(other, CAST([], 'Array(Nullable(String))'), full_key) AS key");
    named(statement, columns);
    statement.push(" FROM (");
    read(statement, accounts, asked, parts, columns, "full_key");
    statement.push(")");
}

/// The same without regard to which keys are wanted by themselves.
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
                let aliases = asked.aliases;
                let scan = Scan { accounts, measures, dimensions, bucket, columns, sets: None, aliases };
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
        read::group_text(statement, source, path, asked.aliases);
    }
    if !asked.group_by.is_empty() {
        statement.push("] AS ").push(key_name);
    }
    named(statement, columns);
    let of_groups = Renamed { aliases: asked.aliases, series };
    unfold(statement, columns, !asked.group_by.is_empty() || !asked.filter.paths().is_empty(), Some(&of_groups));
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

#[cfg(test)]
mod tests {
    use analytics_domain::{
        account::AccountId,
        metric::{Aliases, Measure, buckets::Buckets, parse_filter},
    };
    use tokio::time::Instant;

    use super::*;
    use crate::metric::states::Placed;

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
            Of::FirstAge { property: name(), objects: vec![name()] },
            Of::UniquesOf { property: name(), objects: vec![name()] },
            Of::LastWithin { property: name(), objects: vec![name(), name()], within: vec![name()] },
        ]
        .map(|of| Measure { event_name: name(), filter: filter.clone(), of })
        .to_vec();
        let asked = Asked {
            measures: &measures,
            buckets: &buckets,
            group_by: &[name(), "groupId".to_owned()],
            filter: &filter,
            aliases: &Aliases::of([(name(), "new".to_owned())]),
            only: Some(&[Key::Group(vec![Some(name()), Some(name())])]),
            by_bucket: true,
            most: Some(7),
            deadline: Instant::now(),
        };
        let measures: Vec<Placed<'_>> = (0..).zip(&measures).collect();
        let series = measures.iter().map(|(place, measure)| {
            (*place, Series { measure: (*measure).clone(), dimensions: vec![name(), "groupId".to_owned()] })
        });
        let parts = [
            Part::Rolled {
                series: series.collect(),
                pieces: vec![Piece { grain: Some(Grain::Hour), range: buckets.range }],
            },
            Part::Raw { measures, ranges: vec![buckets.range] },
        ];
        let parts: Vec<&Part<'_>> = parts.iter().collect();
        let (evil, shop) = (AccountId::stored(evil), AccountId::stored("shop"));
        for accounts in [&[&evil][..], &[&evil, &shop]] {
            let statement = statement(accounts, &asked, &parts, true);
            let sql = statement.sql();
            assert!(!sql.contains("1=1") && !sql.contains("--"), "{sql}");
        }
    }
}
