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
WITH asked AS (
    SELECT principal, outcome, key_arn, event_time, event_id, coalesce(principal_account_id, account_id) AS home
    FROM calls
    WHERE (event_name IN ('Decrypt', 'ReEncrypt') OR event_name LIKE 'GenerateDataKey%')
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/config.amazonaws.com/%'
      AND (coalesce(session_name, '') <> 'LambdaDescribeHandlerSession'
          OR coalesce(via, '') NOT IN ('config.amazonaws.com', 'lambda.amazonaws.com'))
      AND event_time >= $since - hours(1) AND event_time < $until
),
bursts AS (
    SELECT principal, hour, count(*) FILTER (WHERE outcome = 'denied') AS denials
    FROM (SELECT principal, outcome, event_time, unnest(hours_of(event_time)) AS hour FROM asked)
    GROUP BY principal, hour
    HAVING count(*) FILTER (WHERE outcome = 'denied') >= $denials
       AND 100 * count(*) FILTER (WHERE outcome = 'denied') >= $percent * count(*)
       AND max(CASE WHEN outcome = 'denied' THEN event_time END) >= $since
)
SELECT
    principal, min(home) AS account_id, min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS events,
    evidence(event_id, event_time) AS evidence,
    concat(
        max(denials), ' calls were denied within one hour',
        CASE count(DISTINCT key_arn)
            WHEN 0 THEN '; the log does not tell with which keys'
            WHEN 1 THEN concat(', with one key: ', min(key_arn))
            ELSE concat(', with ', count(DISTINCT key_arn), ' keys: ', listed(key_arn))
        END, '.'
    ) AS detail,
    CASE WHEN count(DISTINCT key_arn) >= $keys THEN 'high' END AS severity
FROM (
    -- A call of half an hour that is in two bursts is one call.
    SELECT a.principal, a.home, a.event_time, a.event_id, a.key_arn, max(b.denials) AS denials
    FROM bursts AS b
    JOIN asked AS a ON a.principal = b.principal AND a.event_time >= b.hour AND a.event_time < b.hour + hours(1)
    WHERE a.outcome = 'denied'
    GROUP BY ALL
)
GROUP BY principal
