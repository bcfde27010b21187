//! The metrics that somebody follows, answered anew when something has come.

use std::{collections::BTreeSet, sync::Arc};

use analytics_domain::{
    live::{Connection, Frame, Head, Stream, Subscription},
    metric::QueryDraft,
};
use analytics_dynamo::TableError;
use analytics_http::ApiError;
use analytics_metrics::{App as Metrics, Question, answer};
use serde_json::Value;

use crate::{
    account::{Account, Way},
    post::Parcel,
};

impl Account<'_> {
    /// Asks what is followed, once for all who follow it so, and tells them what is new in it. `newcomers` are told all of it.
    pub async fn tell_metrics(
        &mut self,
        is_stale: bool,
        newcomers: &BTreeSet<(String, Stream)>,
    ) -> Result<(), TableError> {
        let ways: Vec<(Way, Subscription)> = self
            .ways()
            .into_iter()
            .filter(|(way, _)| way.stream != Stream::Analytics)
            .map(|(way, subscription)| (way, subscription.clone()))
            .collect();
        for (way, subscription) in ways {
            let is_new = |connection: &&Connection| newcomers.contains(&(connection.id.clone(), way.stream.clone()));
            let followers: Vec<&Connection> = self.followers(&way).collect();
            let (new, old): (Vec<&Connection>, Vec<&Connection>) = followers.iter().partition(|one| is_new(one));
            if new.is_empty() && (old.is_empty() || !is_stale) {
                continue;
            }
            let stream = way.stream.to_string();
            let Stream::Metric(metric_id) = &way.stream else { continue };
            let now = (self.app.now)();
            let told = ask(&self.app.metrics, self.id, metric_id, subscription.query.clone(), now).await;
            let mut is_over = false;
            let (delta, whole) = match told {
                Err(error) => {
                    if let Some(cause) = &error.cause {
                        let code = error.code;
                        tracing::error!(account.id = self.id, error.code = code, error.cause = cause, "no answer");
                    }
                    // What makes no sense now will not make sense later.
                    is_over = error.status.is_client_error();
                    let detail = if is_over { &error.detail } else { "it will be tried again" };
                    let text = Frame::StreamError { stream: &stream, code: error.code, detail }.to_json();
                    (Some(text.clone()), Some(text))
                }
                Ok(answer) => {
                    let head = self.app.feeds.head(&way.place).await?.unwrap_or_else(|| Head::new(0));
                    let (delta, whole, seq) = {
                        let mut memory = self.app.memory();
                        let chart = memory.charts.entry(way.place.clone()).or_default();
                        chart.resume(head.seq);
                        let delta = chart.update(&stream, answer, now);
                        (delta, chart.snapshot(&stream), chart.seq())
                    };
                    if seq != head.seq {
                        self.app.feeds.set_head(&way.place, &head.after(seq, now), now).await?;
                    }
                    (delta, whole)
                }
            };
            let parcels = |connections: &[&Connection], text: Option<String>| {
                let frame: Option<Arc<str>> = text.map(Arc::from);
                let parcel = |connection: &&Connection| {
                    Some(Parcel { connection_id: connection.id.clone(), frames: vec![frame.clone()?] })
                };
                connections.iter().filter_map(parcel).collect::<Vec<_>>()
            };
            let parcels = [parcels(&old, delta), parcels(&new, whole)].concat();
            let ends: Vec<String> = parcels.iter().filter(|_| is_over).map(|one| one.connection_id.clone()).collect();
            if !self.send(parcels, None).await {
                // What somebody has missed is not told again as a difference: all is.
                self.app.memory().charts.remove(&way.place);
            }
            for id in ends {
                self.app.connections.unsubscribe(self.id, &id, &way.stream).await?;
            }
        }
        Ok(())
    }
}

async fn ask(metrics: &Metrics, account_id: &str, id: &str, draft: QueryDraft, now: i64) -> Result<Value, ApiError> {
    let query = draft.settle(now, metrics.retention_days).map_err(ApiError::invalid_parameters)?;
    let known = metrics.known(account_id, Some(id), &query, now).await?;
    let question = Question::of_metric(&known.metrics, id)?;
    let answer = answer(metrics, account_id, &known, question, &query).await?;
    serde_json::to_value(&answer).map_err(ApiError::internal)
}
