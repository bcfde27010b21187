//! What one call takes on. SQS hands over messages by their packed size, which says little about the work in them: events
//! that repeat each other pack 170 to 1, and lists are stored with their paths. Here the bytes that are stored are counted.

use std::collections::HashMap;

use analytics_domain::{
    account::AccountId,
    event::{SealError, SealedBatch, derived_bytes, open},
};
use analytics_messaging::Message;

/// Plain bytes of one insert. ClickHouse takes them in less than a second, and a processor that is busy with them keeps no
/// other call waiting for long.
pub const INSERT_BYTES: usize = 16 * 1024 * 1024;
/// Plain bytes of one call. A full call of events that pack 14 to 1 has as many; ordinary ones pack 4 to 8 to 1.
pub const CALL_BYTES: usize = 4 * INSERT_BYTES;

/// A message whose sealed batch can be read.
pub struct Sealed<'m> {
    pub message: &'m Message,
    pub account_id: AccountId,
    /// Accepted events.
    pub events: usize,
    /// Plain bytes, and what the event store keeps of lists beside them.
    pub bytes: usize,
}

impl<'m> Sealed<'m> {
    /// Reads what a message holds, as far as it must be known.
    pub fn read(message: &'m Message) -> Result<Self, SealError> {
        let bytes = open(&message.body)?;
        let batch = SealedBatch::from_bytes(&bytes)?;
        let derived: usize = batch.events.iter().map(|event| derived_bytes(&event.properties)).sum();
        Ok(Self {
            message,
            account_id: AccountId::stored(&batch.account_id),
            events: batch.events.len(),
            bytes: bytes.len() + derived,
        })
    }
}

/// The work of one call.
#[derive(Default)]
pub struct Portions<'m> {
    /// What is inserted together.
    pub inserts: Vec<Vec<Sealed<'m>>>,
    /// What is more than one call may take on.
    pub beyond: Vec<Sealed<'m>>,
}

/// Shares a call out among the accounts: what an account has sent first goes before what others have sent second, whatever the
/// order in which messages were handed over. An account that sends a lot delays itself.
pub fn portions(messages: Vec<Sealed<'_>>) -> Portions<'_> {
    let mut sent: HashMap<AccountId, usize> = HashMap::new();
    let mut ranked: Vec<(usize, Sealed<'_>)> = Vec::with_capacity(messages.len());
    for message in messages {
        let before = sent.entry(message.account_id.clone()).or_default();
        let rank = *before;
        *before += message.bytes;
        ranked.push((rank, message));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut portions = Portions::default();
    let (mut in_call, mut in_insert) = (0, 0);
    for (_, message) in ranked {
        // The first one is always taken: one that is too large alone would never be stored.
        if in_call > 0 && in_call + message.bytes > CALL_BYTES {
            portions.beyond.push(message);
            continue;
        }
        in_call += message.bytes;
        match portions.inserts.last_mut() {
            Some(insert) if in_insert + message.bytes <= INSERT_BYTES => {
                in_insert += message.bytes;
                insert.push(message);
            }
            _ => {
                in_insert = message.bytes;
                portions.inserts.push(vec![message]);
            }
        }
    }
    portions
}
