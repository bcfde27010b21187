//! Questions of several accounts at once.

use std::time::Duration;

use analytics_answers::{Answer, Answers, Ask, AskError, Query, Scope, Source};
use analytics_domain::{
    account::AccountId,
    metric::{
        Aliases, Filter, Measure, Of, QueryDraft,
        buckets::{Buckets, Range},
        parse_filter,
    },
};
use analytics_platform::{config::environment, now_millis};
use analytics_warehouse::{
    EventWarehouse,
    metric::{Asked, Rollups, Tenant},
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{
    proxy::FaultProxy,
    stack::{Account, Stack},
};
use tokio::time::Instant;

use super::until_rolled_up;

const HOUR: i64 = 3_600_000;

fn ask(metric: &str, parts: &[(&str, &str)], now: i64) -> Result<Ask> {
    let mut draft = QueryDraft::default();
    for (name, value) in [("period", "24h"), ("interval", "hour")].iter().chain(parts) {
        ensure!(draft.set(name, value), "{name}");
    }
    let window = draft.read(now).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    Ok(Ask { queries: vec![Query::Metric(metric.to_owned())], window })
}

/// An account of which so many members joined five hours ago, by two campaigns. As many messages were sent by as many senders.
async fn account(stack: &Stack, members: usize) -> Result<Account<'_>> {
    let account = stack.account("together");
    let joined_at = (now_millis() / HOUR - 5) * HOUR;
    let event = |name: &str, number: usize| {
        let campaign = if number.is_multiple_of(3) { "spring" } else { "summer" };
        json!({
            "eventName": name, "eventId": format!("{name}-{number}"), "timestamp": joined_at,
            "properties": {"campaignId": campaign, "senderId": format!("s{number}")},
        })
    };
    let names = ["member_joined", "message_sent", "sender_banned"];
    let events: Vec<_> = names.iter().flat_map(|name| (0..members).map(|number| event(name, number))).collect();
    account.send_all(&events).await?;
    account.until_total(events.len() as u64, &[]).await?;
    Ok(account)
}

fn total(answer: &Answer) -> Option<f64> {
    answer.series.first().and_then(|series| series.total.ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_one_shape_are_one_statement_and_have_the_answers_of_each_alone() -> Result<()> {
    let stack = Stack::shared().await;
    let mut accounts = Vec::new();
    for members in 1..=5 {
        accounts.push(account(&stack, members).await?);
    }
    let clickhouse = FaultProxy::start(&stack.setting("CLICKHOUSE_URL"), |_| true).await?;
    let lookup = |key: &str| if key == "CLICKHOUSE_URL" { Some(clickhouse.url.clone()) } else { environment(key) };
    let answers = Answers::from_lookup(&lookup)?;
    let statements_of = async |pairs: &[(&Scope, &Ask)], now: i64| {
        let before = clickhouse.counted();
        let answers = answers.ask(pairs, now).await;
        (answers, clickhouse.counted() - before)
    };

    for is_rolled_up in [false, true] {
        if is_rolled_up {
            for account in &accounts {
                until_rolled_up(account).await?;
            }
        }
        let now = now_millis();
        let everything: Vec<Scope> =
            accounts.iter().map(|account| Scope::account(&AccountId::stored(&account.id))).collect();
        for (metric, parts) in [
            ("net_growth", &[][..]),
            ("net_growth", &[("compare", "previous_period")]),
            ("net_growth", &[("groupBy", "campaignId")]),
            // Different texts do not add up.
            ("sender_ban_rate", &[]),
            ("sender_ban_rate", &[("interval", "none")]),
            // No rollup is split by this property: the events are read.
            ("net_growth", &[("filter", "not country exists")]),
            ("net_growth", &[("filter", "not country exists"), ("groupBy", "campaignId"), ("limit", "1")]),
            ("sender_ban_rate", &[("filter", "not country exists")]),
        ] {
            let ask = ask(metric, parts, now)?;
            let (alone, most) = statements_of(&[(&everything[0], &ask)], now).await;
            ensure!(alone.iter().all(Result::is_ok), "{alone:?}");
            let pairs: Vec<(&Scope, &Ask)> = everything.iter().map(|scope| (scope, &ask)).collect();
            let (together, count) = statements_of(&pairs, now).await;
            // Until rollups are complete, accounts may differ in what their answers are read from.
            ensure!(!is_rolled_up || count <= most, "{metric} {parts:?}: {count} statements, {most} for one account");
            for (scope, together) in everything.iter().zip(together) {
                let together = together?;
                assert_eq!(Ok(&together), answers.ask_one(scope, &ask, now).await.as_ref(), "{metric} {parts:?}");
                let is_of_events = parts.iter().any(|(name, _)| *name == "filter");
                ensure!(!is_rolled_up || is_of_events == (together[0].source == Source::Events), "{together:?}");
            }
        }

        // Different questions at once, of which one has no meaning: each has its own answer.
        let (joined, none) = (ask("net_growth", &[], now)?, ask("no_such_metric", &[], now)?);
        let spring = Scope {
            filter: parse_filter("campaignId = \"spring\"").map_err(|error| anyhow::anyhow!("{error:?}"))?,
            ..everything[4].clone()
        };
        let pairs = [
            (&everything[4], &joined),
            (&everything[1], &none),
            (&spring, &joined),
            (&everything[0], &joined),
            (&everything[4], &joined),
        ];
        let found = answers.ask(&pairs, now).await;
        let totals: Vec<Option<f64>> =
            found.iter().map(|one| one.as_ref().ok().and_then(|answers| total(answers.first()?))).collect();
        assert_eq!(totals, [Some(5.0), None, Some(2.0), Some(1.0), Some(5.0)]);
        let refused = found[1].as_ref().err().context("there is no such metric")?;
        ensure!(matches!(refused, AskError::Queries(_)), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_account_in_a_statement_of_several_cuts_its_own_answer_only() -> Result<()> {
    let stack = Stack::shared().await;
    let (small, large) = (account(&stack, 1).await?, account(&stack, 5).await?);
    let measures = [Measure { event_name: "member_joined".to_owned(), filter: Filter::EVERYTHING, of: Of::Events }];
    let now = now_millis();
    let buckets = Buckets::whole(Range { from: now - 24 * HOUR, to: now });
    let (kept, rollups, by_sender) = ([Vec::new()], Rollups::default(), ["senderId".to_owned()]);
    let ids = [&small, &large].map(|account| AccountId::stored(&account.id));
    let tenants = ids.each_ref().map(|id| Tenant { account_id: id, kept: &kept, rollups: &rollups });
    let asked = Asked {
        measures: &measures,
        buckets: &buckets,
        group_by: &by_sender,
        aliases: &Aliases::default(),
        filter: &Filter::EVERYTHING,
        only: None,
        by_bucket: false,
        most: Some(3),
        deadline: Instant::now() + Duration::from_secs(20),
    };
    let found = EventWarehouse::to_read(&environment)?.measure(&tenants, &asked).await;
    let found: Vec<(bool, usize)> =
        found.into_iter().map(|told| told.map(|told| (told.is_cut, told.cells.len()))).collect::<Result<_, _>>()?;
    assert_eq!(found, [(false, 1), (true, 4)], "one cell more than wanted shows that there are more");
    Ok(())
}
