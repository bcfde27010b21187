//! Sealed batches into the tables. Everything a row holds was settled when its batch was sealed, so inserting a batch
//! again, with any others, adds nothing: the engine keeps one row for each sorting key.

use std::collections::BTreeSet;

use analytics_domain::{
    account::AccountId,
    event::{SealError, SealedBatch, canonical_properties, open, version},
    metric::Grain,
};
use clickhouse::{Row, insert::Insert};
use serde::Serialize;

use crate::{EventWarehouse, INSERT_TIMEOUT, MOST_PARTITIONS, WarehouseError, classify};

#[derive(Row, Serialize)]
struct EventRow<'a> {
    account_id: &'a str,
    timestamp: i64,
    event_name: &'a str,
    event_id: &'a str,
    event_type: &'a str,
    session_id: &'a str,
    user_id: &'a str,
    received_at: i64,
    clock_skew_ms: Option<i64>,
    ip: &'a str,
    user_agent: &'a str,
    locale: &'a str,
    version: u64,
    properties: &'a str,
    text: &'a str,
    elements: &'a [String],
    objects: &'a [String],
    props_source: &'a str,
}

#[derive(Row, Serialize)]
struct RejectedRow<'a> {
    account_id: &'a str,
    received_at: i64,
    batch_id: &'a str,
    position: u32,
    code: &'a str,
    pointer: &'a str,
    detail: &'a str,
    event_name: &'a str,
    event: &'a str,
}

impl EventWarehouse {
    /// Stores the events of all sealed batches, accepted and rejected, with one insert each. Batches are opened one after
    /// another on their way, so that memory holds one of them however many there are. Returns the accounts whose stored
    /// buckets have changed.
    ///
    /// # Errors
    /// If ClickHouse has not confirmed them; some or all may be stored all the same, and storing them again is harmless.
    pub async fn store(&self, messages: &[&str]) -> Result<BTreeSet<AccountId>, WarehouseError> {
        self.checked(self.insert_all(messages).await).await
    }

    async fn insert_all(&self, messages: &[&str]) -> Result<BTreeSet<AccountId>, WarehouseError> {
        let mut accepted = self
            .insert::<EventRow>("events")
            .await?
            // The first merge makes these, a few seconds later. Until then the few new rows are looked through without.
            .with_setting("exclude_materialize_skip_indexes_on_insert", "text_pairs,property_words")
            // Copies of an event within a batch can wait for a merge too: whoever reads tells them apart.
            .with_setting("optimize_on_insert", "0")
            // Two paths of one name ({"a":{"b":1},"a.b":2}) keep the first.
            .with_setting("type_json_skip_duplicated_paths", "1")
            // A text that looks like a date stays a text.
            .with_setting("input_format_try_infer_dates", "0")
            .with_setting("input_format_try_infer_datetimes", "0");
        let mut rejected = self.insert::<RejectedRow>("rejected_events").await?;
        let now = analytics_platform::now_millis();
        let mut buckets = BTreeSet::new();
        for message in messages {
            let bytes = open(message).map_err(unreadable)?;
            let batch = SealedBatch::from_bytes(&bytes).map_err(unreadable)?;
            write_accepted(&mut accepted, &batch).await?;
            let changed = batch.events.iter().flat_map(|event| {
                let grains = Grain::changed_by(event.timestamp, now).iter();
                grains.map(|grain| (grain.seconds(), grain.floor(event.timestamp)))
            });
            let changed: BTreeSet<(u32, i64)> = changed.collect();
            let account_id = AccountId::stored(&batch.account_id);
            buckets.extend(changed.into_iter().map(|(grain, start)| (account_id.clone(), grain, start)));
            write_rejected(&mut rejected, &batch).await?;
        }
        accepted.end().await.map_err(classify)?;
        rejected.end().await.map_err(classify)?;
        self.mark_changed(&buckets).await?;
        Ok(buckets.into_iter().map(|(account_id, ..)| account_id).collect())
    }

    /// An insert, of which ClickHouse hears only if a row is written.
    pub(crate) async fn insert<T: Row>(&self, table: &str) -> Result<Insert<T>, WarehouseError> {
        let insert = self.client().await?.insert::<T>(table).await.map_err(classify)?;
        // It is a batch already: the server needs not wait for others to put with it.
        let insert = insert.with_timeouts(Some(INSERT_TIMEOUT), Some(INSERT_TIMEOUT)).with_setting("async_insert", "0");
        // The partitions are months. ClickHouse's own limit, 100, is below the longest retention: ten years and an hour.
        let insert = insert.with_setting("max_partitions_per_insert_block", MOST_PARTITIONS);
        // Questions go first: somebody waits for them.
        Ok(insert.with_setting("os_threads_nice_value_query", "10"))
    }
}

fn unreadable(error: SealError) -> WarehouseError {
    WarehouseError::InvalidRows(error.to_string())
}

async fn write_accepted(insert: &mut Insert<EventRow<'_>>, batch: &SealedBatch<'_>) -> Result<(), WarehouseError> {
    for event in &batch.events {
        let canonical = canonical_properties(&event.properties)
            // Words about JSON may quote it.
            .map_err(|_| WarehouseError::InvalidRows("properties that are no JSON object".to_owned()))?;
        let context = batch.context_of(event);
        let row = EventRow {
            account_id: &batch.account_id,
            timestamp: event.timestamp,
            event_name: &event.event_name,
            event_id: &event.event_id,
            event_type: &event.event_type,
            session_id: &event.session_id,
            user_id: &event.user_id,
            received_at: batch.received_at,
            clock_skew_ms: context.clock_skew_ms,
            ip: context.ip,
            user_agent: context.user_agent,
            locale: context.locale,
            version: version(batch.received_at, event.position, &batch.batch_id),
            properties: &canonical.json,
            text: &canonical.text,
            elements: &canonical.elements,
            objects: &canonical.objects,
            props_source: &canonical.source,
        };
        insert.write(&row).await.map_err(classify)?;
    }
    Ok(())
}

async fn write_rejected(insert: &mut Insert<RejectedRow<'_>>, batch: &SealedBatch<'_>) -> Result<(), WarehouseError> {
    for event in &batch.rejected {
        let row = RejectedRow {
            account_id: &batch.account_id,
            received_at: batch.received_at,
            batch_id: &batch.batch_id,
            position: event.position,
            code: event.code.name(),
            pointer: &event.pointer,
            detail: &event.detail,
            event_name: &event.event_name,
            event: &event.event,
        };
        insert.write(&row).await.map_err(classify)?;
    }
    Ok(())
}
