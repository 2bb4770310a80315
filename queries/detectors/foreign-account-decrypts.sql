-- ---
-- title    = "Another organization decrypted with a key of ours"
-- severity = "high"
-- attack   = ["T1530", "T1199"]
-- needs    = []
-- message  = "{principal} decrypted with {key_arn}: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Reports each principal of an account that is not ours and that decrypted with a key of ours, directly or through a
-- service. It is low for a trusted party of the expectations file, with a key that the party may use. The owner of a
-- key sees no more of an outsider than its account and an opaque id (`acct:…`). Where the party's principals are
-- declared, that cannot be compared with them, and the finding is medium; declare `acct:ACCOUNT/*` to trust whoever
-- the account lets in.
-- ## When it does not judge
-- If no `accounts` are declared, every account whose logs are in the lake counts as ours, although it may belong to someone
-- else. For that reason, its principals that decrypted with another account's key are not evaluated.
-- ## Why it matters
-- A key's policy or a grant lets them in, and what they have read is out of reach. That may be a partner; it may be a
-- grant that an intruder left behind.
-- ## False positives
-- Accounts of your own whose logs are not in the lake: declare all of them as `accounts`.
-- ## What to do next
-- Find the statement of the key's policy, or the grant, that lets the account in. If nobody knows the account, remove
-- it, and see with `keytrail who KEY --by asset` what was read. If it is a partner, declare it as `[[trusted]]`.

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH decrypts AS (
    SELECT
        key_arn,
        key_account_id,
        key_region,
        principal,
        principal_account_id,
        event_date,
        count(*) AS calls,
        count(*) FILTER (WHERE via IS NULL) AS direct_calls,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM calls
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND principal NOT LIKE 'service:%'
      AND principal_account_id <> key_account_id
      AND event_time >= $since
      AND event_time < $until
    GROUP BY key_arn, key_account_id, key_region, principal, principal_account_id, event_date
),
-- A day is looked at for evidence when there were fewer than ten calls before it.
outsiders AS (
    SELECT
        d.*,
        theirs.account_id IS NOT NULL AS is_presumed,
        sum(d.calls) OVER (PARTITION BY d.key_arn, d.principal ORDER BY d.event_date) - d.calls AS calls_before
    FROM decrypts AS d
    JOIN own_accounts AS ours ON ours.account_id = d.key_account_id
    LEFT JOIN own_accounts AS theirs ON theirs.account_id = d.principal_account_id
    WHERE theirs.account_id IS NULL OR NOT theirs.is_declared
),
pairs AS (
    SELECT
        key_arn,
        key_account_id,
        key_region,
        principal,
        principal_account_id,
        bool_or(is_presumed) AS is_presumed,
        sum(calls) AS calls,
        sum(direct_calls) AS direct_calls,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        max(CASE WHEN calls_before < 10 THEN event_date END) AS evidence_until
    FROM outsiders
    GROUP BY key_arn, key_account_id, key_region, principal, principal_account_id
),
judged AS (
    SELECT
        p.key_arn, p.key_account_id, p.key_region, p.principal, p.principal_account_id, p.is_presumed,
        p.calls, p.direct_calls, p.first_seen, p.last_seen, p.evidence_until,
        max(t.name) AS party,
        max(CASE WHEN t.principals IS NULL OR matches_any(p.principal, t.principals) THEN t.name END) AS trusted_as
    FROM pairs AS p
    LEFT JOIN trusted_keys AS t
        ON t.account_id = p.principal_account_id
        AND (t.key_arn IS NULL OR t.key_arn = p.key_arn)
    GROUP BY
        p.key_arn, p.key_account_id, p.key_region, p.principal, p.principal_account_id, p.is_presumed,
        p.calls, p.direct_calls, p.first_seen, p.last_seen, p.evidence_until
)
SELECT
    j.key_arn,
    j.principal,
    j.key_account_id AS account_id,
    j.key_region AS region,
    j.first_seen,
    j.last_seen,
    CAST(j.calls AS BIGINT) AS events,
    array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
    concat(
        j.calls, CASE WHEN j.calls = 1 THEN ' call' ELSE ' calls' END, ' by account ', j.principal_account_id,
        ', ', j.direct_calls, ' of them direct',
        CASE
            WHEN j.trusted_as IS NOT NULL THEN concat('; trusted as ', j.trusted_as)
            WHEN j.party IS NOT NULL AND j.principal LIKE 'acct:%'
            THEN concat('; it is ', j.party, ', but which of its principals the log does not tell')
            WHEN j.party IS NOT NULL THEN concat('; it is ', j.party, ', but none of its declared principals')
            ELSE '; the account is not one of ours'
        END,
        '.'
    ) AS detail,
    CASE
        WHEN j.trusted_as IS NOT NULL THEN 'low'
        WHEN j.party IS NOT NULL AND j.principal LIKE 'acct:%' THEN 'medium'
    END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN j.is_presumed
        THEN concat(
            'it decrypted with a key of account ', j.key_account_id, ', and its own account ', j.principal_account_id,
            ' counts as ours only because its logs are in the lake: declare `accounts` in the expectations file'
        )
    END AS not_evaluated
FROM judged AS j
JOIN calls AS c
    ON c.key_arn = j.key_arn
    AND c.principal = j.principal
    AND c.event_date <= j.evidence_until
WHERE c.usage_class = 'decrypt'
  AND c.outcome = 'ok'
  AND c.event_time >= $since
  AND c.event_time < $until
GROUP BY
    j.key_arn, j.principal, j.key_account_id, j.key_region, j.first_seen, j.last_seen,
    j.calls, j.direct_calls, j.principal_account_id, j.is_presumed, j.trusted_as, j.party
ORDER BY j.key_arn, j.principal
