-- What was refused, with its reason: one row for each event that a batch was accepted without.
CREATE TABLE IF NOT EXISTS rejected_events
(
    account_id  LowCardinality(String),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    -- The request and the place in it: delivering the same sealed batch again replaces, never adds.
    batch_id    String CODEC(ZSTD(1)),
    position    UInt32 CODEC(ZSTD(1)),
    code        LowCardinality(String),
    pointer     String CODEC(ZSTD(1)),
    detail      String CODEC(ZSTD(1)),
    event_name  String CODEC(ZSTD(1)),
    -- The event as it came, cut at 4 KB.
    event       String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (account_id, received_at, batch_id, position)
TTL toDateTime(received_at) + INTERVAL {retention_days} DAY;
