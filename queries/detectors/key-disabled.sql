-- ---
-- title    = "A KMS key was disabled"
-- severity = "medium"
-- attack   = ["T1485", "T1489"]
-- needs    = []
-- message  = "{principal} disabled {key_arn}: {detail}"
-- params.recent_days = { type = "days", default = 30, doc = "use in so many days before the call is recent" }
-- ---
-- ## What it does
-- Reports every successful DisableKey, with what used the key in the `recent_days` before it (before the last one,
-- where the key was enabled and disabled again). It is high when anything did, and low when the key was enabled
-- again later in the window. Times are whole seconds, and what is of the same second is not later.
-- ## Why it matters
-- Whatever needs the key fails from then on, some of it only when a cached data key or an attached volume is next
-- asked for. It can be undone at once, and is the usual first step towards deleting a key.
-- ## False positives
-- Keys being retired with care: disabling a key and waiting for failures is what AWS advises before deleting it.
-- ## What to do next
-- Ask the caller. If in doubt, `aws kms enable-key`. See `doomed-key-still-used` for what has failed since.
WITH dependents AS (
    SELECT
        key_arn,
        concat(
            'In the ', $recent_days, ' days before it was used by ', most_often(principal, calls),
            ', through ', most_often(via, calls), coalesce(', for ' || most_often(asset, calls), '')
        ) AS told
    FROM shutdown_uses
    WHERE event_name = 'DisableKey' AND days_before <= $recent_days
    GROUP BY key_arn
)
SELECT
    s.key_arn, s.principal, s.account_id, s.region, s.first_seen, s.last_seen, s.events, s.evidence,
    concat(
        CASE WHEN s.is_undone THEN 'The key was enabled again later. ' ELSE '' END,
        coalesce('The call came through ' || s.via || '. ', ''),
        coalesce(d.told, concat('No use of it is known in the ', $recent_days, ' days before')), '.'
    ) AS detail,
    CASE WHEN s.is_undone THEN 'low' WHEN d.key_arn IS NOT NULL THEN 'high' END AS severity
FROM shutdowns AS s
LEFT JOIN dependents AS d ON d.key_arn = s.key_arn
WHERE s.event_name = 'DisableKey'
