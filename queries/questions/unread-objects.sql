-- ---
-- title = "Log objects that could not be read, or only in part, and why"
-- params.limit = { type = "integer", default = 1000, doc = "at most this many objects" }
-- ---
-- ## What it answers
-- One row per object of which, at the latest attempt, nothing could be used (`rejected`) or only a part (`partial`). `reason` says
-- why; for an archived object it gives the command that restores it. `in_all` is the total number, before `limit`.
-- ## What to do next
-- Restore or replace the objects and run `keytrail ingest` again: objects that are then read completely are no longer listed.
-- Records rejected from an otherwise readable object are in `rejects`.
WITH latest AS (
    SELECT
        uri,
        max(ingested_at) AS tried_at,
        last_value(state ORDER BY ingested_at) AS state,
        last_value(reason ORDER BY ingested_at) AS reason,
        last_value(account_id ORDER BY ingested_at) AS account_id,
        last_value(region ORDER BY ingested_at) AS region,
        last_value(delivered_at ORDER BY ingested_at) AS delivered_at
    FROM objects
    GROUP BY uri
)
SELECT state, uri, reason, account_id, region, delivered_at, tried_at, count(*) OVER () AS in_all
FROM latest
WHERE state IN ('partial', 'rejected')
ORDER BY state DESC, uri
LIMIT $limit
