//! What the builder of statements makes of questions and of rollups: the files of `snapshots`, to be read and reviewed.

use analytics_domain::{
    account::AccountId,
    metric::{
        Aliases, Filter, Grain, Key, Measure, Of, Piece, Series,
        buckets::{Buckets, Interval, Range, zone},
        parse_filter,
    },
    search::{Query, Search},
};
use sqlformat::{FormatOptions, QueryParams, format};
use tokio::time::Instant;

use super::{
    group_aliases,
    plan::Entry,
    query::{Asked, Part},
    rollup::{Span, clear, compute, put_together},
    select,
    states::Placed,
    survey::event_names,
};
use crate::{conditions::matching, statement::Statement};

const HOUR: i64 = 3_600_000;
/// 24 November 2026, 00:00 UTC.
const FROM: i64 = 1_795_478_400_000;
const DAY: Range = Range { from: FROM, to: FROM + 24 * HOUR };

fn readable(statement: &Statement) -> String {
    format(&statement.filled_in(), &QueryParams::None, &FormatOptions::default())
}

fn measure(event_name: &str, filter: &str, of: Of) -> Measure {
    let filter = if filter.is_empty() { Filter::EVERYTHING } else { parse_filter(filter).expect("can be read") };
    Measure { event_name: event_name.to_owned(), filter, of }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// A question about one day.
struct Question<'q> {
    measures: &'q [Measure],
    group_by: &'q [String],
    filter: Filter,
    aliases: Aliases,
    only: Option<&'q [Key]>,
    by_bucket: bool,
}

impl<'q> Question<'q> {
    fn of(measures: &'q [Measure]) -> Self {
        let (filter, aliases) = (Filter::EVERYTHING, Aliases::default());
        Self { measures, group_by: &[], filter, aliases, only: None, by_bucket: false }
    }

    fn shown(&self, accounts: &[&str], parts: impl Fn(&[Placed<'q>]) -> Vec<Part<'q>>) -> String {
        let utc = zone("UTC").expect("is known");
        let buckets = Buckets::cut(DAY, Interval::Hours(12), &utc).expect("are few");
        let buckets = if self.by_bucket { buckets } else { Buckets::whole(DAY) };
        let asked = Asked {
            measures: self.measures,
            buckets: &buckets,
            group_by: self.group_by,
            filter: &self.filter,
            aliases: &self.aliases,
            only: self.only,
            by_bucket: self.by_bucket,
            most: None,
            deadline: Instant::now(),
        };
        let placed: Vec<Placed<'q>> = (0..).zip(self.measures).collect();
        let parts = parts(&placed);
        let ids: Vec<AccountId> = accounts.iter().map(|id| AccountId::stored(id)).collect();
        let statement = select::statement(
            &ids.iter().collect::<Vec<_>>(),
            &asked,
            &parts.iter().collect::<Vec<_>>(),
            self.by_bucket,
        );
        readable(&statement)
    }

    fn of_events(&self) -> String {
        self.shown(&["shop"], |placed| vec![Part::Raw { measures: placed.to_vec(), ranges: vec![DAY] }])
    }

    /// From rollups until noon, from events since then.
    fn of_both(&self) -> String {
        let noon = FROM + 12 * HOUR;
        let dimensions = || self.group_by.to_vec();
        self.shown(&["shop"], |placed| {
            let series = |(place, measure): &Placed<'q>| {
                (*place, Series { measure: (*measure).clone(), dimensions: dimensions() })
            };
            vec![
                Part::Rolled {
                    series: placed.iter().map(series).collect(),
                    pieces: vec![Piece { grain: Some(Grain::Hour), range: Range { from: FROM, to: noon } }],
                },
                Part::Raw { measures: placed.to_vec(), ranges: vec![Range { from: noon, to: DAY.to }] },
            ]
        })
    }
}

#[test]
fn the_names_of_an_account() {
    insta::assert_snapshot!(readable(&event_names(&AccountId::stored("shop"), FROM)));
}

#[test]
fn groups_that_have_changed_their_id() {
    insta::assert_snapshot!(readable(&group_aliases::statement(&[&AccountId::stored("shop")])));
}

#[test]
fn a_count() {
    insta::assert_snapshot!(Question::of(&[measure("message_sent", "", Of::Events)]).of_events());
}

#[test]
fn a_count_by_half_days_with_a_filter() {
    let filter = r#"country in ("DE", "FR") and (amount >= 5 or not test exists) and name contains "sale""#;
    let measures = [measure("message_sent", filter, Of::Events)];
    insta::assert_snapshot!(Question { by_bucket: true, ..Question::of(&measures) }.of_events());
}

#[test]
fn a_sum_split_by_campaign_for_the_largest_two() {
    let measures = [measure("order_paid", "", Of::Numbers(text("amount")))];
    let only = ["spring", "autumn"].map(|campaign| Key::Group(vec![Some(text(campaign))]));
    let question = Question { group_by: &[text("campaignId")], only: Some(&only), ..Question::of(&measures) };
    insta::assert_snapshot!(question.of_events());
}

#[test]
fn different_senders() {
    insta::assert_snapshot!(Question::of(&[measure("message_sent", "", Of::Uniques(text("senderId")))]).of_events());
}

#[test]
fn a_percentile() {
    let measures = [measure("message_delivered", "", Of::Distribution(text("latencyMs")))];
    insta::assert_snapshot!(Question::of(&measures).of_events());
}

#[test]
fn the_last_value_of_each_post() {
    let objects = vec![text("groupId"), text("postId")];
    let measures = [measure("post_stats_sampled", "", Of::Last { property: text("views"), objects })];
    insta::assert_snapshot!(Question::of(&measures).of_events());
}

#[test]
fn a_rate_from_rollups_and_events() {
    let measures = [measure("message_delivered", "", Of::Events), measure("message_sent", "", Of::Events)];
    let filter = parse_filter(r#"campaignId = "spring""#).expect("can be read");
    let question = Question { group_by: &[text("campaignId")], filter, by_bucket: true, ..Question::of(&measures) };
    insta::assert_snapshot!(question.of_both());
}

#[test]
fn one_question_of_two_accounts() {
    let measures = [measure("message_sent", "", Of::Events)];
    let question = Question::of(&measures);
    let shown =
        question.shown(&["shop", "agency"], |placed| vec![Part::Raw { measures: placed.to_vec(), ranges: vec![DAY] }]);
    insta::assert_snapshot!(shown);
}

#[test]
fn rollups_of_two_hours() {
    let count = Entry::of(measure("message_sent", "", Of::Events), vec![Vec::new(), vec![text("campaignId")]]);
    let span = Span { grain: Grain::Hour, starts: &[FROM, FROM + 3 * HOUR] };
    insta::assert_snapshot!(readable(&compute(&AccountId::stored("shop"), &[&count], span, FROM)));
}

#[test]
fn a_day_of_its_hours() {
    let sum = Entry::of(measure("order_paid", "", Of::Numbers(text("amount"))), vec![Vec::new()]);
    let span = Span { grain: Grain::Day, starts: &[FROM] };
    insta::assert_snapshot!(readable(&put_together(&AccountId::stored("shop"), &[&sum], Grain::Hour, span, FROM)));
}

#[test]
fn a_bucket_without_events() {
    let span = Span { grain: Grain::Hour, starts: &[FROM] };
    insta::assert_snapshot!(readable(&clear(&AccountId::stored("shop"), &[7, 8], span, FROM)));
}

#[test]
fn a_search() {
    let parameters = [
        ("eventName", "message_sent"),
        ("property.tags", "vip"),
        ("property.amount[gte]", "5"),
        ("filter", r#"not (campaignId = "spring")"#),
        ("q", "水晶 sale"),
        ("from", "2026-11-24T00:00:00Z"),
    ];
    let Ok(Query::Accepted(search)) = Query::parse(parameters) else { panic!("makes sense") };
    insta::assert_snapshot!(readable(&conditions(&search)));
}

fn conditions(search: &Search) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT * FROM events WHERE true");
    matching(&mut statement, search);
    statement
}
