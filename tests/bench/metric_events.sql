-- Events that metrics are made of, as `store-events` would have written them: {count} of them from number {first} on, {step} ms
-- apart, the first {first} * {step} ms after {start} (epoch milliseconds). Every other one is of the account.
INSERT INTO events (account_id, timestamp, event_name, event_id, event_type, session_id, user_id, received_at,
    clock_skew_ms, ip, user_agent, locale, version, properties, text)
WITH
    ['message_queued','message_sent','message_sent','message_sent','message_sent','message_sent','message_delivered',
     'message_delivered','message_delivered','message_delivered','message_read','message_read','message_failed','reply_received',
     'link_clicked','link_clicked','member_joined','member_left','post_stats_sampled','sender_flood_wait','sender_banned',
     'cost_recorded','conversion_recorded'] AS names,
    number AS n,
    cityHash64(n) AS h,
    fromUnixTimestamp64Milli({start} + toInt64(n) * {step}, 'UTC') AS time,
    names[1 + h % length(names)] AS name,
    concat('cmp-', toString(cityHash64(n, 'campaign') % 20)) AS campaign,
    -- A post is in one group, of which its number says which.
    concat('grp-', toString(name = 'post_stats_sampled' ? h % 300 % 100 : cityHash64(n, 'group') % 100)) AS group,
    concat('snd-', toString(cityHash64(n, 'sender') % 50)) AS sender,
    multiIf(
        name = 'message_sent', concat(',"messageType":"text","charactersCount":120,"hasMedia":false,"latencyMs":', toString(20 + h % 900)),
        name = 'message_failed', concat(',"errorClass":"flood","final":', h % 2 = 0 ? 'true' : 'false'),
        name = 'message_delivered', concat(',"readTrackable":', h % 3 = 0 ? 'true' : 'false'),
        name = 'link_clicked', concat(',"linkId":"l1","clickerHash":"u', toString(h % 50000), '","botSuspected":', h % 9 = 0 ? 'true' : 'false'),
        name = 'post_stats_sampled', concat(',"postId":"p', toString(h % 300), '","views":', toString(h % 9000), ',"forwards":3,"reactions":12,"replies":2'),
        name = 'sender_flood_wait', concat(',"waitS":', toString(h % 300)),
        name = 'cost_recorded', concat(',"amount":', toString(h % 100), '.25,"currency":"EUR"'),
        name = 'conversion_recorded', concat(',"value":', toString(h % 500), ',"currency":"EUR"'),
        '') AS own
SELECT
    n % 2 = 0 ? '{account}' : '{account}-other', time, name, toString(generateUUIDv7(n)), splitByChar('_', name)[1],
    '', concat('u-', toString(cityHash64(n, 'user') % 200000)), time + INTERVAL 300 MILLISECOND, NULL, '203.0.113.7',
    'analytics-sdk/1.4.0', 'zh-CN', 18446744073709551615 - bitShiftLeft(toUInt64(toUnixTimestamp64Milli(time) + 300), 22),
    concat('{"campaignId":"', campaign, '","groupId":"', group, '","senderId":"', sender, '","variantId":"', h % 2 = 0 ? 'a' : 'b', '"', own, '}'),
    concat(campaign, '\n', group, '\n', sender)
FROM numbers({first}, {count})
