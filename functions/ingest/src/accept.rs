//! The accept path, shared by the functions that take events: from a request to sealed batches in the queue and an answer, with every
//! event judged by itself.

mod advised;
mod fanout;
mod ports;
mod take;

pub use advised::Advised;
use analytics_domain::{
    access::Operation,
    event::{Arrival, BodyError, Drafts},
    idempotency::{Answer, KEY_CHARS, Start, Ticket},
};
use analytics_dynamo::{AnswerTable, ConnectionTable, Watched};
use analytics_http::{ApiError, FieldError, Reply, json_bytes, openapi::OperationDoc};
use analytics_messaging::{LiveQueue, Queue};
use analytics_platform::{
    aws,
    config::{ConfigError, Lookup},
};
use analytics_runtime::Call;
pub use fanout::Fanout;
use http::{HeaderValue, StatusCode};
use lambda_http::Body;
pub use ports::{Answers, SealedQueue, Unavailable};
use serde_json::json;
use take::take;
pub use take::{IngestError, Taken, seal_body};

/// What a function that takes events is made of.
pub struct App<Q, A> {
    pub queue: Q,
    pub answers: A,
    pub retention_days: u32,
    pub advised: Advised,
}

impl App<Fanout, AnswerTable> {
    /// Reads everything from the environment: `EVENTS_QUEUE_URL`, `LIVE_QUEUE_URL`, `CONNECTIONS_TABLE`, `IDEMPOTENCY_TABLE`,
    /// `RETENTION_DAYS` and the keys of [`aws::sdk_config`].
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_lookup(lookup: &impl Lookup) -> Result<Self, ConfigError> {
        let sdk = aws::sdk_config(lookup)?;
        let (tables, queues) = (analytics_dynamo::client(&sdk), analytics_messaging::client(&sdk));
        Ok(Self {
            queue: Fanout::new(
                Queue::new(queues.clone(), lookup.required("EVENTS_QUEUE_URL")?),
                LiveQueue::from_queues(&queues, lookup)?,
                Watched::new(ConnectionTable::from_tables(&tables, lookup)?),
                analytics_platform::now_millis,
            ),
            answers: AnswerTable::from_tables(&tables, lookup)?,
            retention_days: lookup.parsed("RETENTION_DAYS", 400, "a number of days")?,
            advised: Advised::default(),
        })
    }
}

/// Describes what both operations have.
pub fn describe<'d, 'o>(operation: &'o mut OperationDoc<'d>) -> &'o mut OperationDoc<'d> {
    let key = json!({"type": "string", "minLength": 1, "maxLength": KEY_CHARS, "pattern": "^[!-~]([ -~]*[!-~])?$"});
    let description = "Makes a request safe to send again whose events have no eventId and timestamp: the same key and body get \
                       the first answer again, and no event counts twice";
    operation
        .header("Idempotency-Key", &key, description)
        .refusal(409, "A request with this Idempotency-Key is still being processed")
}

/// Answers a request that brings events: `parse` reads its body, `answer` puts into words what became of them.
///
/// # Errors
/// Whatever keeps all of the request's events from being taken.
pub async fn handle<Q: SealedQueue, A: Answers>(
    app: &App<Q, A>,
    call: &Call,
    operation: Operation,
    parse: impl for<'b> Fn(&'b [u8]) -> Result<Drafts<'b>, BodyError> + Send,
    answer: impl Fn(Taken) -> Result<Reply, ApiError> + Send,
) -> Result<Reply, ApiError> {
    let incoming = call.incoming();
    let body = incoming.body()?;
    let ticket = ticket(call, operation)?;
    let received_at = match &ticket {
        None => call.now,
        Some(ticket) => match app.answers.start(ticket, call.now).await.map_err(unavailable)? {
            Start::Proceed { first_seen } => first_seen,
            Start::Answered(answer) => return replay(answer),
            Start::Running => return Err(running()),
            Start::OtherBody => return Err(other_body()),
        },
    };
    let arrival = Arrival {
        account_id: call.account_id().clone(),
        received_at,
        seed: ticket.as_ref().map_or_else(analytics_platform::random, Ticket::seed),
        ip: incoming.ip(),
        user_agent: incoming.user_agent(),
        locale: incoming.locale(),
        is_text: matches!(call.request.body(), Body::Text(_)),
        retention_days: app.retention_days,
    };
    let taken = take(&app.queue, &app.advised, &body, parse, &arrival).await.map_err(refusal);
    let reply = taken.and_then(answer);
    if let Some(ticket) = ticket {
        settle(&app.answers, &ticket, &reply).await;
    }
    reply
}

fn ticket(call: &Call, operation: Operation) -> Result<Option<Ticket>, ApiError> {
    let mut keys = call.request.headers().get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    // A key that is passed over would let a retry count twice.
    let is_character = |character: char| character.is_ascii_graphic() || character == ' ';
    let key = key.to_str().ok().filter(|key| (1..=KEY_CHARS).contains(&key.len()) && key.chars().all(is_character));
    let Some(key) = key.filter(|_| keys.next().is_none()) else {
        let detail = format!("Idempotency-Key must be one key of 1 to {KEY_CHARS} visible ASCII characters and spaces");
        return Err(ApiError::unreadable("invalid_idempotency_key", detail));
    };
    let function = operation.route().function;
    let body = call.incoming().raw_body();
    Ok(Some(Ticket::new(call.account_id(), function, key, body)))
}

/// Notes the answer, or gives the claim back if there is none to note. The events are safe either way: if this fails, the
/// same request may come again, and seals the same events again.
async fn settle<A: Answers>(answers: &A, ticket: &Ticket, reply: &Result<Reply, ApiError>) {
    let noted = match reply {
        Ok(reply) => {
            let body = match reply.body() {
                Body::Text(text) => text.clone(),
                _ => String::new(),
            };
            answers.finish(ticket, &Answer { status: reply.status().as_u16(), body }).await
        }
        Err(_) => answers.release(ticket).await,
    };
    if let Err(error) = noted {
        tracing::warn!(error.cause = %error, "an idempotent answer could not be noted");
    }
}

fn replay(answer: Answer) -> Result<Reply, ApiError> {
    let status = StatusCode::from_u16(answer.status).map_err(ApiError::internal)?;
    let mut reply = json_bytes(status, answer.body);
    reply.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(reply)
}

fn running() -> ApiError {
    let detail = "a request with this Idempotency-Key is still being processed";
    ApiError { retry_after_seconds: Some(2), ..ApiError::new(StatusCode::CONFLICT, "request_running", detail) }
}

fn other_body() -> ApiError {
    let detail = "this Idempotency-Key was used with another body: use a new key for a new request";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
}

fn unavailable(error: Unavailable) -> ApiError {
    ApiError::unavailable(error.what, error.cause)
}

fn refusal(error: IngestError) -> ApiError {
    match error {
        IngestError::Unavailable(error) => unavailable(error),
        IngestError::Seal(error) => ApiError::internal(error),
        IngestError::Body(error) => {
            let detail = error.to_string();
            match error {
                BodyError::Json(_) => ApiError::unreadable("invalid_json", detail),
                BodyError::Utf8(_) => ApiError::unreadable("invalid_utf8", detail),
                BodyError::Shape(_) => ApiError::unreadable("invalid_body", detail),
                BodyError::Empty => ApiError::unreadable("empty_batch", detail),
                BodyError::TooManyEvents => ApiError::too_large("too_many_events", detail),
                BodyError::SentAt(problem) => ApiError::invalid(
                    "no event was accepted: see errors",
                    FieldError::of_events(None, vec![(0, vec![problem])]),
                ),
            }
        }
    }
}
