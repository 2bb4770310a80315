-- ---
-- title    = "A KMS key was deleted"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{key_arn} was deleted: {detail}"
-- params.since         = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.lookback_days = { type = "days", default = 35, doc = "look for who scheduled it in so many days before the window" }
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
SELECT
    d.key_arn, max(d.principal) AS principal, max(d.account_id) AS account_id, max(d.region) AS region,
    min(d.event_time) AS first_seen, max(d.event_time) AS last_seen,
    count(DISTINCT d.event_id) AS events,
    evidence(d.event_id, d.event_time) AS evidence,
    coalesce(
        'It was scheduled by ' || last_value(s.principal ORDER BY s.event_time, s.event_id) || '.',
        'Who scheduled it is not known.'
    ) AS detail
FROM control_calls AS d
LEFT JOIN (
    SELECT *
    FROM control_calls
    WHERE event_name = 'ScheduleKeyDeletion' AND event_time >= $since - days($lookback_days)
) AS s ON s.key_arn = d.key_arn
WHERE d.event_name = 'DeleteKey'
  AND NOT d.is_past
GROUP BY d.key_arn
