-- ---
-- title = "Events with an impossible time, which all other answers leave out"
-- params.limit = { type = "integer", default = 1000, doc = "at most so many events" }
-- ---
-- ## What it answers
-- One row per event dated before CloudTrail existed, or more than a day after data was last added to the lake (see the view
-- `untimely_events`): what it says of itself, and where its record lies. `in_all` is how many there are, when `limit` leaves
-- some out.
-- ## Why
-- CloudTrail does not write such times. Either a clock was wrong where a copy of the log was made or changed, or someone
-- with write access to the bucket wrote the record: read the record with `keytrail event ID`, and check its object with
-- `keytrail verify`.
-- ## Caveats
-- A call at an impossible time is a call all the same. When it was is not known, so that nothing of a window can be said
-- of it.
SELECT
    event_time,
    event_name,
    outcome,
    coalesce(key_arn, key_alias) AS key,
    principal,
    account_id,
    region,
    event_id,
    source_object,
    record_index,
    count(*) OVER () AS in_all
FROM untimely_events
ORDER BY event_time, source_object, record_index
LIMIT $limit
