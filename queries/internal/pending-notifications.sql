-- ---
-- title = "Open findings that a channel of `watch` was not told of yet"
-- params.channel  = { type = "text", required = true, doc = "the channel, as the table notifications names it" }
-- params.severity = { type = "text", default = "medium", doc = "as bad as this, or worse" }
-- ---
-- ## What it answers
-- What `watch` still has to tell on a channel, the worst first: each open finding that is not accepted, is bad enough, and
-- was not told as bad as it is now since it opened. A finding opened (`opened_at`) with the first run that found it after
-- the last one that ended it, which is one that found it resolved, aged or accepted. One that ended and came back is news
-- when an event later than those that were told made it, when it is of no event at all, or when it was accepted in between:
-- a run over another window may lose sight of a finding and meet it again. What got worse is news too; what got better and then as bad
-- again is none. What was told counts for the run that it was told from, not for the instant at which it arrived.
WITH runs AS (
    -- A run that was interrupted may have left findings; what it says of its detectors it says last.
    SELECT
        f.fingerprint,
        f.run_at,
        f.status IN ('resolved', 'aged', 'accepted') AS is_end,
        f.status = 'accepted' AS is_accepted,
        f.last_seen
    FROM findings AS f
    JOIN detections AS d ON d.detector = f.detector AND d.run_at = f.run_at AND d.is_evaluated
),
ended AS (
    SELECT
        fingerprint,
        max(run_at) AS ended_at,
        max(CASE WHEN is_accepted THEN run_at END) AS accepted_at
    FROM runs
    WHERE is_end
    GROUP BY fingerprint
),
opened AS (
    SELECT r.fingerprint, min(r.run_at) AS opened_at, max(e.accepted_at) AS accepted_at, max(r.last_seen) AS last_seen
    FROM runs AS r
    LEFT JOIN ended AS e ON e.fingerprint = r.fingerprint
    WHERE e.ended_at IS NULL OR r.run_at > e.ended_at
    GROUP BY r.fingerprint
),
ranks AS (
    SELECT * FROM (VALUES ('info', 0), ('low', 1), ('medium', 2), ('high', 3), ('critical', 4)) AS t (severity, rank)
),
told AS (
    SELECT n.fingerprint, max(s.rank) AS rank
    FROM notifications AS n
    JOIN ranks AS s ON s.severity = n.severity
    JOIN opened AS b ON b.fingerprint = n.fingerprint
    LEFT JOIN runs AS t ON t.fingerprint = n.fingerprint AND t.run_at = n.run_at
    WHERE n.channel = $channel
      AND (b.accepted_at IS NULL OR n.run_at > b.accepted_at)
      AND (n.run_at >= b.opened_at OR t.last_seen >= b.last_seen)
    GROUP BY n.fingerprint
)
SELECT
    o.severity,
    o.status,
    o.detector,
    o.message,
    o.key_arn,
    o.principal,
    o.account_id,
    o.region,
    o.asset,
    o.first_seen,
    o.last_seen,
    o.events,
    o.evidence,
    o.detail,
    o.fingerprint,
    b.opened_at,
    o.run_at
FROM open_findings AS o
JOIN ranks AS s ON s.severity = o.severity
JOIN opened AS b ON b.fingerprint = o.fingerprint
LEFT JOIN told AS t ON t.fingerprint = o.fingerprint
WHERE o.status <> 'accepted'
  AND s.rank >= coalesce((SELECT max(rank) FROM ranks WHERE severity = $severity), 0)
  AND (t.rank IS NULL OR t.rank < s.rank)
ORDER BY s.rank DESC, o.last_seen DESC, o.fingerprint
