-- ---
-- title = "What each principal used keys for"
-- params.principal = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.since     = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- For each principal: how many keys it used, how often, how often without success, through which AWS services (`direct`
-- is none), and when first and last.
-- ## How it counts
-- Cross-account calls once, dry runs never. A ReEncrypt is one call that uses two keys.

WITH by_key AS (
    SELECT
        principal, principal_type, key_arn, via,
        count(*) FILTER (WHERE (key_role IS DISTINCT FROM 'destination')) AS calls,
        count(*) FILTER (WHERE failed AND (key_role IS DISTINCT FROM 'destination')) AS failures,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM usage
    WHERE ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
    GROUP BY principal, principal_type, key_arn, via
)
SELECT
    principal,
    principal_type,
    count(DISTINCT key_arn) AS keys,
    sum(calls) AS calls,
    sum(failures) AS failures,
    array_sort(array_agg(DISTINCT coalesce(via, 'direct'))) AS services,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen
FROM by_key
GROUP BY principal, principal_type
ORDER BY calls DESC, last_seen DESC, principal, principal_type
