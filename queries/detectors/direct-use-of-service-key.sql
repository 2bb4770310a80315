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
-- params.news_days = { type = "days", default = 14, doc = "direct use that began so many days before `since`, or later, is no habit yet; of a key that is known for less than twice as long, in the later half of that time" }
-- ---
-- ## What it does
-- Takes the keys that were used at least `baseline_calls` times through AWS services in the baseline, and never directly but in its
-- last `news_days` (of a key with a shorter history, its later half), and there no more than once in fifty calls. It reports each principal that has now used one by calling KMS itself,
-- to encrypt, decrypt or make data keys.
-- ## When it does not judge
-- A key that was used less often through services in the baseline is not evaluated.
-- ## Why it matters
-- With a key that protects a bucket or a database, the service makes all calls. Who calls KMS directly holds
-- ciphertext or data keys outside the service, or tries what the key's policy lets pass.
-- ## False positives
-- Client-side encryption that is new; an administrator who tests a key's policy; a tool that reads an encrypted
-- backup.
-- ## What to do next
-- Ask the principal's owner. If the key is for one service only, say so in its policy (`kms:ViaService`) or declare
-- its `services` in the expectations file.

-- Keys that were used directly in the window and, as far as decryptions tell, never before the last `news_days`: few, of which all is
-- looked at.
WITH used AS (
    SELECT *, via IS NULL AND principal NOT LIKE 'service:%' AS is_direct
    FROM call_counts
    WHERE is_call
      AND usage_class IN ('decrypt', 'encrypt', 'generate')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND half >= date_trunc('day', $since - days($baseline_days))
),
services AS (
    SELECT
        key_arn, sum(calls) FILTER (WHERE NOT is_direct) AS calls, coalesce(sum(calls) FILTER (WHERE is_direct), 0) AS direct_calls,
        first_value(via ORDER BY is_direct, calls DESC, via) AS service
    FROM (
        SELECT key_arn, via, is_direct, sum(calls) AS calls, min(first_seen) AS first_seen
        FROM used
        WHERE is_past
        GROUP BY key_arn, via, is_direct
    )
    GROUP BY key_arn
    HAVING 50 * direct_calls <= calls
       AND coalesce(days_between(min(first_seen) FILTER (WHERE is_direct), $since), 0)
           <= least($news_days, days_between(min(first_seen), $since) / 2)
),
direct AS (
    SELECT
        u.key_arn, u.principal, min(u.account_id) AS account_id, min(u.region) AS region, min(u.first_seen) AS first_seen,
        max(u.last_seen) AS last_seen, sum(u.calls) AS calls, listed(u.event_name) AS operations
    FROM used AS u
    JOIN services AS s ON s.key_arn = u.key_arn
    WHERE u.is_direct AND NOT u.is_past
    GROUP BY u.key_arn, u.principal
),
told AS (
    SELECT d.key_arn, d.principal, evidence(c.event_id, c.event_time) AS evidence
    FROM direct AS d
    JOIN calls AS c ON c.key_arn = d.key_arn AND c.principal = d.principal
    WHERE c.usage_class IN ('decrypt', 'encrypt', 'generate')
      AND c.outcome = 'ok'
      AND c.via IS NULL
      AND c.event_time >= $since AND c.event_time < $until
    GROUP BY d.key_arn, d.principal
)
SELECT
    d.key_arn, d.principal, d.account_id, d.region, d.first_seen, d.last_seen, d.calls AS events, t.evidence,
    concat(
        'direct ', d.operations, '; all ', s.calls, ' calls before came through AWS services, such as ', s.service,
        CASE WHEN s.direct_calls > 0 THEN concat(', but for ', s.direct_calls, ' in the last ', $news_days, ' days') ELSE '' END, '.'
    ) AS detail,
    CASE
        WHEN s.calls < $baseline_calls
        THEN concat(
            'the key was used ', s.calls, ' times before through AWS services; ',
            $baseline_calls, ' are needed to call it a service''s key'
        )
    END AS not_evaluated
FROM direct AS d
JOIN services AS s ON s.key_arn = d.key_arn
JOIN told AS t ON t.key_arn = d.key_arn AND t.principal = d.principal
