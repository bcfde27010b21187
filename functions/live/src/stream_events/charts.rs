//! The numbers that somebody follows, asked anew when something has come.

use std::{collections::BTreeMap, sync::Arc};

use analytics_answers::{Answer, Answers, Ask, Query, Scope};
use analytics_domain::{
    account::AccountId,
    live::{Connection, FEEDS, Frame, Head, LiveMessage, Stream, Subscription, Way},
};
use analytics_dynamo::TableError;
use analytics_http::{ApiError, FieldError};
use analytics_questions::{Questions, refused};
use tokio::time::timeout;

use crate::stream_events::{
    Budget,
    account::{Account, Wanted},
    followers::Followers,
    post::Parcel,
};

/// Questions that a call looks at: the heads of as many are read at once. More than these are not answered in its time.
const AT_ONCE: usize = 100;
/// How often in a row an answer may take longer than its share of time, before its stream ends.
const TRIES: u32 = 3;
/// The code of an answer that takes too long, or too much.
const TOO_MUCH: &str = "query_too_large";

/// What an answer comes to: for those who know the last one, if it differs, and for those who don't.
struct Frames {
    delta: Option<Arc<str>>,
    whole: Option<Arc<str>>,
}

impl Account<'_> {
    /// Asks what is wanted, once for all who follow it so, and tells them what is new in it. Newcomers are told all of it, in their
    /// order. What there is no time for, and what took too long, is asked again by a later call. Returns whether anything is
    /// followed.
    pub async fn tell_numbers(&mut self, wanted: &Wanted) -> Result<bool, TableError> {
        let Wanted { is_stale, again, newcomers } = wanted;
        let is_new =
            |way: &Way, one: &Connection| newcomers.iter().any(|(id, stream)| *id == one.id && *stream == way.stream);
        let is_due = |way: &Way| *is_stale || again.contains(way.id());
        let mut feeds = self.feeds_of(|stream| *stream != Stream::Analytics);
        feeds.retain(|followers| {
            let way: &Way = &followers.way;
            let is_due = is_due(way);
            followers.present(&self.connections).any(|one| is_due || is_new(way, one))
        });
        // Who waits goes first, then what was not asked for the longest time.
        let asked = self.app.memory().asked.clone();
        feeds.sort_by_cached_key(|Followers { way, .. }| {
            let place = newcomers.iter().position(|(_, stream)| *stream == way.stream).unwrap_or(usize::MAX);
            (place, asked.get(&way.place).copied().unwrap_or(0))
        });
        let rest = feeds.split_off(feeds.len().min(AT_ONCE));
        let heads = self.heads(feeds.iter().map(|followers| &*followers.way)).await?;
        let (mut left, mut begun) = (Vec::new(), Vec::new());
        // One after the other: each takes several statements at once.
        for (followers, head) in feeds.iter().zip(heads) {
            let way: &Way = &followers.way;
            if !self.budget.has_share() {
                left.push(way);
                continue;
            }
            let asked_at = (self.app.now)();
            self.app.memory().asked.insert(way.place.clone(), asked_at);
            let asking = ask(&self.app.answers, self.id, &way.stream, &followers.subscription, asked_at);
            let told = timeout(self.budget.share(head.late), asking).await.unwrap_or_else(|_| Err(too_late()));
            let now = (self.app.now)();
            if let Err(error) = &told
                && error.code == TOO_MUCH
                && head.late + 1 < TRIES
            {
                tracing::warn!(
                    account.id = self.id.as_str(),
                    tries = head.late + 1,
                    "a question takes more than its share"
                );
                self.app.feeds.set_head(&way.place, &head, &head.later(), now).await?;
                left.push(way);
                continue;
            }
            let stream = way.stream.to_string();
            let (new, old): (Vec<&Connection>, Vec<&Connection>) =
                followers.present(&self.connections).partition(|one| is_new(way, one));
            // Who has been told before is told again only what has come since; who has missed that, everything.
            let old = if is_due(way) { old } else { Vec::new() };
            let (resting, old): (Vec<&Connection>, Vec<&Connection>) =
                old.into_iter().partition(|one| self.app.memory().laggards.rests(&one.id, now));
            resting.iter().for_each(|one| self.app.memory().laggards.miss(&one.id, &stream, 0, now));
            let (behind, old): (Vec<&Connection>, Vec<&Connection>) =
                old.into_iter().partition(|one| self.app.memory().laggards.missed(one, &way.stream).is_some());
            let is_over = told.as_ref().is_err_and(|error| error.status.is_client_error());
            let Frames { delta, whole } = self.frames(way, &head, told, now).await?;
            let subscribed: Arc<str> = Frame::Subscribed { stream: &stream }.to_json().into();
            let mut parcels = Vec::new();
            for (one, frame) in old.iter().map(|one| (*one, &delta)).chain(behind.iter().map(|one| (*one, &whole))) {
                if let Some(frame) = frame {
                    let mut frames = self.notices(one, now);
                    frames.push(Arc::clone(frame));
                    parcels.push(Parcel { connection_id: one.id.clone(), frames });
                }
            }
            for one in &new {
                let frames = [Some(&subscribed), whole.as_ref()].into_iter().flatten().cloned().collect();
                parcels.push(Parcel { connection_id: one.id.clone(), frames });
            }
            if is_over {
                let ends: Vec<String> = followers.present(&self.connections).map(|one| one.id.clone()).collect();
                self.send_of(&stream, parcels, 0).await;
                for id in ends {
                    self.app.connections.unsubscribe(self.id, &id, &way.stream).await?;
                }
            } else {
                begun.extend(new.iter().map(|one| (one.id.clone(), way.stream.clone())));
                self.send_of(&stream, parcels, 0).await;
            }
        }
        self.begin_numbers(&begun).await?;
        left.extend(rest.iter().map(|followers| &*followers.way));
        self.ask_later(&left, newcomers).await;
        Ok(!feeds.is_empty())
    }

    /// Has a later call ask what is left. Newcomers go on waiting for it.
    async fn ask_later(&mut self, left: &[&Way], newcomers: &[(String, Stream)]) {
        let mut waiting: BTreeMap<&String, Vec<Stream>> = BTreeMap::new();
        for (id, stream) in newcomers.iter().filter(|(_, stream)| left.iter().any(|way| way.stream == *stream)) {
            waiting.entry(id).or_default().push(stream.clone());
        }
        for feeds in left.chunks(FEEDS) {
            let feeds = feeds.iter().map(|way| way.id().to_owned()).collect();
            let again = LiveMessage::Again { account_id: self.id.into(), feeds, at: (self.app.now)() };
            if let Err(error) = self.app.live.announce(&again).await {
                // The next event that is stored has them asked too.
                tracing::warn!(account.id = self.id.as_str(), error.cause = %error, "numbers are not asked again now");
            }
        }
        for (id, streams) in waiting {
            self.pass_on(id, streams).await;
        }
    }

    /// What is told of an answer, or of an error.
    async fn frames(
        &self,
        way: &Way,
        head: &Head,
        told: Result<Vec<Answer>, ApiError>,
        now: i64,
    ) -> Result<Frames, TableError> {
        let answers = match told {
            Ok(answers) => answers,
            Err(error) => {
                if let Some(cause) = &error.cause {
                    tracing::error!(
                        account.id = self.id.as_str(),
                        error.code = error.code,
                        error.cause = cause,
                        "no answer"
                    );
                }
                // What makes no sense now will not make sense later. Who asks for it again begins with all tries.
                let is_over = error.status.is_client_error();
                if head.late > 0 {
                    self.app.feeds.set_head(&way.place, head, &head.in_time(), now).await?;
                }
                let detail = if is_over { words(&error) } else { "it will be tried again".to_owned() };
                let stream = way.stream.to_string();
                let text = Frame::StreamError { stream: &stream, code: error.code, detail: &detail }.to_json();
                let text: Option<Arc<str>> = Some(text.into());
                return Ok(Frames { delta: text.clone(), whole: text });
            }
        };
        let (frames, after) = {
            let mut memory = self.app.memory();
            let chart = memory.charts.entry(way.place.clone()).or_default();
            chart.resume(head);
            let delta = chart.update(&way.stream, answers, now).map(Arc::from);
            (Frames { delta, whole: chart.snapshot(&way.stream).map(Arc::from) }, chart.head(head, now).in_time())
        };
        if after != *head {
            self.app.feeds.set_head(&way.place, head, &after, now).await?;
        }
        Ok(frames)
    }
}

fn too_late() -> ApiError {
    let detail = format!(
        "the answer takes longer than {} seconds: ask for a shorter period, a longer interval, fewer groups or formulas, or \
         properties among the metric's dimensions",
        Budget::SHARE.as_secs()
    );
    ApiError::unreadable(TOO_MUCH, detail)
}

/// What is wrong with a question, in one line.
fn words(error: &ApiError) -> String {
    let place = |one: &FieldError| one.pointer.clone().or_else(|| one.parameter.clone()).unwrap_or_default();
    let errors: Vec<String> = error.errors.iter().map(|one| format!("{}: {}", place(one), one.detail)).collect();
    if errors.is_empty() { error.detail.clone() } else { errors.join("; ") }
}

async fn ask(
    answers: &Answers,
    account_id: &AccountId,
    stream: &Stream,
    subscription: &Subscription,
    now: i64,
) -> Result<Vec<Answer>, ApiError> {
    let (scope, draft) = (Scope::account(account_id), subscription.query.clone());
    match stream {
        Stream::Analytics => Err(ApiError::internal("events are no numbers")),
        Stream::Metric(id) => {
            let window = draft.read(now).map_err(ApiError::invalid_parameters)?;
            let ask = Ask { queries: vec![Query::Metric(id.clone())], window };
            answers.ask_one(&scope, &ask, now).await.map_err(refused)
        }
        Stream::Query(_) => {
            let questions = Questions::of_list(draft, subscription.queries.clone(), now)?;
            answers.ask_one(&scope, &questions.ask, now).await.map_err(|error| questions.refused(error))
        }
    }
}
