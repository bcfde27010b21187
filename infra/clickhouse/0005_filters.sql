-- What filters need to know of lists and objects, whatever else stands in the same insert. `elements` has each text, number and
-- flag of a list as LENGTH_OF_PATH:PATH, its kind (t, n or b) and its text; `objects` has the paths at which objects stand, empty
-- ones included. Inserts bring both; events from before are read from their properties, down to the third level.
ALTER TABLE events ADD COLUMN IF NOT EXISTS elements Array(String) DEFAULT arrayFlatten(arrayMap(
    (path, kind) -> if(startsWith(kind, 'Array'), arrayMap(
        raw -> concat(toString(length(path)), ':', path, multiIf(
            startsWith(raw, '"'), concat('t', JSONExtractString(raw)),
            raw IN ('true', 'false'), concat('b', raw),
            concat('n', raw))),
        arrayFilter(raw -> NOT (raw = 'null' OR startsWith(raw, '[') OR startsWith(raw, '{')), arrayConcat(
            JSONExtractArrayRaw(properties, path),
            JSONExtractArrayRaw(properties, splitByChar('.', path)[1], splitByChar('.', path)[2]),
            JSONExtractArrayRaw(properties, splitByChar('.', path)[1], splitByChar('.', path)[2], splitByChar('.', path)[3])))),
        []),
    mapKeys(JSONAllPathsWithTypes(props)), mapValues(JSONAllPathsWithTypes(props)))) CODEC(ZSTD(1));

ALTER TABLE events ADD COLUMN IF NOT EXISTS objects Array(String) DEFAULT arrayDistinct(arrayFlatten(arrayMap(
    path -> arrayMap(
        length -> arrayStringConcat(arraySlice(splitByChar('.', path), 1, length), '.'),
        range(1, length(splitByChar('.', path)))),
    JSONAllPaths(props)))) CODEC(ZSTD(1));

-- What `props` is made of where that is not the properties as they are: objects in typed properties have another name there.
ALTER TABLE events ADD COLUMN IF NOT EXISTS props_source String EPHEMERAL '' AFTER text;

-- The properties that built-in metrics read have typed columns of their own: no names that accounts choose push them out.
ALTER TABLE events MODIFY COLUMN IF EXISTS props JSON(
    max_dynamic_paths = 128,
    campaignId Dynamic,
    groupId Dynamic,
    senderId Dynamic,
    variantId Dynamic,
    postId Dynamic,
    clickerHash Dynamic,
    botSuspected Dynamic,
    readTrackable Dynamic,
    `final` Dynamic,
    views Dynamic,
    forwards Dynamic,
    reactions Dynamic,
    replies Dynamic,
    members Dynamic,
    amount Dynamic,
    value Dynamic,
    currency Dynamic,
    waitS Dynamic,
    latencyMs Dynamic
) MATERIALIZED if(props_source = '', properties, props_source) CODEC(ZSTD(1));
