-- Events of one account as `store-events` would have written them: {count} of them from number {first} on, {step} ms apart, the
-- first {first} * {step} ms after {start} (epoch milliseconds).
INSERT INTO events (account_id, timestamp, event_name, event_id, event_type, session_id, user_id, received_at,
    clock_skew_ms, ip, user_agent, locale, version, properties, text)
WITH
    ['discount','today','your','order','free','delivery','offer','group','price','join','now','friends','channel','week',
     'members','last','chance','new','collection','gift','the','for','and','with','only','until','sunday','reply','link'] AS english,
    ['скидка','сегодня','для','вас','заказ','бесплатно','доставка','цена','группа','новый','подарок','только','до','вечера',
     'канал','неделя','последний','шанс','друзья','и','в','на','коллекция','распродажа','ответ','ссылка','москва'] AS russian,
    ['优惠','今天','您好','水晶','新品','包邮','链接','群友','价格','活动','限时','点击','到货','老客户','折扣','手链','证书','直播',
     '今晚','免费','报名','的','和','我们','数量','有限','抓紧','时间','茶园','龙井'] AS chinese,
    ['message_sent','message_sent','message_sent','message_sent','message_sent','message_delivered','message_delivered',
     'message_delivered','message_read','message_read','reply_received','link_clicked','message_failed','sender_flood_wait',
     'conversion_recorded','member_joined','member_left','campaign_started','reaction_added'] AS names,
    number AS n,
    cityHash64(n) AS h,
    fromUnixTimestamp64Milli({start} + toInt64(n) * {step}, 'UTC') AS time,
    names[1 + h % length(names)] AS name,
    toString(1 + cityHash64(n, 'campaign') % 400) AS campaign,
    -- Mostly words that everybody writes, some that few do.
    arrayMap(i -> cityHash64(n, i), range(10 + h % 8)) AS draws,
    multiIf(
        h % 3 = 0, arrayStringConcat(arrayMap(d -> d % 10 < 7 ? english[1 + intDiv(d, 10) % length(english)]
            : concat('w', lower(hex(intDiv(d, 10) % 4000))), draws), ' '),
        h % 3 = 1, arrayStringConcat(arrayMap(d -> d % 10 < 7 ? russian[1 + intDiv(d, 10) % length(russian)]
            : concat('ж', lower(hex(intDiv(d, 10) % 4000))), draws), ' '),
        arrayStringConcat(arrayMap(d -> d % 10 < 9 ? chinese[1 + intDiv(d, 10) % length(chinese)]
            : char(0xE5, 0x80 + intDiv(d, 10) % 64, 0x80 + intDiv(d, 640) % 64), draws), '')) AS words,
    -- The rare ones, of which the benchmark knows how many there are.
    concat(name IN ('message_sent', 'reply_received') ? words : 'ok',
        n % 150000 = 77 ? ' zephyrine' : '', n % 150000 = 78 ? '珊瑚' : '') AS message,
    concat('grp-', toString(cityHash64(n, 'group') % 50)) AS group,
    concat('snd-', toString(cityHash64(n, 'sender') % 1000)) AS sender
SELECT
    '{account}', time, name, toString(generateUUIDv7(n)), splitByChar('_', name)[1],
    concat('s-', toString(intDiv(n, 40))), concat('u-', toString(cityHash64(n, 'user') % 200000)), time + INTERVAL 300 MILLISECOND,
    NULL, '203.0.113.7', 'analytics-sdk/1.4.0', 'zh-CN',
    18446744073709551615 - bitShiftLeft(toUInt64(toUnixTimestamp64Milli(time) + 300), 22),
    concat('{"campaignId":"cmp-', campaign, '","groupId":"', group, '","senderId":"', sender, '","messageId":"msg-', toString(n),
        '","charactersCount":', toString(lengthUTF8(message)), ',"latencyMs":', toString(20 + h % 900), ',"text":"', message, '"}'),
    concat('cmp-', campaign, '\n', group, '\n', sender, '\nmsg-', toString(n), '\n', message)
FROM numbers({first}, {count})
