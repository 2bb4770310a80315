-- ---
-- title    = "A KMS key was scheduled for deletion"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{principal} scheduled {key_arn} for deletion: {detail}"
-- params.recent_days = { type = "days", default = 30, doc = "use in so many days before the call is recent" }
-- params.many_keys   = { type = "integer", default = 10, doc = "more keys than that of one principal, account and Region are told together" }
-- params.short_days  = { type = "integer", default = 10, doc = "a waiting period of at most so many days is short" }
-- ---
-- ## What it does
-- Reports every successful ScheduleKeyDeletion, with what used the key in the `recent_days` before it (before the
-- last one, where a deletion was cancelled and scheduled again). It is critical when anything did, or when the call
-- asked for a waiting period of `short_days` or less (KMS takes 7 to 30 days, and 30 when the call does not say). It
-- is low when the deletion was cancelled later in the window. Times are whole seconds, and what is of the same
-- second is not later. If one principal scheduled more than `many_keys` keys of an account and Region, as a tool does that
-- makes keys and deletes them, they are one finding, as bad as the worst of them, which names those first that were in use.
-- ## Why it matters
-- From that moment the key cannot be used, and after the waiting period nothing that it encrypted can be read again.
-- ## False positives
-- Planned retirement of a key. The lists of dependents show whether it was planned well.
-- ## What to do next
-- Ask the caller. If in doubt, cancel: `aws kms cancel-key-deletion`, then `aws kms enable-key`, since a cancelled key
-- stays disabled. Then look for use that AWS KMS does not log: volumes that stay attached, data keys that are cached.
WITH dependents AS (
    SELECT
        key_arn,
        concat(
            'In the ', $recent_days, ' days before it was used by ', most_often(principal, calls),
            ', through ', most_often(via, calls), coalesce(', for ' || most_often(asset, calls), '')
        ) AS told
    FROM shutdown_uses
    WHERE event_name = 'ScheduleKeyDeletion' AND days_before <= $recent_days
    GROUP BY key_arn
),
-- What is accepted by its key stays a finding of its own.
accepted AS (
    SELECT s.key_arn
    FROM shutdowns AS s
    JOIN acceptances AS a ON matches_any(s.key_arn, make_array(a.key))
    WHERE a.detector = 'key-deletion-scheduled' AND a.until > window_until()
    GROUP BY s.key_arn
),
scheduled AS (
    SELECT
        s.*,
        d.key_arn IS NOT NULL AS is_used,
        concat(
            CASE WHEN s.is_undone THEN 'The deletion was cancelled later. ' ELSE '' END,
            CASE
                WHEN s.waiting_days IS NULL THEN 'The waiting period is the usual 30 days'
                ELSE concat('A waiting period of ', s.waiting_days, ' days was asked for')
            END,
            coalesce(', through ' || s.via, ''), '. ',
            coalesce(d.told, concat('No use of it is known in the ', $recent_days, ' days before')), '.'
        ) AS told,
        a.key_arn IS NULL
            AND count(*) FILTER (WHERE a.key_arn IS NULL) OVER (PARTITION BY s.principal, s.account_id, s.region) > $many_keys
            AS is_one_of_many
    FROM shutdowns AS s
    LEFT JOIN dependents AS d ON d.key_arn = s.key_arn
    LEFT JOIN accepted AS a ON a.key_arn = s.key_arn
    WHERE s.event_name = 'ScheduleKeyDeletion'
)
SELECT
    CASE WHEN NOT is_one_of_many THEN key_arn END AS key_arn,
    principal, account_id, region, min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(events) AS events,
    array_slice(flatten(array_agg(evidence ORDER BY first_seen, key_arn)), 1, 10) AS evidence,
    CASE
        WHEN NOT is_one_of_many THEN max(told)
        ELSE concat(
            count(*), ' keys, ', count(*) FILTER (WHERE is_used), ' of them used in the ', $recent_days, ' days before',
            CASE WHEN bool_or(is_undone) THEN concat(', ', count(*) FILTER (WHERE is_undone), ' kept after all') ELSE '' END, ': ',
            listed_in_order(key_arn, CASE WHEN is_used AND NOT is_undone THEN 0 ELSE 1 END), '.'
        )
    END AS detail,
    CASE
        WHEN bool_and(is_undone) THEN 'low'
        WHEN bool_or(NOT is_undone AND (is_used OR waiting_days <= $short_days)) THEN 'critical'
    END AS severity
FROM scheduled
GROUP BY 1, principal, account_id, region, is_one_of_many
