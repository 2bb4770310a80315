-- ---
-- title    = "Many KMS keys were disabled or scheduled for deletion in a few minutes"
-- severity = "critical"
-- attack   = ["T1485", "T1486"]
-- needs    = []
-- message  = "{principal} shut down many keys in account {account_id}: {detail}"
-- params.since   = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.keys    = { type = "integer", default = 5, doc = "so many different keys are many" }
-- params.minutes = { type = "minutes", default = 10, doc = "within so many minutes" }
-- ---
-- ## What it does
-- Reports a principal that disabled, or scheduled for deletion, `keys` or more different keys of one account within
-- `minutes` minutes, whatever their Region. What began in the minutes before `since` and went on in the window is
-- counted from its beginning.
-- ## Why it matters
-- One key may be a mistake. Many at a time take an account's data away, which is how extortion with KMS works.
-- ## False positives
-- Tearing down a test environment.
-- ## What to do next
-- Take the principal's credentials away, then cancel the deletions and enable the keys: all can be undone until the
-- waiting period ends. Each key has its own finding of `key-deletion-scheduled` or `key-disabled`.
WITH strikes AS (
    SELECT *
    FROM control_calls
    WHERE event_name IN ('DisableKey', 'ScheduleKeyDeletion')
      AND NOT is_aws
      AND event_time >= $since - minutes($minutes)
),
-- How many keys were struck in the minutes that begin with a call.
bursts AS (
    SELECT a.principal, a.account_id, a.event_time AS begun_at, count(DISTINCT b.key_arn) AS keys
    FROM (SELECT principal, account_id, event_time FROM strikes GROUP BY principal, account_id, event_time) AS a
    JOIN strikes AS b
        ON b.principal = a.principal
        AND b.account_id = a.account_id
        AND b.event_time >= a.event_time
        AND b.event_time <= a.event_time + minutes($minutes)
    GROUP BY a.principal, a.account_id, a.event_time
    HAVING count(DISTINCT b.key_arn) >= $keys AND max(b.event_time) >= $since
),
struck AS (
    SELECT s.principal, s.account_id, s.key_arn, s.event_time, s.event_id, max(b.keys) AS keys
    FROM bursts AS b
    JOIN strikes AS s
        ON s.principal = b.principal
        AND s.account_id = b.account_id
        AND s.event_time >= b.begun_at
        AND s.event_time <= b.begun_at + minutes($minutes)
    GROUP BY s.principal, s.account_id, s.key_arn, s.event_time, s.event_id
)
SELECT
    principal, account_id, min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS events,
    evidence(event_id, event_time) AS evidence,
    concat(
        'Up to ', max(keys), ' keys within ', $minutes, ' minutes, ', count(DISTINCT key_arn), ' in all: ',
        listed_in_order(key_arn, date_part('epoch', event_time)), '.'
    ) AS detail
FROM struck
GROUP BY principal, account_id
