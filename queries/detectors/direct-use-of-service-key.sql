-- ---
-- title    = "A key that only AWS services had used was used directly"
-- severity = "medium"
-- attack   = ["T1530"]
-- needs    = ["baseline"]
-- message  = "{principal} used {key_arn} directly: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "so many days before `since` tell what is usual" }
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
WITH used AS (
    SELECT
        key_arn, principal, event_time < $since AS is_past, via, count(*) AS calls, min(account_id) AS account_id, min(region) AS region,
        via IS NULL AND principal NOT LIKE 'service:%' AS is_direct
    FROM calls
    WHERE usage_class IN ('decrypt', 'encrypt', 'generate')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since - days($baseline_days)
      AND event_time < $until
    GROUP BY 1, 2, 3, 4
),
services AS (
    SELECT key_arn, sum(calls) AS calls, first_value(via ORDER BY calls DESC, via) AS service
    FROM (SELECT key_arn, via, sum(calls) AS calls, bool_or(is_direct) AS is_direct FROM used WHERE is_past GROUP BY key_arn, via)
    GROUP BY key_arn
    HAVING NOT bool_or(is_direct)
),
news AS (
    SELECT u.key_arn, u.principal, min(u.account_id) AS account_id, min(u.region) AS region, s.calls, s.service
    FROM used AS u
    JOIN services AS s ON s.key_arn = u.key_arn
    WHERE NOT u.is_past AND u.is_direct
    GROUP BY u.key_arn, u.principal, s.calls, s.service
)
SELECT
    n.key_arn,
    n.principal,
    n.account_id,
    n.region,
    min(c.event_time) AS first_seen,
    max(c.event_time) AS last_seen,
    count(*) AS events,
    evidence(c.event_id, c.event_time) AS evidence,
    concat(
        'direct ', listed(c.event_name), '; all ', n.calls, ' calls before came through AWS services, such as ', n.service, '.'
    ) AS detail,
    CASE
        WHEN n.calls < $baseline_calls
        THEN concat(
            'the key was used ', n.calls, ' times before, through AWS services only; ',
            $baseline_calls, ' are needed to call it a service''s key'
        )
    END AS not_evaluated
FROM news AS n
JOIN calls AS c ON c.key_arn = n.key_arn AND c.principal = n.principal
WHERE c.usage_class IN ('decrypt', 'encrypt', 'generate')
  AND c.outcome = 'ok'
  AND c.via IS NULL
  AND c.event_time >= $since
  AND c.event_time < $until
GROUP BY n.key_arn, n.principal, n.account_id, n.region, n.calls, n.service
