-- Accepted events. The sorting key ends with the identity of an event (account, name, time, id): rows of the same
-- identity are one event, and the one with the highest `version` stays. A version falls with the time of acceptance, so
-- the first accepted copy wins and sending an event again changes nothing, whatever the later copy says.
CREATE TABLE IF NOT EXISTS events
(
    account_id    LowCardinality(String),
    timestamp     DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    event_name    LowCardinality(String),
    event_id      String CODEC(ZSTD(1)),
    event_type    LowCardinality(String),
    session_id    String CODEC(ZSTD(1)),
    user_id       String CODEC(ZSTD(1)),
    received_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    clock_skew_ms Nullable(Int64) CODEC(ZSTD(1)),
    ip            String CODEC(ZSTD(1)),
    user_agent    String CODEC(ZSTD(1)),
    locale        LowCardinality(String),
    version       UInt64 CODEC(ZSTD(1)),
    -- As sent, in canonical form: compact, one spelling for each number and string.
    properties    String CODEC(ZSTD(1)),
    -- Every string value in `properties`, lower-cased, one a line: what full text looks through.
    text          String CODEC(ZSTD(1)),
    -- The same as `properties`, a column for each path: what filters and metrics read.
    props         JSON(max_dynamic_paths = 128) MATERIALIZED properties CODEC(ZSTD(1)),

    -- Pairs of characters: finds a part of a word in any script, with or without spaces between words.
    INDEX text_pairs text TYPE text(tokenizer = ngrams(2)),
    -- Words of the canonical form: skips to where a property's value can be at all.
    INDEX property_words properties TYPE text(tokenizer = splitByNonAlpha),
    INDEX sessions session_id TYPE bloom_filter(0.01),
    INDEX users user_id TYPE bloom_filter(0.01)
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (account_id, toDate(timestamp), event_name, timestamp, event_id)
TTL toDateTime(timestamp) + INTERVAL {retention_days} DAY
-- Small granules, each in compressed blocks of its own: a search fetches fifty scattered events, and reads the wide
-- columns of a whole granule for each. Smaller granules still would cost inserts more than they save searches.
-- Parts as inserts make them are compact: a file for each of a hundred columns is a quarter of an insert's time. They are
-- merged column by column, which a JSON column's many subcolumns take better than row by row.
SETTINGS
    index_granularity = 512,
    min_compress_block_size = 4096,
    min_bytes_for_wide_part = 67108864,
    vertical_merge_algorithm_min_rows_to_activate = 1;
