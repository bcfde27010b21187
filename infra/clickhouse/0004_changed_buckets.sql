-- What has changed lately is found without reading what has not: a call that computes rollups asks for the buckets that were
-- marked or computed since it last looked.
ALTER TABLE rollup_buckets ADD INDEX IF NOT EXISTS lately (changed_at, computed_at) TYPE minmax GRANULARITY 1;

ALTER TABLE rollup_buckets MATERIALIZE INDEX IF EXISTS lately;

-- Events mark the quarters, hours and days of their minutes too, since the marks of minutes are deleted after eight days,
-- whether or not somebody has computed them. This marks them for the minutes that are waiting now.
INSERT INTO rollup_buckets (account_id, grain, bucket, changed_at)
SELECT account_id, longer, toDateTime(intDiv(toUnixTimestamp(bucket), longer) * longer, 'UTC') AS start, max(changed)
FROM
(
    SELECT account_id, bucket, max(changed_at) AS changed, max(computed_at) AS computed
    FROM rollup_buckets
    WHERE grain = 60
    GROUP BY account_id, bucket
    HAVING computed <= changed
)
ARRAY JOIN [900, 3600, 86400] AS longer
GROUP BY account_id, longer, start;
