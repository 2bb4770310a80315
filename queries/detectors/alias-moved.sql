-- ---
-- title    = "An alias was pointed at another KMS key"
-- severity = "low"
-- attack   = ["T1565", "T1486"]
-- needs    = []
-- message  = "{principal} pointed an alias at {key_arn}: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.recent_days = { type = "integer", default = 30, doc = "use of the alias in so many days before the window is recent" }
-- ---
-- ## What it does
-- Reports a successful UpdateAlias by which an alias names another key than before, and a CreateAlias of an alias that
-- is known to have named another key: deleting an alias and making it again moves it, too. It is high when something
-- used a key by that alias between `recent_days` before the window and the call. Which key it named before is told by
-- earlier calls that named the alias, within the same time, or by an inventory; if neither knows, the finding of an
-- UpdateAlias says so.
-- ## Why it matters
-- Whatever encrypts by the alias encrypts with the new key from then on, without a change of its own. If the new key
-- is someone else's to destroy, so is the data.
-- ## False positives
-- Rotating by hand: making a new key and moving the alias to it.
-- ## What to do next
-- Ask who moved it. Move it back with `aws kms update-alias`, and look for what was encrypted with the new key
-- meanwhile.
WITH moved AS (
    SELECT key_arn, principal, key_account_id, key_region, key_alias, event_name, event_time, event_id
    FROM calls
    WHERE event_name IN ('UpdateAlias', 'CreateAlias')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND key_alias IS NOT NULL
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
),
-- Successful calls only: one that failed may name a key that the alias never named. Few aliases come first in the join.
-- Times are whole seconds: an alias may be deleted in the second in which it is made again.
named AS (
    SELECT
        m.key_arn, m.principal, m.key_account_id, m.key_region, m.key_alias, m.event_name, m.event_time, m.event_id,
        -- A call of the second in which the alias was pointed at a key may have come before that.
        last_value(
            e.key_arn ORDER BY e.event_time, e.event_name IN ('CreateAlias', 'UpdateAlias'), e.event_id
        ) FILTER (WHERE e.key_arn IS NOT NULL) AS named_arn,
        -- A call that two accounts logged is one.
        count(DISTINCT coalesce(e.shared_event_id, e.event_id)) FILTER (
            WHERE e.usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
        ) AS uses
    FROM moved AS m
    LEFT JOIN kms_events AS e
        ON e.key_alias = m.key_alias
        AND e.key_account_id = m.key_account_id
        AND e.key_region = m.key_region
        AND (
            e.event_time < m.event_time
            OR (
                e.event_time = m.event_time
                AND e.event_name = 'DeleteAlias'
                AND m.event_name = 'CreateAlias'
                AND e.key_arn <> m.key_arn
            )
        )
        AND e.outcome = 'ok'
        AND e.original_event_id IS NULL
        AND e.event_time >= $since - CAST(concat($recent_days, ' days') AS INTERVAL)
        AND e.event_time < $until
    GROUP BY m.key_arn, m.principal, m.key_account_id, m.key_region, m.key_alias, m.event_name, m.event_time, m.event_id
),
found AS (
    SELECT
        n.key_arn, n.principal, n.key_account_id, n.key_region, n.key_alias, n.event_name, n.event_time, n.event_id, n.uses,
        coalesce(n.named_arn, last_value(k.key_arn ORDER BY k.taken_at, k.key_arn)) AS before_arn
    FROM named AS n
    LEFT JOIN keys AS k
        ON k.account_id = n.key_account_id
        AND k.region = n.key_region
        AND k.taken_at < n.event_time
        AND strpos(k.aliases, concat('"', n.key_alias, '"')) > 0
    GROUP BY
        n.key_arn, n.principal, n.key_account_id, n.key_region, n.key_alias, n.event_name, n.event_time, n.event_id, n.uses,
        n.named_arn
),
-- `turn` is 1 for the first of the moves that are alike, and `place` counts these.
turns AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY key_arn, principal, key_alias, before_arn ORDER BY event_time, event_id
        ) AS turn
    FROM found
    WHERE (before_arn IS DISTINCT FROM key_arn)
      AND (event_name = 'UpdateAlias' OR before_arn IS NOT NULL)
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY key_arn, principal, turn ORDER BY event_time, event_id) AS place,
        concat(
            key_alias,
            CASE
                WHEN before_arn IS NULL THEN ' (which key it named before is not known)'
                ELSE concat(', which named ', before_arn, ' before')
            END,
            CASE WHEN uses > 0 THEN concat(' and was used ', uses, ' times lately') ELSE '' END
        ) AS text
    FROM turns
)
SELECT
    key_arn,
    principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
    concat(
        string_agg(text, '; ' ORDER BY event_time, event_id) FILTER (WHERE turn = 1 AND place <= 5),
        CASE
            WHEN count(*) FILTER (WHERE turn = 1) > 5 THEN concat(' and ', count(*) FILTER (WHERE turn = 1) - 5, ' more')
            ELSE ''
        END,
        '.'
    ) AS detail,
    CASE WHEN max(uses) > 0 THEN 'high' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM placed
GROUP BY key_arn, principal
