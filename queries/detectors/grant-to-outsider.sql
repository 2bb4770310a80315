-- ---
-- title    = "A grant gives a KMS key to another organization's account"
-- severity = "high"
-- attack   = ["T1098", "T1537"]
-- needs    = []
-- message  = "{principal} granted {key_arn} to an outsider: {detail}"
-- ---
-- ## What it does
-- Reports a successful CreateGrant whose grantee or retiring principal is of an account that is neither the key's own
-- nor one of the organization's, nor a trusted party's of the expectations file that may use the key. AWS services are no outsiders. A
-- grantee named by an opaque id that the lake has not seen call cannot be judged.
-- ## When it does not judge
-- If no `accounts` are declared, every account whose logs are in the lake counts as ours, although it may belong to someone
-- else. For that reason, grants to it on another account's key are not evaluated.
-- ## Why it matters
-- A grant works beside the key policy, never expires, and shows in no policy. It is the quiet way to keep a key's use.
-- ## False positives
-- Accounts of the organization whose logs are not in the lake, where the expectations file does not list them; vendors
-- that nobody declared.
-- ## What to do next
-- `aws kms list-grants`, then `aws kms revoke-grant`. Look for use of the key by that account.

-- What the caller chose to constrain the grant by is taken out first: its names and values may look like anything.
WITH requests AS (
    SELECT
        *,
        regexp_replace(
            request_parameters,
            '"encryptionContext(?:Subset|Equals)":\{(?:"(?:[^"\\]|\\.)*":"(?:[^"\\]|\\.)*",?)*\}', '""', 'g'
        ) AS request
    FROM control_calls
    WHERE event_name = 'CreateGrant' AND NOT is_past AND NOT is_aws
),
-- An id such as AROA… stands alone; an account may stand alone, or before the name of AWS's own role on an instance.
named AS (
    SELECT
        *,
        CASE
            WHEN party LIKE 'arn:%' THEN split_part(party, ':', 5)
            WHEN regexp_like(party, '^[0-9]{12}(:|$)') THEN substr(party, 1, 12)
        END AS party_account,
        CASE WHEN regexp_like(party, '^A[A-Z]{3}[A-Z0-9]{10,}(:|$)') THEN split_part(party, ':', 1) END AS party_id
    FROM (
        SELECT
            key_arn, principal, account_id, region, event_time, event_id,
            replace((regexp_match(request, '"operations":\[([^\]]*)\]'))[1], '"', '') AS operations,
            unnest(make_array('grantee', 'retiring principal')) AS part,
            unnest(make_array(
                (regexp_match(request, '"granteePrincipal":"([^"]*)"'))[1],
                (regexp_match(request, '"retiringPrincipal":"([^"]*)"'))[1]
            )) AS party
        FROM requests
    )
    WHERE party IS NOT NULL
),
callers AS (
    SELECT e.principal_id, max(e.principal_account_id) AS account_id
    FROM (SELECT party_id FROM named WHERE party_id IS NOT NULL GROUP BY party_id) AS n
    JOIN events AS e ON e.principal_id = n.party_id
    GROUP BY e.principal_id
),
outsiders AS (
    SELECT
        j.*,
        CASE WHEN j.is_unknown THEN 'unknown' WHEN o.account_id IS NOT NULL THEN 'presumed' ELSE 'none' END AS doubt,
        concat(
            j.part, ' ', j.party, coalesce(' of account ' || j.account, ''), coalesce(' (' || j.operations || ')', '')
        ) AS told
    FROM (
        SELECT n.*, coalesce(n.party_account, c.account_id) AS account, n.party_id IS NOT NULL AND c.account_id IS NULL AS is_unknown
        FROM named AS n
        LEFT JOIN callers AS c ON c.principal_id = n.party_id
    ) AS j
    LEFT JOIN own_accounts AS o ON o.account_id = j.account
    WHERE (j.is_unknown OR (regexp_like(j.account, '^[0-9]{12}$') AND j.account IS DISTINCT FROM j.account_id))
      AND (o.account_id IS NULL OR NOT o.is_declared)
      AND NOT EXISTS (
          SELECT 1
          FROM trusted_keys AS t
          WHERE t.account_id = j.account
            AND is_within(j.party, t.principals)
            AND (t.key_arn IS NULL OR t.key_arn = j.key_arn)
      )
)
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region, min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(DISTINCT event_id) AS events,
    evidence(event_id, event_time) AS evidence,
    concat(listed_in_order(told, date_part('epoch', event_time)), '.') AS detail,
    CASE doubt
        WHEN 'unknown'
        THEN concat(
            'a grant was created, and the grantee''s account is not known: ', listed_in_order(told, date_part('epoch', event_time))
        )
        WHEN 'presumed'
        THEN concat(
            'a grant was given to an account that counts as ours only because its logs are in the lake (declare ',
            '`accounts` in the expectations file): ', listed_in_order(told, date_part('epoch', event_time))
        )
    END AS not_evaluated
FROM outsiders
GROUP BY key_arn, principal, doubt
