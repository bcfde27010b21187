-- What an expert keeps by the hour to answer the questions of the benchmark: tables, each with the rows that events add to it.
-- Counts and sums, by the splits that are asked for.
CREATE TABLE bench_rollups
(
    account_id LowCardinality(String),
    split      LowCardinality(String),
    event_name LowCardinality(String),
    hour       DateTime('UTC'),
    key1       LowCardinality(String),
    key2       LowCardinality(String),
    events     SimpleAggregateFunction(sum, UInt64),
    -- Of the one property that events of this name are summed by.
    amount     SimpleAggregateFunction(sum, Float64)
)
ENGINE = AggregatingMergeTree
ORDER BY (account_id, split, event_name, hour, key1, key2);

SELECT
    account_id,
    line.1 AS split,
    event_name,
    toStartOfHour(timestamp) AS hour,
    line.2 AS key1,
    line.3 AS key2,
    count() AS events,
    sum(p.waitS + p.amount + p.value) AS amount
FROM
(
    SELECT
        account_id,
        event_name,
        timestamp,
        JSONExtract(properties, 'Tuple(campaignId String, groupId String, senderId String, waitS Float64, amount Float64,
            value Float64)') AS p
    FROM events
    WHERE {range}
)
ARRAY JOIN
    [('total', '', ''), ('campaign', p.campaignId, ''), ('campaign and group', p.campaignId, p.groupId), ('sender', p.senderId, '')]
    AS line
GROUP BY account_id, split, event_name, hour, key1, key2;

-- Percentiles and different values.
CREATE TABLE bench_rollup_states
(
    account_id LowCardinality(String),
    event_name LowCardinality(String),
    hour       DateTime('UTC'),
    events     SimpleAggregateFunction(sum, UInt64),
    latency    AggregateFunction(quantileTDigest(0.95), Float64),
    clickers   AggregateFunction(uniq, String),
    senders    AggregateFunction(uniq, String),
    pairs      AggregateFunction(uniq, String, String)
)
ENGINE = AggregatingMergeTree
ORDER BY (account_id, event_name, hour);

SELECT
    account_id,
    event_name,
    toStartOfHour(timestamp) AS hour,
    count() AS events,
    quantileTDigestStateIf(0.95)(assumeNotNull(p.latencyMs), isNotNull(p.latencyMs)) AS latency,
    uniqStateIf(p.clickerHash, p.clickerHash != '' AND NOT p.botSuspected) AS clickers,
    uniqStateIf(p.senderId, p.senderId != '') AS senders,
    uniqStateIf(p.groupId, p.clickerHash, p.clickerHash != '' AND NOT p.botSuspected) AS pairs
FROM
(
    SELECT
        account_id,
        event_name,
        timestamp,
        JSONExtract(properties, 'Tuple(groupId String, senderId String, clickerHash String, botSuspected Bool, latencyMs Nullable(Float64))') AS p
    FROM events
    WHERE {range}
)
GROUP BY account_id, event_name, hour;

-- The last sample of each post.
CREATE TABLE bench_rollup_posts
(
    account_id LowCardinality(String),
    hour       DateTime('UTC'),
    group_id   LowCardinality(String),
    post_id    String,
    forwards   AggregateFunction(argMax, Float64, DateTime64(3, 'UTC')),
    reactions  AggregateFunction(argMax, Float64, DateTime64(3, 'UTC')),
    replies    AggregateFunction(argMax, Float64, DateTime64(3, 'UTC')),
    views      AggregateFunction(argMax, Float64, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (account_id, hour, group_id, post_id);

SELECT
    account_id,
    toStartOfHour(timestamp) AS hour,
    p.groupId AS group_id,
    p.postId AS post_id,
    argMaxState(p.forwards, timestamp) AS forwards,
    argMaxState(p.reactions, timestamp) AS reactions,
    argMaxState(p.replies, timestamp) AS replies,
    argMaxState(p.views, timestamp) AS views
FROM
(
    SELECT
        account_id,
        timestamp,
        JSONExtract(properties, 'Tuple(groupId String, postId String, forwards Float64, reactions Float64, replies Float64,
            views Float64)') AS p
    FROM events
    WHERE event_name = 'post_stats_sampled' AND {range}
)
GROUP BY account_id, hour, group_id, post_id;
