-- Which stored buckets have changed, and when each was computed. A bucket that was computed after its last change, and all
-- shorter ones within it too, is complete. Events mark minutes, and of older days quarters and hours, once they are stored, so
-- that a mark is never older than what it is for. Whoever computes a bucket marks the longer ones that it is a part of.
CREATE TABLE IF NOT EXISTS rollup_buckets
(
    account_id  LowCardinality(String),
    -- Seconds that it is long: 10, 60, 900, 3600 or 86400.
    grain       UInt32,
    bucket      DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    changed_at  SimpleAggregateFunction(max, DateTime64(3, 'UTC')) DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    computed_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (account_id, grain, bucket)
TTL bucket + toIntervalDay(multiIf(grain = 10, 1, grain = 60, 8, {retention_days}));

-- Which series there are of an account: a measure split by some properties. Only those that are ready answer questions.
CREATE TABLE IF NOT EXISTS rollup_series
(
    account_id LowCardinality(String),
    series     UInt64,
    ready      Bool,
    -- Split into too many keys to be kept.
    wide       Bool DEFAULT false,
    changed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY (account_id, series);

-- Computed buckets: one row for all keys of a series, so that a bucket is replaced as a whole.
CREATE TABLE IF NOT EXISTS rollups
(
    account_id LowCardinality(String),
    series     UInt64,
    grain      UInt32,
    bucket     DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    -- When it was computed.
    version    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    -- The values of the series' dimensions; the object for first and last values, by hash.
    keys       Array(Array(LowCardinality(Nullable(String)))) CODEC(ZSTD(1)),
    objects    Array(UInt64) CODEC(ZSTD(1)),
    -- Events or values, their sum (or the first or last value), the smallest and the largest.
    ns         Array(UInt64) CODEC(T64, ZSTD(1)),
    totals     Array(Float64) CODEC(ZSTD(1)),
    lows       Array(Float64) CODEC(ZSTD(1)),
    highs      Array(Float64) CODEC(ZSTD(1)),
    -- Values by bin of their size.
    bin_lists  Array(Tuple(Array(Int32), Array(UInt64))) CODEC(ZSTD(1)),
    -- Different texts, by hash.
    hash_lists Array(Array(UInt64)) CODEC(ZSTD(1)),
    -- When the first or last value was, in milliseconds.
    ats        Array(Int64) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(bucket)
ORDER BY (account_id, series, grain, bucket)
TTL bucket + toIntervalHour(multiIf(grain = 10, 1, grain = 60 OR (grain = 900 AND notEmpty(keys[1])), 120, 24 * {retention_days}))
-- A row may hold one key or some thousand, and a granule is read as a whole.
SETTINGS index_granularity = 256, index_granularity_bytes = 65536;

-- Deletions and other changes of stored events that rollups have taken in.
CREATE TABLE IF NOT EXISTS rollup_mutations
(
    mutation_id String,
    taken_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(taken_at)
ORDER BY mutation_id
TTL toDateTime(taken_at) + INTERVAL 90 DAY;

-- Events that were there before.
INSERT INTO rollup_buckets (account_id, grain, bucket)
SELECT DISTINCT account_id, 60 AS grain, toStartOfMinute(timestamp)
FROM events
WHERE timestamp >= today() - 4
UNION ALL
SELECT DISTINCT account_id, 900 AS grain, toStartOfFifteenMinutes(timestamp)
FROM events
WHERE timestamp < today() - 4
UNION ALL
SELECT DISTINCT account_id, 3600 AS grain, toStartOfHour(timestamp)
FROM events
WHERE timestamp < today() - 4;
