-- ---
-- title = "An incident in parts: who called, with which keys, on which assets, from where"
-- params.key_arn   = { type = "text", doc = "only calls on this key, by its ARN, ReEncrypt's destination included" }
-- params.principal = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.session   = { type = "text", doc = "only this session, by its name or its STS ARN" }
-- params.source_ip = { type = "text", doc = "only calls from this address" }
-- params.since     = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only calls before this instant" }
-- params.limit     = { type = "integer", default = 500, doc = "at most so many rows of a part, those with the most calls" }
-- ---
-- ## What it answers
-- Rows of six parts, by `part`: `all` (one row), `key`, `asset` (per key, operation and service), `identity` (per session; of
-- its access keys the one that signed direct calls, where there is one), `address` and `account` (whose
-- log it is). Each has its `calls`, how many of them succeeded, were `denied`, were successful decrypts, and the first and last.
-- `in_part` is how many rows the part has in all. Cross-account calls count once, by the caller's identity in full; dry runs are calls.
-- `keytrail report --incident` asks it.
WITH involved AS (
    SELECT
        -- A user is one, whenever a service forwarded the user's session.
        * REPLACE (CASE WHEN principal_type = 'IAMUser' THEN NULL ELSE session_start END AS session_start),
        CASE asset_trust WHEN 'proved' THEN 3 WHEN 'service' THEN 2 WHEN 'claimed' THEN 1 END AS worth
    FROM calls
    WHERE ($key_arn IS NULL OR key_arn = $key_arn OR dest_key_arn = $key_arn)
      AND ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
      AND ($session IS NULL OR session_name = $session OR session_arn = $session)
      AND ($source_ip IS NULL OR source_ip = $source_ip)
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
      AND ($since IS NULL OR event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE))
      AND ($until IS NULL OR event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE))
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
        max(key_alias) AS key_alias,
        max(asset_type) AS asset_type,
        max(worth) AS worth,
        max(session_arn) AS session_arn,
        max(source_identity) AS source_identity,
        bool_or(mfa) AS mfa,
        coalesce(max(access_key_id) FILTER (WHERE via IS NULL), max(access_key_id)) AS access_key_id,
        count(*) AS calls,
        count(*) FILTER (WHERE outcome = 'ok') AS succeeded,
        count(*) FILTER (WHERE outcome = 'denied') AS denied,
        count(*) FILTER (WHERE outcome = 'ok' AND usage_class = 'decrypt') AS decrypts,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM involved
    GROUP BY GROUPING SETS (
        (),
        (key_arn),
        (key_arn, asset, event_name, via),
        (principal, principal_type, principal_id, principal_account_id, session_name, session_start),
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
                source_ip, account_id
        ) AS place
    FROM grouped
    WHERE (part <> 'asset' OR asset IS NOT NULL)
      AND (part <> 'key' OR key_arn IS NOT NULL)
      AND (part <> 'address' OR source_ip IS NOT NULL)
      AND calls > 0
)
SELECT
    * EXCEPT (place, worth),
    CASE worth WHEN 3 THEN 'proved' WHEN 2 THEN 'service' WHEN 1 THEN 'claimed' END AS asset_trust
FROM placed
WHERE place <= $limit
ORDER BY part, place
