-- ---
-- title    = "Calls fail because a KMS key is disabled or pending deletion"
-- severity = "high"
-- attack   = ["T1489"]
-- needs    = []
-- message  = "{principal} still needs {key_arn}: {detail}"
-- params.since  = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until  = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Reports cryptographic calls that failed because their key was disabled or pending deletion, for each principal and
-- key, with the assets that they named. AWS services are included.
-- ## Why it matters
-- Something depends on a key that someone has taken away. If it is pending deletion, this is the last time to notice.
-- ## False positives
-- Tests of what breaks when a key is disabled: this finding is their result.
-- ## What to do next
-- Cancel the deletion or enable the key, or move what is named here to another key.

-- Which keys are concerned is asked of the log first, since that reads one column of it; usage is then read for these.
WITH doomed AS (
    SELECT unnest(make_array(key_arn, dest_key_arn)) AS key_arn
    FROM kms_events
    WHERE outcome = 'key_unusable'
      AND event_time >= $since AND event_time < $until
),
failed AS (
    SELECT u.*, lower(coalesce(u.error_message, '')) LIKE '%pending%deletion%' AS is_pending
    FROM (SELECT key_arn FROM doomed WHERE key_arn IS NOT NULL GROUP BY key_arn) AS d
    JOIN usage AS u ON u.key_arn = d.key_arn
    WHERE u.outcome = 'key_unusable'
      AND (
          lower(u.error_message) LIKE '%is disabled%'
          OR lower(u.error_message) LIKE '%pending%deletion%'
          OR (coalesce(u.error_message, '') = '' AND u.error_code = 'DisabledException')
      )
      -- ReEncrypt has two keys, and the message names the one that is unusable.
      AND (u.key_role IS NULL OR coalesce(u.error_message, '') NOT LIKE '%:key/%' OR strpos(u.error_message, u.key_arn) > 0)
      AND u.event_time >= $since AND u.event_time < $until
)
SELECT
    key_arn, principal, max(key_account_id) AS account_id, max(key_region) AS region, min(event_time) AS first_seen,
    max(event_time) AS last_seen, count(*) AS events, evidence(event_id, event_time) AS evidence,
    concat(
        counted(count(*), 'call'),
        ' failed, the last a ', last_value(event_name ORDER BY event_time, event_id),
        coalesce(' through ' || last_value(via ORDER BY event_time, event_id), ''), ': the key is ',
        CASE WHEN last_value(is_pending ORDER BY event_time, event_id) THEN 'pending deletion' ELSE 'disabled' END, '.',
        -- Those that failed last come first.
        coalesce(' Assets: ' || listed_in_order(asset, -last_at) || '.', '')
    ) AS detail
FROM (SELECT *, max(date_part('epoch', event_time)) OVER (PARTITION BY key_arn, principal, asset) AS last_at FROM failed)
GROUP BY key_arn, principal
