-- ---
-- title    = "A KMS key was deleted"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{key_arn} was deleted: {detail}"
-- params.since         = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until         = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.lookback_days = { type = "integer", default = 35, doc = "look for who scheduled it in so many days before the window" }
-- ---
-- ## What it does
-- Reports every DeleteKey: AWS KMS deleted a key after its waiting period. It says who had scheduled that, where the
-- call is in the lake and not older than `lookback_days` before the window.
-- ## Why it matters
-- What only this key encrypted is lost. A multi-Region key may still have replicas, which decrypt the same data.
-- ## False positives
-- Keys that were retired on purpose, which is most of them. The finding is the record that it happened.
-- ## What to do next
-- Look at `keytrail who` of the key for what used it last. If a replica is left, make it the primary.
WITH steps AS (
    SELECT key_arn, principal, event_name, key_account_id, key_region, event_time, event_id
    FROM calls
    WHERE event_name IN ('DeleteKey', 'ScheduleKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since - CAST(concat($lookback_days, ' days') AS INTERVAL)
      AND event_time < $until
)
SELECT
    key_arn,
    max(principal) FILTER (WHERE event_name = 'DeleteKey') AS principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) FILTER (WHERE event_name = 'DeleteKey') AS first_seen,
    max(event_time) FILTER (WHERE event_name = 'DeleteKey') AS last_seen,
    count(*) FILTER (WHERE event_name = 'DeleteKey') AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id) FILTER (WHERE event_name = 'DeleteKey'), 1, 10) AS evidence,
    coalesce(
        'It was scheduled by '
            || last_value(principal ORDER BY event_time, event_id) FILTER (WHERE event_name = 'ScheduleKeyDeletion')
            || '.',
        'Who scheduled it is not known.'
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM steps
WHERE event_name = 'ScheduleKeyDeletion' OR event_time >= $since
GROUP BY key_arn
HAVING count(*) FILTER (WHERE event_name = 'DeleteKey') > 0
