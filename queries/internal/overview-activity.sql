-- ---
-- title = "Decrypts of a time in parts: by day and service, by key and principal, by key and day"
-- params.since  = { type = "timestamp", required = true, doc = "calls at or after this instant" }
-- params.until  = { type = "timestamp", required = true, doc = "calls before this instant" }
-- params.recent = { type = "timestamp", required = true, doc = "calls at or after this instant count as `recent` as well" }
-- params.limit  = { type = "integer", default = 1000, doc = "at most so many rows of the part `pair`, those with the most decrypts" }
-- ---
-- ## What it answers
-- Rows of five parts, by `part`: `all` (one row), `day` (per day and service; `via` is null for direct calls), `key`, `pair` (key
-- and principal) and `key_day`. `decrypts` are calls that decrypted
-- (Decrypt, ReEncrypt, DeriveSharedSecret, Decapsulate) and succeeded, between `first_seen` and `last_seen`; `failed` did not succeed, `recent` are
-- those of `decrypts` at or after the instant of that name. `in_part` is how many rows the part has in all. Cross-account calls count once; ReEncrypt is a decrypt under its
-- source key; dry runs are no calls. A call whose record names no key is in `all` and `day` only.
WITH fine AS (
    SELECT
        CAST(half AS DATE) AS day,
        via,
        key_arn,
        principal,
        coalesce(sum(calls) FILTER (WHERE outcome = 'ok'), 0) AS decrypts,
        coalesce(sum(calls) FILTER (WHERE outcome IS DISTINCT FROM 'ok'), 0) AS failed,
        coalesce(sum(calls) FILTER (WHERE outcome = 'ok' AND half > $recent), 0) AS recent,
        min(first_seen) FILTER (WHERE outcome = 'ok') AS first_seen,
        max(last_seen) FILTER (WHERE outcome = 'ok') AS last_seen
    FROM use_counts
    WHERE usage_class = 'decrypt'
      AND (key_role IS DISTINCT FROM 'destination')
      AND last_seen >= $since
    GROUP BY CAST(half AS DATE), via, key_arn, principal
    UNION ALL
    -- Of the half hour in which the news begin, what is of them.
    SELECT event_date, via, key_arn, principal, 0, 0, count(*), NULL, NULL
    FROM decrypts
    WHERE event_time >= $recent
      AND event_time < date_bin(INTERVAL '30 minutes', $recent) + minutes(30)
      AND event_time < $until
    GROUP BY event_date, via, key_arn, principal
),
grouped AS (
    SELECT
        CASE
            WHEN grouping(via) = 0 THEN 'day'
            WHEN grouping(principal) = 0 THEN 'pair'
            WHEN grouping(day) = 0 THEN 'key_day'
            WHEN grouping(key_arn) = 0 THEN 'key'
            ELSE 'all'
        END AS part,
        day,
        via,
        key_arn,
        principal,
        sum(decrypts) AS decrypts,
        sum(failed) AS failed,
        sum(recent) AS recent,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM fine
    GROUP BY GROUPING SETS ((), (day, via), (key_arn), (key_arn, principal), (key_arn, day))
),
placed AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY part) AS in_part,
        row_number() OVER (
            PARTITION BY part ORDER BY decrypts DESC, failed DESC, key_arn, principal, day, via
        ) AS place
    FROM grouped
    WHERE decrypts + failed > 0
      AND (part IN ('all', 'day') OR key_arn IS NOT NULL)
)
SELECT part, in_part, day, via, key_arn, principal, decrypts, failed, recent, first_seen, last_seen
FROM placed
WHERE part <> 'pair' OR place <= $limit
ORDER BY part, day, place
