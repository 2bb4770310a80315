-- ---
-- title    = "Many KMS keys were disabled or scheduled for deletion in a few minutes"
-- severity = "critical"
-- attack   = ["T1485", "T1486"]
-- needs    = []
-- message  = "{principal} shut down many keys in account {account_id}: {detail}"
-- params.since   = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until   = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.keys    = { type = "integer", default = 5, doc = "so many different keys are many" }
-- params.minutes = { type = "integer", default = 10, doc = "within so many minutes" }
-- ---
-- ## What it does
-- Reports a principal that disabled, or scheduled for deletion, `keys` or more different keys of one account within
-- `minutes` minutes, whatever their Region.
-- ## Why it matters
-- One key may be a mistake. Many at a time take an account's data away, which is how extortion with KMS works.
-- ## False positives
-- Tearing down a test environment.
-- ## What to do next
-- Take the principal's credentials away, then cancel the deletions and enable the keys: all can be undone until the
-- waiting period ends. Each key has its own finding of `key-deletion-scheduled` or `key-disabled`.

-- A frame has no parameter for its length, so that time is counted in spans: one is `minutes` long. The hundredth of a
-- per mille beyond it is for rounding; events have whole seconds.
WITH shutdowns AS (
    SELECT
        principal,
        key_account_id AS account_id,
        key_arn,
        event_time,
        event_id,
        date_part('epoch', event_time) / (60.0 * $minutes) AS span_time
    FROM calls
    WHERE event_name IN ('DisableKey', 'ScheduleKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND principal IS NOT NULL
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
),
-- How many keys were struck in the span that begins with a call, and then in the largest span that a call is in.
spans AS (
    SELECT *, count(DISTINCT key_arn) OVER span AS keys_ahead
    FROM shutdowns
    WINDOW span AS (
        PARTITION BY principal, account_id
        ORDER BY span_time
        RANGE BETWEEN CURRENT ROW AND 1.00001 FOLLOWING
    )
),
struck AS (
    SELECT *
    FROM (
        SELECT *, max(keys_ahead) OVER span AS keys
        FROM spans
        WINDOW span AS (
            PARTITION BY principal, account_id
            ORDER BY span_time
            RANGE BETWEEN 1.00001 PRECEDING AND CURRENT ROW
        )
    )
    WHERE keys >= $keys
),
-- `turn` is 1 for the first call of each key, and `place` counts these.
turns AS (
    SELECT *, row_number() OVER (PARTITION BY principal, account_id, key_arn ORDER BY event_time, event_id) AS turn
    FROM struck
),
placed AS (
    SELECT *, row_number() OVER (PARTITION BY principal, account_id, turn ORDER BY event_time, key_arn) AS place
    FROM turns
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    principal,
    account_id,
    CAST(NULL AS VARCHAR) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
    concat(
        'Up to ', max(keys), ' keys within ', $minutes, ' minutes, ', count(DISTINCT key_arn), ' in all: ',
        string_agg(key_arn, ', ' ORDER BY event_time, key_arn) FILTER (WHERE turn = 1 AND place <= 5),
        CASE WHEN count(DISTINCT key_arn) > 5 THEN concat(' and ', count(DISTINCT key_arn) - 5, ' more') ELSE '' END,
        '.'
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM placed
GROUP BY principal, account_id
