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

-- One pass over the calls: a list for each principal, and each call in it against the whole list.
WITH shutdowns AS (
    SELECT
        principal,
        key_account_id AS account_id,
        array_agg(named_struct(
            'at', event_time, 'id', event_id, 'arn', key_arn, 'by', principal, 'account', key_account_id
        )) AS calls
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
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY principal, key_account_id
    HAVING count(DISTINCT key_arn) >= $keys
),
begins AS (
    SELECT calls AS all_calls, unnest(calls) AS first_call
    FROM shutdowns
),
matched AS (
    SELECT first_call['at'] AS begins_at, first_call['id'] AS begin_id, unnest(all_calls) AS next_call
    FROM begins
),
-- Principal and account come from the list: DataFusion 55 holds the columns that the lists were grouped by to be unique
-- after unnest too, and then drops what else is grouped by.
pairs AS (
    SELECT
        next_call['by'] AS principal, next_call['account'] AS account_id, begins_at, begin_id,
        next_call['at'] AS event_time, next_call['id'] AS event_id, next_call['arn'] AS key_arn
    FROM matched
),
-- Every call begins a span of some minutes; those with many keys.
spans AS (
    SELECT
        principal, account_id, begin_id,
        count(DISTINCT key_arn) AS keys,
        array_agg(named_struct('at', event_time, 'id', event_id, 'arn', key_arn)) AS span_calls
    FROM pairs
    WHERE event_time >= begins_at
      AND event_time <= begins_at + CAST(concat($minutes, ' minutes') AS INTERVAL)
    GROUP BY principal, account_id, begin_id
    HAVING count(DISTINCT key_arn) >= $keys
),
members AS (
    SELECT principal, account_id, keys, unnest(span_calls) AS member
    FROM spans
),
-- The calls in any such span, each once.
struck AS (
    SELECT principal, account_id, event_time, event_id, key_arn, max(keys) AS keys
    FROM (
        SELECT principal, account_id, keys, member['at'] AS event_time, member['id'] AS event_id, member['arn'] AS key_arn
        FROM members
    )
    GROUP BY principal, account_id, event_time, event_id, key_arn
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
    min(split_part(key_arn, ':', 4)) AS region,
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
