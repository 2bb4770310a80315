-- ---
-- title = "Sessions that principals opened: roles that they assumed, and tokens that they took"
-- params.principal = { type = "text", doc = "only sessions that this principal opened; `*` stands for any characters" }
-- params.session   = { type = "text", doc = "only those that this session opened, by its name or its STS ARN" }
-- params.source_ip = { type = "text", doc = "only those that were opened from this address" }
-- params.since     = { type = "timestamp", doc = "only those that began at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only those that began before this instant" }
-- params.limit     = { type = "integer", default = 500, doc = "at most so many of the earliest" }
-- ---
-- ## What it answers
-- Rows of the view `session_starts`, the earliest first; `in_all` is how many there are. What was done in each,
-- `keytrail timeline --access-key` tells.
SELECT *, count(*) OVER () AS in_all
FROM session_starts
WHERE ($principal IS NULL OR (caller LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($session IS NULL OR caller_session_name = $session OR caller_session_arn = $session
       OR split_part(caller_session_arn, ':federated-user/', 2) = $session)
  AND ($source_ip IS NULL OR source_ip = $source_ip)
  AND ($since IS NULL OR started_at >= $since)
  AND ($until IS NULL OR started_at < $until)
ORDER BY started_at, event_id
LIMIT $limit
