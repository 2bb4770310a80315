-- ---
-- title    = "A key that only AWS services had used was used directly"
-- severity = "medium"
-- attack   = ["T1530"]
-- needs    = ["baseline"]
-- message  = "{principal} used {key_arn} directly: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "so many days before `since` tell what is usual" }
-- params.baseline_calls = { type = "integer", default = 50, doc = "calls through services that make it a service's key" }
-- ---
-- ## What it does
-- Takes the keys that were used at least `baseline_calls` times in the baseline, always through an AWS service, and
-- reports each principal that has now used one by calling KMS itself, to encrypt, decrypt or make data keys.
-- ## When it does not judge
-- A key that was used less often in the baseline, though through services only, is not evaluated.
-- ## Why it matters
-- With a key that protects a bucket or a database, the service makes all calls. Who calls KMS directly holds
-- ciphertext or data keys outside the service, or tries what the key's policy lets pass.
-- ## False positives
-- Client-side encryption that is new; an administrator who tests a key's policy; a tool that reads an encrypted
-- backup.
-- ## What to do next
-- Ask the principal's owner. If the key is for one service only, say so in its policy (`kms:ViaService`) or declare
-- its `services` in the expectations file.

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH used AS (
    SELECT
        key_arn,
        principal,
        event_time < $since AS is_past,
        (via IS NULL AND principal NOT LIKE 'service:%') IS TRUE AS is_direct,
        via,
        count(*) AS calls,
        min(account_id) AS account_id,
        min(region) AS region
    FROM calls
    WHERE usage_class IN ('decrypt', 'encrypt', 'generate')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY 1, 2, 3, 4, 5
),
weighed AS (
    SELECT
        *,
        sum(CASE WHEN is_past THEN calls ELSE 0 END) OVER (PARTITION BY key_arn) AS past_calls,
        bool_or(is_past AND is_direct) OVER (PARTITION BY key_arn) AS was_direct,
        first_value(via) OVER (
            PARTITION BY key_arn
            ORDER BY CASE WHEN is_past THEN calls ELSE 0 END DESC, via
        ) AS main_service
    FROM used
),
news AS (
    SELECT
        key_arn,
        principal,
        min(account_id) AS account_id,
        min(region) AS region,
        max(past_calls) AS past_calls,
        max(main_service) AS main_service
    FROM weighed
    WHERE NOT is_past
      AND is_direct
      AND NOT was_direct
      AND past_calls > 0
      AND principal IS NOT NULL
    GROUP BY key_arn, principal
)
SELECT
    n.key_arn,
    n.principal,
    n.account_id,
    n.region,
    min(c.event_time) AS first_seen,
    max(c.event_time) AS last_seen,
    count(c.event_id) AS events,
    coalesce(
        array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id) FILTER (WHERE c.event_id IS NOT NULL), 1, 10),
        make_array()
    ) AS evidence,
    concat(
        'direct ', coalesce(array_to_string(array_sort(array_agg(DISTINCT c.event_name)), ', '), 'use'), '; all ',
        n.past_calls, ' calls before came through AWS services, such as ', n.main_service, '.'
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN n.past_calls < $baseline_calls
        THEN concat(
            'the key was used ', n.past_calls, ' times before, through AWS services only; ',
            $baseline_calls, ' are needed to call it a service''s key'
        )
    END AS not_evaluated
FROM news AS n
LEFT JOIN calls AS c
    ON c.key_arn = n.key_arn
    AND c.principal = n.principal
    AND n.past_calls >= $baseline_calls
    AND c.usage_class IN ('decrypt', 'encrypt', 'generate')
    AND c.outcome = 'ok'
    AND c.via IS NULL
    AND c.event_time >= $since
    AND c.event_time < $until
GROUP BY n.key_arn, n.principal, n.account_id, n.region, n.past_calls, n.main_service
ORDER BY n.key_arn, n.principal
