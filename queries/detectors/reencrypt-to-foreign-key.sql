-- ---
-- title    = "Our data was encrypted anew with a key of another organization"
-- severity = "critical"
-- attack   = ["T1486", "T1537"]
-- needs    = []
-- message  = "{principal} moved data from {key_arn} to a foreign key: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Reports successful ReEncrypt calls whose destination is a key of an account that is not ours, where the source key
-- is ours or the caller is. Copying an encrypted snapshot is such a call too, made by EC2 or RDS for the caller. It is
-- low when all destinations belong to trusted parties of the expectations file; where a party's `principals` are
-- declared, only for those: name there who of ours may hand data to the party. AWS's own calls are left out.
-- ## When it does not judge
-- If no `accounts` are declared, every account whose logs are in the lake counts as ours, although it may belong to someone
-- else. For that reason, data that was moved to its keys is not evaluated.
-- ## Why it matters
-- From then on the key's owner decides who reads the copy. It is how data is carried off without ever being seen in
-- plain text, and how it is held to ransom when the original is deleted afterwards.
-- ## False positives
-- Accounts of your own whose logs are not in the lake: declare all of them as `accounts`. Data handed to a partner
-- under the partner's key: declare it as `[[trusted]]`.
-- ## What to do next
-- Keep the original: stop whatever deletes it, and see whether its key was disabled or scheduled for deletion. Revoke
-- the caller's sessions. The destination is in the detail: find out whose account it is.
WITH moves AS (
    SELECT
        m.key_arn, m.principal, m.account_id, m.region, m.dest_key_arn, m.dest_account_id, m.event_time, m.event_id, theirs.doubt
    FROM (
        SELECT
            * REPLACE (coalesce(key_account_id, account_id) AS account_id, coalesce(key_region, region) AS region),
            split_part(dest_key_arn, ':', 5) AS dest_account_id
        FROM calls
        WHERE event_name = 'ReEncrypt'
          AND outcome = 'ok'
          AND dest_key_arn IS NOT NULL
          AND principal NOT LIKE 'service:%'
          AND event_time >= $since AND event_time < $until
    ) AS m
    LEFT JOIN own_accounts AS theirs ON theirs.account_id = m.dest_account_id
    LEFT SEMI JOIN own_accounts AS ours ON ours.account_id = m.account_id OR ours.account_id = m.principal_account_id
    -- An account that only counts as ours is not another's to itself.
    WHERE theirs.account_id IS NULL
      OR (NOT theirs.is_declared AND (m.dest_account_id <> m.account_id OR m.dest_account_id <> m.principal_account_id))
),
trusts AS (
    SELECT m.principal, m.dest_account_id, max(t.name) AS name
    FROM (SELECT principal, dest_account_id FROM moves GROUP BY principal, dest_account_id) AS m
    JOIN trusted_parties AS t ON t.account_id = m.dest_account_id
    WHERE is_within(m.principal, t.principals)
    GROUP BY m.principal, m.dest_account_id
)
SELECT
    m.key_arn, m.principal, min(m.account_id) AS account_id, min(m.region) AS region, min(m.event_time) AS first_seen,
    max(m.event_time) AS last_seen, count(*) AS events, evidence(m.event_id, m.event_time) AS evidence,
    concat(
        'encrypted anew with ', listed(m.dest_key_arn),
        CASE WHEN bool_and(p.name IS NOT NULL) THEN concat('; trusted as ', max(p.name)) ELSE '' END, '.'
    ) AS detail,
    CASE WHEN bool_and(p.name IS NOT NULL) THEN 'low' END AS severity,
    'data was moved to a key of account ' || min(m.dest_account_id) || ', which ' || m.doubt AS not_evaluated
FROM moves AS m
LEFT JOIN trusts AS p ON p.principal = m.principal AND p.dest_account_id = m.dest_account_id
GROUP BY m.key_arn, m.principal, m.doubt
