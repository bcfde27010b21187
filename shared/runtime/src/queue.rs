//! Functions that receive messages of a queue.

use std::{collections::BTreeSet, future::Future};

use analytics_messaging::{Message, PartialFailure, SqsBatch};
use analytics_platform::{config::ConfigError, trace::Trace};
use lambda_runtime::{LambdaEvent, run, service_fn};
use serde::Deserialize;

use crate::{
    Environment, Error,
    invocation::{Details, Invocation, Outcome},
    start,
};

/// Traces that the line at the end names at most: an id has 35 bytes, and CloudWatch takes lines of 256 KB.
const TRACES: usize = 2_000;

/// The event of a function that receives messages, and is also called by a schedule.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Option<Vec<Message>>,
}

/// Handles the messages of a queue until Lambda ends the process.
///
/// # Errors
/// If a setting is missing or wrong, or the Runtime API cannot be reached.
pub async fn queue<C, H, F>(
    function: &'static str,
    context: impl FnOnce(&Environment) -> Result<C, ConfigError>,
    handler: H,
) -> Result<(), Error>
where
    C: Sync + 'static,
    H: Fn(&'static C, SqsBatch) -> F + Sync,
    F: Future<Output = PartialFailure>,
{
    let context = start(context)?;
    let handle = async |event: LambdaEvent<SqsBatch>| {
        let invocation = Invocation::start(function, None, &event.context);
        Ok::<_, Error>(messages(invocation, event.payload, |batch| handler(context, batch)).await)
    };
    run(service_fn(handle)).await
}

/// Handles the messages of a queue, and the calls of a schedule, until Lambda ends the process.
///
/// # Errors
/// As [`queue()`].
pub async fn queue_and_schedule<C, H, F, T, G>(
    function: &'static str,
    context: impl FnOnce(&Environment) -> Result<C, ConfigError>,
    handler: H,
    tick: T,
) -> Result<(), Error>
where
    C: Sync + 'static,
    H: Fn(&'static C, SqsBatch) -> F + Sync,
    F: Future<Output = PartialFailure>,
    T: Fn(&'static C) -> G + Sync,
    G: Future<Output = ()>,
{
    let context = start(context)?;
    let handle = async |event: LambdaEvent<Event>| {
        let invocation = Invocation::start(function, None, &event.context);
        Ok::<_, Error>(match event.payload.records {
            Some(records) => messages(invocation, SqsBatch { records }, |batch| handler(context, batch)).await,
            None => {
                invocation.run(tick(context)).await;
                invocation.end("scheduled work done", Outcome::Ok, &Details::default());
                PartialFailure::default()
            }
        })
    };
    run(service_fn(handle)).await
}

async fn messages<F>(invocation: Invocation, batch: SqsBatch, handler: impl FnOnce(SqsBatch) -> F) -> PartialFailure
where
    F: Future<Output = PartialFailure>,
{
    let (count, from) = (batch.records.len(), traces(&batch.records));
    let failure = invocation.run(handler(batch)).await;
    let again = failure.batch_item_failures.len();
    let (message, outcome) = ended(count, again);
    let details = Details { messages: Some(count), again: Some(again), from: Some(&from), ..Details::default() };
    invocation.end(message, outcome, &details);
    failure
}

/// How a call ended of whose messages so many are returned to the queue. Some are returned when there are more than a call has time
/// for, which is no failure.
const fn ended(messages: usize, again: usize) -> (&'static str, Outcome) {
    match again {
        0 => ("messages handled", Outcome::Ok),
        _ if again < messages => ("messages handled, some returned to the queue", Outcome::Ok),
        _ => ("messages not handled, all returned to the queue", Outcome::Failed),
    }
}

/// The ids of the traces that messages come from, each once.
fn traces(messages: &[Message]) -> String {
    let traces = messages.iter().filter_map(|message| Trace::parse(message.attributes.trace_header.as_deref()?));
    let ids: BTreeSet<String> = traces.map(|trace| trace.id().to_owned()).collect();
    let ids: Vec<String> = ids.into_iter().take(TRACES).collect();
    ids.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_fails_if_it_handles_no_message() {
        assert_eq!(ended(10, 0).1, Outcome::Ok);
        assert_eq!(ended(0, 0).1, Outcome::Ok);
        assert_eq!(ended(10, 9).1, Outcome::Ok);
        assert_eq!(ended(10, 10).1, Outcome::Failed);
    }

    #[test]
    fn the_traces_of_messages_are_named_once() {
        let id = |last: char| format!("1-5759e988-bd862e3fe1be46a99427279{last}");
        let record = |id: &str| json!({"messageId": "m", "body": "", "attributes": {"AWSTraceHeader": format!("Root={id};Sampled=0")}});
        let without = json!({"messageId": "m", "body": "", "attributes": {}});
        let records = json!([record(&id('b')), record(&id('a')), record(&id('b')), record("x"), without]);
        let messages: Vec<Message> = serde_json::from_value(records).expect("are messages");
        assert_eq!(traces(&messages), format!("{} {}", id('a'), id('b')));
    }
}
