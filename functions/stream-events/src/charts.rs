//! The numbers that somebody follows, asked anew when something has come.

use std::sync::Arc;

use analytics_domain::live::{Connection, Frame, Head, Stream, Subscription, Way};
use analytics_dynamo::TableError;
use analytics_http::{ApiError, FieldError};
use analytics_metrics::{App as Metrics, Question, Questions, answer, answer_all};
use serde_json::{Value, json};

use crate::{account::Account, post::Parcel};

/// What an answer comes to: for those who know the last one, if it differs, and for those who don't.
struct Frames {
    delta: Option<Arc<str>>,
    whole: Option<Arc<str>>,
}

impl Account<'_> {
    /// Asks what is followed, once for all who follow it so, and tells them what is new in it. `newcomers` are told all of it, in
    /// their order. Returns whether anything is followed.
    pub async fn tell_numbers(&mut self, is_stale: bool, newcomers: &[(String, Stream)]) -> Result<bool, TableError> {
        let is_new = |way: &Way, one: &Connection| newcomers.contains(&(one.id.clone(), way.stream.clone()));
        let is_wanted = |way: &Way| self.followers(way).any(|one| is_stale || is_new(way, one));
        let mut ways = self.ways_to(|stream| *stream != Stream::Analytics);
        ways.retain(|(way, _)| is_wanted(way));
        ways.sort_by_key(|(way, _)| newcomers.iter().position(|(_, stream)| *stream == way.stream));
        let heads = self.heads(ways.iter().map(|(way, _)| way)).await?;
        // One after the other: each takes several statements at once.
        for ((way, subscription), head) in ways.iter().zip(heads) {
            let asked_at = (self.app.now)();
            let told = ask(&self.app.metrics, self.id, &way.stream, subscription, asked_at).await;
            let now = (self.app.now)();
            let stream = way.stream.to_string();
            let (new, old): (Vec<&Connection>, Vec<&Connection>) =
                self.followers(way).partition(|one| is_new(way, one));
            // Who has been told before is told again only what has come since; who has missed that, everything.
            let old = if is_stale { old } else { Vec::new() };
            let (resting, old): (Vec<&Connection>, Vec<&Connection>) =
                old.into_iter().partition(|one| self.app.memory().laggards.rests(&one.id, now));
            resting.iter().for_each(|one| self.app.memory().laggards.miss(&one.id, &stream, 0, now));
            let (behind, old): (Vec<&Connection>, Vec<&Connection>) =
                old.into_iter().partition(|one| self.app.memory().laggards.missed(one, &way.stream).is_some());
            let is_over = told.as_ref().is_err_and(|error| error.status.is_client_error());
            let Frames { delta, whole } = self.frames(way, &head, told, now).await?;
            let subscribed: Arc<str> = Frame::Subscribed { stream: &stream }.to_json().into();
            let parcels = |connections: &[&Connection], frames: [Option<&Arc<str>>; 2]| {
                let frames: Vec<Arc<str>> = frames.into_iter().flatten().cloned().collect();
                let parcel = |one: &&Connection| Parcel { connection_id: one.id.clone(), frames: frames.clone() };
                connections.iter().filter(|_| !frames.is_empty()).map(parcel).collect::<Vec<_>>()
            };
            let parcels = [
                parcels(&old, [delta.as_ref(), None]),
                parcels(&behind, [whole.as_ref(), None]),
                parcels(&new, [Some(&subscribed), whole.as_ref()]),
            ]
            .concat();
            let ends: Vec<String> = parcels.iter().filter(|_| is_over).map(|one| one.connection_id.clone()).collect();
            self.send_of(&stream, parcels, 0).await;
            for id in ends {
                self.app.connections.unsubscribe(self.id, &id, &way.stream).await?;
            }
        }
        Ok(!ways.is_empty())
    }

    /// What is told of an answer, or of an error.
    async fn frames(
        &self,
        way: &Way,
        head: &Head,
        told: Result<Value, ApiError>,
        now: i64,
    ) -> Result<Frames, TableError> {
        let stream = way.stream.to_string();
        let answer = match told {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(cause) = &error.cause {
                    tracing::error!(account.id = self.id, error.code = error.code, error.cause = cause, "no answer");
                }
                // What makes no sense now will not make sense later.
                let is_over = error.status.is_client_error();
                let detail = if is_over { words(&error) } else { "it will be tried again".to_owned() };
                let text = Frame::StreamError { stream: &stream, code: error.code, detail: &detail }.to_json();
                let text: Option<Arc<str>> = Some(text.into());
                return Ok(Frames { delta: text.clone(), whole: text });
            }
        };
        let (frames, seq) = {
            let mut memory = self.app.memory();
            let chart = memory.charts.entry(way.place.clone()).or_default();
            chart.resume(head.seq);
            let delta = chart.update(&stream, answer, now).map(Arc::from);
            (Frames { delta, whole: chart.snapshot(&stream).map(Arc::from) }, chart.seq())
        };
        if seq != head.seq {
            self.app.feeds.set_head(&way.place, head, &head.clone().after(seq, now), now).await?;
        }
        Ok(frames)
    }
}

/// What is wrong with a question, in one line.
fn words(error: &ApiError) -> String {
    let place = |one: &FieldError| one.pointer.clone().or_else(|| one.parameter.clone()).unwrap_or_default();
    let errors: Vec<String> = error.errors.iter().map(|one| format!("{}: {}", place(one), one.detail)).collect();
    if errors.is_empty() { error.detail.clone() } else { errors.join("; ") }
}

async fn ask(
    metrics: &Metrics,
    account_id: &str,
    stream: &Stream,
    subscription: &Subscription,
    now: i64,
) -> Result<Value, ApiError> {
    let draft = subscription.query.clone();
    let answer = match stream {
        Stream::Analytics => return Err(ApiError::internal("events are no numbers")),
        Stream::Metric(id) => {
            let query = draft.settle(now, metrics.retention_days).map_err(ApiError::invalid_parameters)?;
            let known = metrics.known(account_id, Some(id), &query, now).await?;
            let question = Question::of_metric(&known.metrics, id)?;
            serde_json::to_value(answer(metrics, account_id, &known, question, &query).await?)
        }
        Stream::Query(_) => {
            let asked = Questions::of_list(metrics, account_id, draft, subscription.queries.clone(), now).await?;
            let Questions { questions, query, known } = asked;
            let results = answer_all(metrics, account_id, &known, &questions, &query).await?;
            serde_json::to_value(results).map(|results| json!({"results": results}))
        }
    };
    answer.map_err(ApiError::internal)
}
