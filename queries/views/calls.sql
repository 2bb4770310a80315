-- ---
-- title = "Every call to AWS KMS, each once, however many accounts logged it"
-- ---
-- ## What it holds
-- One row per call, with all columns of `events` and `failed` (the outcome is not `ok`). Calls that changed nothing
-- (`outcome = 'dry_run'`) are here; what repeats another event is not: CloudTrail's patches of events that it had
-- delivered before (`original_event_id`), unless the lake has not got the event itself. Of what VPC endpoints log
-- (`AwsVpceEvent`) there is what nothing else tells, such as calls that an endpoint denied (see `endpoint_calls`).
-- ## How a cross-account call is counted
-- It is logged in the caller's account and in the key owner's, as events with one `shared_event_id` and the same time,
-- operation and key: they are one row. The row is the owner's copy when the owner's log is in the lake, else the
-- caller's, else what there is. Who called is told by the caller's copy, since the owner sees no more than an account
-- and an opaque id. What else the chosen copy lacks (address, user agent, encryption context, asset) comes from the
-- others. An event with a `shared_event_id` and no twin, as service principals' calls have, is a row like any other.

-- Grouped by everything that twins have in common, not only by what tells two calls apart: a filter passes through
-- GROUP BY when it names only columns that it groups by, so that one on a key, a time or an operation prunes the scan
-- on both sides of the union. Plain max() and no window function, since DataFusion walks a window row by row. Most
-- events share nothing and are not grouped at all.
WITH logged AS (
    SELECT *
    FROM kms_events
    WHERE (original_event_id IS NULL OR original_event_id = event_id)
    UNION ALL
    SELECT *
    FROM endpoint_calls
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
told_once AS (
    SELECT
        coalesce(
            max(event_id) FILTER (WHERE is_owner),
            max(event_id) FILTER (WHERE knows_caller = 2),
            max(event_id)
        ) AS event_id,
        shared_event_id,
        NULL AS original_event_id,
        event_time,
        event_date,
        coalesce(
            max(event_source) FILTER (WHERE is_owner),
            max(event_source) FILTER (WHERE knows_caller = 2),
            max(event_source)
        ) AS event_source,
        event_name,
        coalesce(
            max(event_type) FILTER (WHERE is_owner),
            max(event_type) FILTER (WHERE knows_caller = 2),
            max(event_type)
        ) AS event_type,
        usage_class,
        coalesce(
            max(read_only) FILTER (WHERE is_owner),
            max(read_only) FILTER (WHERE knows_caller = 2),
            max(read_only)
        ) AS read_only,
        coalesce(
            max(account_id) FILTER (WHERE is_owner),
            max(account_id) FILTER (WHERE knows_caller = 2),
            max(account_id)
        ) AS account_id,
        coalesce(
            max(region) FILTER (WHERE is_owner),
            max(region) FILTER (WHERE knows_caller = 2),
            max(region)
        ) AS region,
        CASE WHEN bool_or(is_owner) THEN max(error_code) FILTER (WHERE is_owner) ELSE max(error_code) END AS error_code,
        CASE
            WHEN bool_or(is_owner) THEN max(error_message) FILTER (WHERE is_owner)
            ELSE max(error_message)
        END AS error_message,
        CASE WHEN bool_or(is_owner) THEN max(outcome) FILTER (WHERE is_owner) ELSE max(outcome) END AS outcome,
        key_arn,
        key_id,
        key_account_id,
        key_region,
        coalesce(
            max(key_alias) FILTER (WHERE is_owner),
            max(key_alias) FILTER (WHERE knows_caller = 2),
            max(key_alias)
        ) AS key_alias,
        dest_key_arn,
        CASE max(knows_caller)
            WHEN 2 THEN max(principal) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(principal) FILTER (WHERE knows_caller = 1)
            ELSE max(principal)
        END AS principal,
        CASE max(knows_caller)
            WHEN 2 THEN max(principal_type) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(principal_type) FILTER (WHERE knows_caller = 1)
            ELSE max(principal_type)
        END AS principal_type,
        CASE max(knows_caller)
            WHEN 2 THEN max(principal_id) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(principal_id) FILTER (WHERE knows_caller = 1)
            ELSE max(principal_id)
        END AS principal_id,
        CASE max(knows_caller)
            WHEN 2 THEN max(principal_inferred) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(principal_inferred) FILTER (WHERE knows_caller = 1)
            ELSE max(principal_inferred)
        END AS principal_inferred,
        CASE max(knows_caller)
            WHEN 2 THEN max(principal_account_id) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(principal_account_id) FILTER (WHERE knows_caller = 1)
            ELSE max(principal_account_id)
        END AS principal_account_id,
        CASE max(knows_caller)
            WHEN 2 THEN max(session_name) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(session_name) FILTER (WHERE knows_caller = 1)
            ELSE max(session_name)
        END AS session_name,
        CASE max(knows_caller)
            WHEN 2 THEN max(session_arn) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(session_arn) FILTER (WHERE knows_caller = 1)
            ELSE max(session_arn)
        END AS session_arn,
        CASE max(knows_caller)
            WHEN 2 THEN max(access_key_id) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(access_key_id) FILTER (WHERE knows_caller = 1)
            ELSE max(access_key_id)
        END AS access_key_id,
        CASE max(knows_caller)
            WHEN 2 THEN max(session_start) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(session_start) FILTER (WHERE knows_caller = 1)
            ELSE max(session_start)
        END AS session_start,
        CASE max(knows_caller)
            WHEN 2 THEN max(source_identity) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(source_identity) FILTER (WHERE knows_caller = 1)
            ELSE max(source_identity)
        END AS source_identity,
        CASE max(knows_caller)
            WHEN 2 THEN max(mfa) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(mfa) FILTER (WHERE knows_caller = 1)
            ELSE max(mfa)
        END AS mfa,
        CASE max(knows_caller)
            WHEN 2 THEN max(on_behalf_of) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(on_behalf_of) FILTER (WHERE knows_caller = 1)
            ELSE max(on_behalf_of)
        END AS on_behalf_of,
        CASE max(knows_caller)
            WHEN 2 THEN max(identity_store) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(identity_store) FILTER (WHERE knows_caller = 1)
            ELSE max(identity_store)
        END AS identity_store,
        CASE max(knows_caller)
            WHEN 2 THEN max(principal_tags) FILTER (WHERE knows_caller = 2)
            WHEN 1 THEN max(principal_tags) FILTER (WHERE knows_caller = 1)
            ELSE max(principal_tags)
        END AS principal_tags,
        coalesce(
            max(invoked_by) FILTER (WHERE is_owner),
            max(invoked_by) FILTER (WHERE knows_caller = 2),
            max(invoked_by)
        ) AS invoked_by,
        coalesce(max(via) FILTER (WHERE is_owner), max(via) FILTER (WHERE knows_caller = 2), max(via)) AS via,
        coalesce(
            max(source_ip) FILTER (WHERE is_owner),
            max(source_ip) FILTER (WHERE knows_caller = 2),
            max(source_ip)
        ) AS source_ip,
        coalesce(
            max(user_agent) FILTER (WHERE is_owner),
            max(user_agent) FILTER (WHERE knows_caller = 2),
            max(user_agent)
        ) AS user_agent,
        coalesce(
            max(vpc_endpoint_id) FILTER (WHERE is_owner),
            max(vpc_endpoint_id) FILTER (WHERE knows_caller = 2),
            max(vpc_endpoint_id)
        ) AS vpc_endpoint_id,
        coalesce(
            max(tls_version) FILTER (WHERE is_owner),
            max(tls_version) FILTER (WHERE knows_caller = 2),
            max(tls_version)
        ) AS tls_version,
        coalesce(
            first_value(encryption_context) FILTER (WHERE is_owner AND encryption_context IS NOT NULL),
            first_value(encryption_context) FILTER (WHERE encryption_context IS NOT NULL)
        ) AS encryption_context,
        coalesce(max(asset) FILTER (WHERE is_owner), max(asset) FILTER (WHERE knows_caller = 2), max(asset)) AS asset,
        coalesce(
            max(asset_type) FILTER (WHERE is_owner),
            max(asset_type) FILTER (WHERE knows_caller = 2),
            max(asset_type)
        ) AS asset_type,
        coalesce(
            max(asset_trust) FILTER (WHERE is_owner),
            max(asset_trust) FILTER (WHERE knows_caller = 2),
            max(asset_trust)
        ) AS asset_trust,
        coalesce(
            max(key_material_id) FILTER (WHERE is_owner),
            max(key_material_id) FILTER (WHERE knows_caller = 2),
            max(key_material_id)
        ) AS key_material_id,
        coalesce(
            max(grant_id) FILTER (WHERE is_owner),
            max(grant_id) FILTER (WHERE knows_caller = 2),
            max(grant_id)
        ) AS grant_id,
        coalesce(
            max(request_id) FILTER (WHERE is_owner),
            max(request_id) FILTER (WHERE knows_caller = 2),
            max(request_id)
        ) AS request_id,
        coalesce(
            max(request_parameters) FILTER (WHERE is_owner),
            max(request_parameters) FILTER (WHERE knows_caller = 2),
            max(request_parameters)
        ) AS request_parameters,
        coalesce(
            max(response_elements) FILTER (WHERE is_owner),
            max(response_elements) FILTER (WHERE knows_caller = 2),
            max(response_elements)
        ) AS response_elements,
        coalesce(
            max(additional_event_data) FILTER (WHERE is_owner),
            max(additional_event_data) FILTER (WHERE knows_caller = 2),
            max(additional_event_data)
        ) AS additional_event_data,
        coalesce(
            max(source_object) FILTER (WHERE is_owner),
            max(source_object) FILTER (WHERE knows_caller = 2),
            max(source_object)
        ) AS source_object,
        coalesce(
            max(record_index) FILTER (WHERE is_owner),
            max(record_index) FILTER (WHERE knows_caller = 2),
            max(record_index)
        ) AS record_index
    FROM copies
    GROUP BY
        shared_event_id, event_time, event_date, event_name, usage_class,
        key_arn, key_id, key_account_id, key_region, dest_key_arn
)
SELECT *, (outcome IS DISTINCT FROM 'ok') AS failed
FROM logged
WHERE shared_event_id IS NULL
UNION ALL
SELECT *, (outcome IS DISTINCT FROM 'ok') AS failed
FROM told_once
UNION ALL
-- Patches of what is not there. Nearly always none passes the filters, and then the join's other side reads no file.
SELECT patch.*, (patch.outcome IS DISTINCT FROM 'ok') AS failed
FROM kms_events AS patch
LEFT ANTI JOIN kms_events AS patched
    ON patched.event_id = patch.original_event_id
WHERE patch.original_event_id <> patch.event_id
