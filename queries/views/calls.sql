-- ---
-- title = "Every call to AWS KMS, each once, however many accounts logged it"
-- ---
-- ## What it holds
-- One row per call, with all columns of `events` and `failed` (the outcome is not `ok`). Calls that changed nothing
-- (`outcome = 'dry_run'`) are here; what repeats another event is not: CloudTrail's patches of events that it had
-- delivered before (`original_event_id`), and the copies that a VPC endpoint logs (`AwsVpceEvent`).
-- ## How a cross-account call is counted
-- It is logged in the caller's account and in the key owner's, as two events with one `shared_event_id` and the same
-- time, operation and key. The owner's copy is the row when the owner's log is in the lake, and takes from the caller's
-- copy who called, since the owner sees no more than an account and an opaque id; what else the owner's copy lacks
-- (address, user agent, encryption context, asset) comes from there too. Without the owner's log the caller's copy is
-- the row. Two events of one account are two calls, whatever ids they share: service principals' calls carry a
-- `shared_event_id` and have no twin.

-- A filter passes through a window function when it names only columns that the window partitions by. That is why
-- the partition lists more than tells two calls apart: `key_arn`, `key_id`, `dest_key_arn`, `event_time`,
-- `event_date`, `event_name` and `usage_class` reach the table scan on both sides of the union. Most events share
-- nothing and never meet the window.
WITH logged AS (
    SELECT *
    FROM kms_events
    WHERE original_event_id IS NULL
      AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
),
-- `knows_caller`: 2 the caller's own log and the caller in full, 1 one of the two, 0 an account and an opaque id.
copies AS (
    SELECT
        *,
        coalesce(account_id = key_account_id, false) AS is_owner,
        CASE
            WHEN principal_account_id = account_id AND principal NOT LIKE 'acct:%' THEN 2
            WHEN principal_account_id = account_id OR principal NOT LIKE 'acct:%' THEN 1
            ELSE 0
        END AS knows_caller
    FROM logged
    WHERE shared_event_id IS NOT NULL
),
-- The owner's copy comes first and the copy that knows the caller best next to it, so that one pass with a look at
-- the following row is enough and nothing is held back.
ranked AS (
    SELECT
        *,
        first_value(account_id) OVER call AS told_by,
        coalesce(lead(knows_caller) OVER call > knows_caller, false) AS enrich,
        lead(principal) OVER call AS twin_principal,
        lead(principal_type) OVER call AS twin_principal_type,
        lead(principal_id) OVER call AS twin_principal_id,
        lead(principal_inferred) OVER call AS twin_principal_inferred,
        lead(principal_account_id) OVER call AS twin_principal_account_id,
        lead(session_name) OVER call AS twin_session_name,
        lead(session_arn) OVER call AS twin_session_arn,
        lead(access_key_id) OVER call AS twin_access_key_id,
        lead(session_start) OVER call AS twin_session_start,
        lead(source_identity) OVER call AS twin_source_identity,
        lead(mfa) OVER call AS twin_mfa,
        lead(invoked_by) OVER call AS twin_invoked_by,
        lead(via) OVER call AS twin_via,
        lead(source_ip) OVER call AS twin_source_ip,
        lead(user_agent) OVER call AS twin_user_agent,
        lead(vpc_endpoint_id) OVER call AS twin_vpc_endpoint_id,
        lead(tls_version) OVER call AS twin_tls_version,
        lead(encryption_context) OVER call AS twin_encryption_context,
        lead(asset) OVER call AS twin_asset,
        lead(asset_type) OVER call AS twin_asset_type,
        lead(asset_trust) OVER call AS twin_asset_trust
    FROM copies
    WINDOW call AS (
        PARTITION BY shared_event_id, event_name, usage_class, event_time, event_date, key_arn, key_id, dest_key_arn
        ORDER BY is_owner DESC, knows_caller DESC, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
SELECT *, (outcome IS DISTINCT FROM 'ok') AS failed
FROM logged
WHERE shared_event_id IS NULL
UNION ALL
SELECT
    * EXCEPT (
        is_owner, knows_caller, told_by, enrich,
        twin_principal, twin_principal_type, twin_principal_id, twin_principal_inferred, twin_principal_account_id,
        twin_session_name, twin_session_arn, twin_access_key_id, twin_session_start, twin_source_identity, twin_mfa,
        twin_invoked_by, twin_via, twin_source_ip, twin_user_agent, twin_vpc_endpoint_id, twin_tls_version,
        twin_encryption_context, twin_asset, twin_asset_type, twin_asset_trust
    )
    REPLACE (
        CASE WHEN enrich THEN twin_principal ELSE principal END AS principal,
        CASE WHEN enrich THEN twin_principal_type ELSE principal_type END AS principal_type,
        CASE WHEN enrich THEN twin_principal_id ELSE principal_id END AS principal_id,
        CASE WHEN enrich THEN twin_principal_inferred ELSE principal_inferred END AS principal_inferred,
        CASE WHEN enrich THEN twin_principal_account_id ELSE principal_account_id END AS principal_account_id,
        CASE WHEN enrich THEN twin_session_name ELSE session_name END AS session_name,
        CASE WHEN enrich THEN twin_session_arn ELSE session_arn END AS session_arn,
        CASE WHEN enrich THEN twin_access_key_id ELSE access_key_id END AS access_key_id,
        CASE WHEN enrich THEN twin_session_start ELSE session_start END AS session_start,
        CASE WHEN enrich THEN twin_source_identity ELSE source_identity END AS source_identity,
        CASE WHEN enrich THEN twin_mfa ELSE mfa END AS mfa,
        CASE WHEN enrich AND invoked_by IS NULL THEN twin_invoked_by ELSE invoked_by END AS invoked_by,
        CASE WHEN enrich AND via IS NULL THEN twin_via ELSE via END AS via,
        CASE WHEN enrich AND source_ip IS NULL THEN twin_source_ip ELSE source_ip END AS source_ip,
        CASE WHEN enrich AND user_agent IS NULL THEN twin_user_agent ELSE user_agent END AS user_agent,
        CASE WHEN enrich AND vpc_endpoint_id IS NULL THEN twin_vpc_endpoint_id ELSE vpc_endpoint_id END AS vpc_endpoint_id,
        CASE WHEN enrich AND tls_version IS NULL THEN twin_tls_version ELSE tls_version END AS tls_version,
        CASE WHEN enrich AND encryption_context IS NULL THEN twin_encryption_context ELSE encryption_context END AS encryption_context,
        CASE WHEN enrich AND asset IS NULL THEN twin_asset ELSE asset END AS asset,
        CASE WHEN enrich AND asset IS NULL THEN twin_asset_type ELSE asset_type END AS asset_type,
        CASE WHEN enrich AND asset IS NULL THEN twin_asset_trust ELSE asset_trust END AS asset_trust
    ),
    (outcome IS DISTINCT FROM 'ok') AS failed
FROM ranked
WHERE (account_id IS NOT DISTINCT FROM told_by)
