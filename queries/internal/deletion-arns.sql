-- ---
-- title = "ARNs of a key and its siblings"
-- params.key_id  = { type = "text", required = true, doc = "the key's id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", required = true, doc = "the account that owns it" }
-- ---
-- ## What it answers
-- One row per ARN with this id and account that an event or an inventory names. Files are in order of the keys' ARNs, so what is
-- asked by them, not by the id, is answered from a few pages.
SELECT CAST(key_arn AS VARCHAR) AS key_arn
FROM (
    SELECT key_arn FROM call_counts
    UNION ALL
    SELECT dest_key_arn FROM call_counts
    UNION ALL
    SELECT key_arn
    FROM events
    WHERE event_time < horizon_from() OR event_time >= window_until() OR event_time IS NULL
    UNION ALL
    SELECT dest_key_arn
    FROM events
    WHERE event_time < horizon_from() OR event_time >= window_until() OR event_time IS NULL
    UNION ALL
    SELECT key_arn FROM keys
)
WHERE split_part(key_arn, ':key/', 2) = $key_id
  AND split_part(key_arn, ':', 5) = $account
GROUP BY 1
ORDER BY 1
