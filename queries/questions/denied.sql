-- ---
-- title = "Which calls to KMS failed, and for whom"
-- params.key_arn   = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id    = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.principal = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.outcome   = { type = "text", doc = "only failures of this kind: denied, key_unusable, throttled or error" }
-- params.since     = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- Failed calls of every KMS operation, management included, by principal, key and error code. Dry runs are left out: they
-- always fail.
-- ## What its silence means
-- AWS logs failures "in some scenarios" only, and a caller of another account who is denied is logged in that account
-- alone: no row here is no proof that nobody tried.
SELECT
    principal,
    principal_type,
    key_arn,
    event_name AS operation,
    outcome,
    error_code,
    count(*) AS calls,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    min(event_id) AS sample_event_id
FROM calls
WHERE failed
  AND (outcome IS DISTINCT FROM 'dry_run')
  AND ($outcome IS NULL OR (outcome = $outcome) IS TRUE)
  AND ($key_arn IS NULL OR key_arn = $key_arn)
  AND ($key_id IS NULL OR key_id = $key_id)
  AND ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY principal, principal_type, key_arn, event_name, outcome, error_code
ORDER BY calls DESC, last_seen DESC, principal, principal_type, key_arn, operation, outcome, error_code
