-- ---
-- title    = "Another organization decrypted with a key of ours"
-- severity = "high"
-- attack   = ["T1530", "T1199"]
-- needs    = []
-- evidence = "decrypts"
-- message  = "{principal} decrypted with {key_arn}: {detail}"
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
WITH outsiders AS (
    SELECT
        d.key_arn, d.principal, d.principal_account_id AS home, ours.account_id, split_part(d.key_arn, ':', 4) AS region,
        min(d.first_seen) AS first_seen, max(d.last_seen) AS last_seen, sum(d.calls) AS calls,
        coalesce(sum(d.calls) FILTER (WHERE d.via IS NULL), 0) AS direct_calls, max(theirs.doubt) AS doubt
    FROM decrypts_by_day AS d
    JOIN own_accounts AS ours ON ours.account_id = split_part(d.key_arn, ':', 5)
    LEFT JOIN own_accounts AS theirs ON theirs.account_id = d.principal_account_id
    WHERE NOT d.is_past
      AND d.principal NOT LIKE 'service:%'
      AND d.principal_account_id <> ours.account_id
      AND (theirs.account_id IS NULL OR NOT theirs.is_declared)
    GROUP BY 1, 2, 3, 4, 5
),
parties AS (
    SELECT
        o.key_arn, o.principal, o.home, max(t.name) AS party,
        max(t.name) FILTER (WHERE is_within(o.principal, t.principals)) AS trusted_as
    FROM outsiders AS o
    JOIN trusted_keys AS t ON t.account_id = o.home AND (t.key_arn IS NULL OR t.key_arn = o.key_arn)
    GROUP BY o.key_arn, o.principal, o.home
)
SELECT
    o.key_arn, o.principal, o.account_id, o.region, o.first_seen, o.last_seen, o.calls AS events,
    concat(
        counted(o.calls, 'call'), ' by account ', o.home, ', ', o.direct_calls, ' of them direct',
        CASE
            WHEN p.trusted_as IS NOT NULL THEN concat('; trusted as ', p.trusted_as)
            WHEN p.party IS NULL THEN '; the account is not one of ours'
            WHEN o.principal LIKE 'acct:%' THEN concat('; it is ', p.party, ', but which of its principals the log does not tell')
            ELSE concat('; it is ', p.party, ', but none of its declared principals')
        END,
        '.'
    ) AS detail,
    CASE WHEN p.trusted_as IS NOT NULL THEN 'low' WHEN p.party IS NOT NULL AND o.principal LIKE 'acct:%' THEN 'medium' END AS severity,
    'it decrypted with a key of account ' || o.account_id || ', and its own account ' || o.home || ' ' || o.doubt AS not_evaluated
FROM outsiders AS o
LEFT JOIN parties AS p ON p.key_arn = o.key_arn AND p.principal = o.principal AND p.home = o.home
