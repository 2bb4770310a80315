-- ---
-- title = "An incident in parts: who called, with which keys, on which assets, from where"
-- params.key_arn   = { type = "text", doc = "only calls on this key, by its ARN, ReEncrypt's destination included" }
-- params.principal = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.session   = { type = "text", doc = "only this session, by its name or its STS ARN" }
-- params.source_ip = { type = "text", doc = "only calls from this address" }
-- params.since     = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only calls before this instant" }
-- params.limit     = { type = "integer", default = 500, doc = "at most so many rows of a part, those with the most decrypts; of identities, ten thousand" }
-- ---
-- ## What it answers
-- Rows of six parts, by `part`: `all` (one row), `key`, `asset` (per key, operation and service), `identity` (per session and
-- access key; where a record tells neither key nor second, per call), `address` and `account` (whose log it is). Each has its
-- `calls`, how many of them succeeded, were `denied`, were successful decrypts, and the first and last; `dry_runs` are no calls.
-- `in_part` is how many rows the part has in all. Cross-account calls count once, by the caller's identity in full. ReEncrypt is
-- a decrypt under its source key, and a call under its destination key. Calls that name only an alias are listed under the
-- alias's ARN. `keytrail report --incident` runs this query.
WITH called AS (
    SELECT *, (outcome IS DISTINCT FROM 'dry_run') AS is_real
    FROM calls
    WHERE ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
      AND (
          $session IS NULL
          OR session_name = $session
          OR session_arn = $session
          OR split_part(session_arn, ':federated-user/', 2) = $session
      )
      AND ($source_ip IS NULL OR source_ip = $source_ip)
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
),
-- Of a ReEncrypt under two keys the second row counts for its key only, unless that is the key which is asked about.
involved AS (
    SELECT
        * REPLACE (
            CASE
                WHEN key_arn IS NOT NULL OR key_alias IS NULL OR key_account_id IS NULL OR key_region IS NULL THEN key_arn
                ELSE concat('arn:', aws_partition(principal, key_region), ':kms:', key_region, ':', key_account_id, ':', key_alias)
            END AS key_arn
        ),
        false AS is_second,
        usage_class = 'decrypt' AS is_decrypt
    FROM called
    WHERE $key_arn IS NULL OR key_arn = $key_arn
    UNION ALL
    SELECT * REPLACE (dest_key_arn AS key_arn, NULL AS key_alias), $key_arn IS NULL, false
    FROM called
    WHERE dest_key_arn IS NOT NULL
      AND (dest_key_arn IS DISTINCT FROM key_arn)
      AND ($key_arn IS NULL OR dest_key_arn = $key_arn)
),
grouped AS (
    SELECT
        CASE
            WHEN grouping(source_ip) = 0 THEN 'address'
            WHEN grouping(account_id) = 0 THEN 'account'
            WHEN grouping(asset) = 0 THEN 'asset'
            WHEN grouping(key_arn) = 0 THEN 'key'
            WHEN grouping(principal) = 0 THEN 'identity'
            ELSE 'all'
        END AS part,
        key_arn,
        asset,
        event_name,
        via,
        source_ip,
        account_id,
        principal,
        principal_type,
        principal_id,
        principal_account_id,
        session_name,
        session_start,
        access_key_id,
        seen_at,
        is_forwarded,
        max(key_alias) AS key_alias,
        max(asset_type) AS asset_type,
        max(worth) AS worth,
        max(session_arn) AS session_arn,
        max(source_identity) AS source_identity,
        bool_or(mfa) AS mfa,
        count(*) FILTER (WHERE is_real) AS calls,
        count(*) FILTER (WHERE outcome = 'ok') AS succeeded,
        count(*) FILTER (WHERE outcome = 'denied') AS denied,
        count(*) FILTER (WHERE outcome = 'ok' AND is_decrypt) AS decrypts,
        count(*) FILTER (WHERE NOT is_real) AS dry_runs,
        count(*) FILTER (WHERE is_second AND is_real) AS second_calls,
        count(*) FILTER (WHERE is_second AND outcome = 'ok') AS second_succeeded,
        count(*) FILTER (WHERE is_second AND outcome = 'denied') AS second_denied,
        count(*) FILTER (WHERE is_second AND NOT is_real) AS second_dry_runs,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM (
        SELECT
            *,
            CASE WHEN coalesce(access_key_id, '') = '' AND session_start IS NULL THEN event_time END AS seen_at,
            via IS NOT NULL AS is_forwarded,
            CASE asset_trust WHEN 'proved' THEN 3 WHEN 'service' THEN 2 WHEN 'claimed' THEN 1 END AS worth
        FROM involved
    )
    GROUP BY GROUPING SETS (
        (),
        (key_arn),
        (key_arn, asset, event_name, via),
        (
            principal, principal_type, principal_id, principal_account_id, session_name, session_start, access_key_id,
            seen_at, is_forwarded
        ),
        (source_ip),
        (account_id)
    )
),
placed AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY part) AS in_part,
        row_number() OVER (
            PARTITION BY part
            ORDER BY decrypts DESC, calls DESC, key_arn, asset, event_name, via, principal, session_name, session_start,
                access_key_id, seen_at, is_forwarded, source_ip, account_id
        ) AS place
    FROM grouped
    WHERE (part <> 'asset' OR asset IS NOT NULL)
      AND (part <> 'key' OR key_arn IS NOT NULL)
      AND (part <> 'address' OR source_ip IS NOT NULL)
      AND first_seen IS NOT NULL
)
SELECT
    * EXCEPT (
        place, worth, is_forwarded, calls, succeeded, denied, dry_runs, second_calls, second_succeeded, second_denied,
        second_dry_runs
    ),
    calls - CASE WHEN part IN ('key', 'asset') THEN 0 ELSE second_calls END AS calls,
    succeeded - CASE WHEN part IN ('key', 'asset') THEN 0 ELSE second_succeeded END AS succeeded,
    denied - CASE WHEN part IN ('key', 'asset') THEN 0 ELSE second_denied END AS denied,
    dry_runs - CASE WHEN part IN ('key', 'asset') THEN 0 ELSE second_dry_runs END AS dry_runs,
    CASE WHEN is_forwarded THEN 'a service' END AS forwarded_by,
    CASE worth WHEN 3 THEN 'proved' WHEN 2 THEN 'service' WHEN 1 THEN 'claimed' END AS asset_trust
FROM placed
WHERE place <= CASE part WHEN 'identity' THEN greatest($limit, 10000) WHEN 'account' THEN 10000 ELSE $limit END
ORDER BY part, place
