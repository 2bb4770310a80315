-- ---
-- title    = "A principal was denied the use of keys again and again"
-- severity = "medium"
-- attack   = ["T1580", "T1530"]
-- needs    = []
-- message  = "{principal} was denied: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what went on at or after it, begun up to an hour before" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.denials = { type = "integer", default = 20, doc = "so many denials within an hour are a burst" }
-- params.keys = { type = "integer", default = 5, doc = "a burst over so many keys is high" }
-- params.percent = { type = "integer", default = 5, doc = "fewer of its calls than this share are the odd failure of a busy one" }
-- ---
-- ## What it does
-- Looks for a principal that was denied Decrypt, ReEncrypt or GenerateDataKey at least `denials` times within one
-- hour, and in at least `percent` of its calls of them. A burst over `keys` different keys is high. Hours begin at
-- every half hour, from the one before `since` on, so that no burst is cut in two by it. There is one finding per
-- principal, under its own account. AWS Config is denied whenever it describes a Lambda function whose environment is
-- encrypted: its service-linked role is left out, and of any other its session `LambdaDescribeHandlerSession` where the
-- calls came through Config or Lambda, which AWS says and no caller can: the name of a session is free to choose. AWS
-- services are left out.
-- ## Why it matters
-- Stolen credentials are tried on everything in reach, and most of it is refused. A denied call is logged in the
-- caller's account only: the owner of a key does not see outsiders being denied.
-- ## False positives
-- A policy that was made too tight: a working application that is denied all at once, with one key. That is worth
-- knowing too.
-- ## What to do next
-- See who the principal is and what it asked for (`keytrail query denied`). One key and one application: look for a
-- change of the key's policy. Many keys: look at the sessions and addresses, and revoke the credentials if nobody
-- knows why.

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH calls_by_half AS (
    SELECT
        principal,
        date_bin(INTERVAL '30 minutes', event_time) AS half,
        CASE WHEN outcome = 'denied' THEN key_arn END AS key_arn,
        count(*) AS calls,
        count(*) FILTER (WHERE outcome = 'denied') AS denials,
        min(event_time) FILTER (WHERE outcome = 'denied') AS first_seen,
        max(event_time) FILTER (WHERE outcome = 'denied') AS last_seen,
        min(coalesce(principal_account_id, account_id)) AS account_id
    FROM calls
    WHERE usage_class IN ('decrypt', 'generate')
      AND (event_name IN ('Decrypt', 'ReEncrypt') OR event_name LIKE 'GenerateDataKey%')
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/config.amazonaws.com/%'
      AND NOT (
          coalesce(session_name, '') = 'LambdaDescribeHandlerSession'
          AND coalesce(via, '') IN ('config.amazonaws.com', 'lambda.amazonaws.com')
      )
      AND event_time >= $since - INTERVAL '1 hour'
      AND event_time < $until
    GROUP BY 1, 2, 3
),
-- Each half hour is in two hours, so that no burst of half an hour is cut in two.
hours AS (
    SELECT *, unnest(make_array(half, half - INTERVAL '30 minutes')) AS hour
    FROM calls_by_half
),
counted AS (
    SELECT
        *,
        sum(denials) OVER (PARTITION BY principal, hour) AS hour_denials,
        sum(calls) OVER (PARTITION BY principal, hour) AS hour_calls,
        max(last_seen) OVER (PARTITION BY principal, hour) AS hour_end
    FROM hours
),
bursts AS (
    SELECT
        principal,
        min(account_id) AS account_id,
        array_to_string(
            array_slice(array_sort(array_agg(DISTINCT key_arn) FILTER (WHERE key_arn IS NOT NULL)), 1, 5), ', '
        ) AS key_names,
        count(DISTINCT key_arn) AS keys,
        sum(denials) AS denials,
        max(most) AS most,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM (
        SELECT
            principal, half, key_arn, denials, first_seen, last_seen, account_id,
            max(hour_denials) AS most
        FROM counted
        WHERE denials > 0
          AND hour_end >= $since
          AND hour_denials >= $denials
          AND hour_denials * 100 >= $percent * hour_calls
        GROUP BY principal, half, key_arn, denials, first_seen, last_seen, account_id
    )
    GROUP BY principal
)
-- The first burst lies within an hour of its first call.
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    b.principal,
    b.account_id,
    CAST(NULL AS VARCHAR) AS region,
    b.first_seen,
    b.last_seen,
    CAST(b.denials AS BIGINT) AS events,
    array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
    concat(
        b.most, ' calls were denied within one hour',
        CASE
            WHEN b.keys = 0 THEN '; the log does not tell with which keys'
            WHEN b.keys = 1 THEN concat(', with one key: ', b.key_names)
            ELSE concat(', with ', b.keys, ' keys: ', b.key_names)
        END,
        CASE WHEN b.keys > 5 THEN concat(' and ', b.keys - 5, ' more') ELSE '' END,
        '.'
    ) AS detail,
    CASE WHEN b.keys >= $keys THEN 'high' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM bursts AS b
JOIN calls AS c
    ON c.principal = b.principal
    AND c.event_time >= b.first_seen
    AND c.event_time < b.first_seen + INTERVAL '1 hour'
WHERE c.usage_class IN ('decrypt', 'generate')
  AND (c.event_name IN ('Decrypt', 'ReEncrypt') OR c.event_name LIKE 'GenerateDataKey%')
  AND c.outcome = 'denied'
  AND NOT (
      coalesce(c.session_name, '') = 'LambdaDescribeHandlerSession'
      AND coalesce(c.via, '') IN ('config.amazonaws.com', 'lambda.amazonaws.com')
  )
  AND c.event_time >= $since - INTERVAL '1 hour'
  AND c.event_time < $until
GROUP BY
    b.principal, b.account_id, b.first_seen, b.last_seen, b.denials, b.most, b.keys, b.key_names
ORDER BY b.principal
