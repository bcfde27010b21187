-- The buckets that a build of new series has computed, so that the next call goes on where the last one ended. `since` is when the
-- build began.
CREATE TABLE IF NOT EXISTS rollup_builds
(
    account_id LowCardinality(String),
    since      DateTime64(3, 'UTC'),
    grain      UInt32,
    bucket     DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    noted_at   DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (account_id, since, grain, bucket)
TTL noted_at + INTERVAL 14 DAY;
