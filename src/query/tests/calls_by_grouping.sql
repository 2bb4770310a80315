-- What `calls` says, asked of the events alone: slow, and easy to check. The view must give the same rows.

-- The grouping names all columns that copies of a call have in common. first_value has one order, in which no two copies are equal,
-- so that it takes every column from the same copy.
WITH logged AS (
    SELECT * EXCEPT (call)
    FROM kms_events
    -- A patch under its event's own id repeats that event, unless it is one of two copies, which are grouped.
    WHERE original_event_id IS NULL OR (original_event_id = event_id AND shared_event_id IS NOT NULL)
),
shared AS (
    SELECT * FROM logged WHERE shared_event_id IS NOT NULL
),
-- Few copies lack a key. They are a branch of their own, so that a filter on a key still prunes the other. A copy that meets the same
-- key in two others is here twice, which the grouping does not see.
completed AS (
    SELECT * FROM shared WHERE key_arn IS NOT NULL
    UNION ALL
    SELECT
        nameless.* REPLACE (
            named.key_arn AS key_arn,
            named.key_id AS key_id,
            coalesce(named.key_account_id, nameless.key_account_id) AS key_account_id,
            coalesce(named.key_region, nameless.key_region) AS key_region,
            coalesce(nameless.dest_key_arn, named.dest_key_arn) AS dest_key_arn
        )
    FROM shared AS nameless
    LEFT JOIN shared AS named
        ON named.shared_event_id = nameless.shared_event_id
        AND named.event_time = nameless.event_time
        AND named.event_date = nameless.event_date
        AND named.event_name = nameless.event_name
        AND named.key_arn IS NOT NULL
    WHERE nameless.key_arn IS NULL
),
-- `weight`: the more an outcome says of use, the greater.
-- `knows_caller`: 2 the caller's own log and the caller in full, 1 one of the two, 0 an account and an opaque id.
judged AS (
    SELECT
        *,
        coalesce(account_id = key_account_id, false) AS is_owner,
        concat(event_id, ' ', account_id, ' ', region, ' ', source_object, ' ', record_index) AS record_place,
        CASE outcome WHEN 'ok' THEN 3 WHEN 'key_unusable' THEN 2 WHEN 'throttled' THEN 1 ELSE 0 END AS weight,
        CASE
            WHEN principal_account_id = account_id AND principal NOT LIKE 'acct:%' THEN 2
            WHEN principal_account_id = account_id OR principal NOT LIKE 'acct:%' THEN 1
            ELSE 0
        END AS knows_caller
    FROM completed
),
-- The greatest `place` is the copy that the row is made of, and the greatest `caller_place` the one that knows who called.
copies AS (
    SELECT
        *,
        is_owner OR knows_caller = 2 AS is_told,
        concat(
            weight, CASE WHEN is_owner THEN 1 ELSE 0 END, knows_caller, record_place
        ) AS place,
        concat(knows_caller, weight, record_place) AS caller_place
    FROM judged
),
told_once AS (
    SELECT
        first_value(event_id ORDER BY place DESC) AS event_id,
        shared_event_id,
        CAST(NULL AS VARCHAR) AS original_event_id,
        event_time,
        event_date,
        first_value(event_source ORDER BY place DESC) AS event_source,
        event_name,
        first_value(event_type ORDER BY place DESC) AS event_type,
        usage_class,
        CAST(first_value(CAST(read_only AS TINYINT) ORDER BY place DESC) AS BOOLEAN) AS read_only,
        first_value(account_id ORDER BY place DESC) AS account_id,
        first_value(region ORDER BY place DESC) AS region,
        first_value(error_code ORDER BY place DESC) AS error_code,
        first_value(error_message ORDER BY place DESC) AS error_message,
        first_value(outcome ORDER BY place DESC) AS outcome,
        key_arn,
        key_id,
        key_account_id,
        key_region,
        coalesce(
            first_value(key_alias ORDER BY place DESC),
            first_value(key_alias ORDER BY place DESC) FILTER (WHERE is_told AND key_alias IS NOT NULL)
        ) AS key_alias,
        dest_key_arn,
        first_value(principal ORDER BY caller_place DESC) AS principal,
        first_value(principal_type ORDER BY caller_place DESC) AS principal_type,
        first_value(principal_id ORDER BY caller_place DESC) AS principal_id,
        CAST(first_value(CAST(principal_inferred AS TINYINT) ORDER BY caller_place DESC) AS BOOLEAN) AS principal_inferred,
        first_value(principal_account_id ORDER BY caller_place DESC) AS principal_account_id,
        first_value(session_name ORDER BY caller_place DESC) AS session_name,
        first_value(session_arn ORDER BY caller_place DESC) AS session_arn,
        first_value(access_key_id ORDER BY caller_place DESC) AS access_key_id,
        first_value(session_start ORDER BY caller_place DESC) AS session_start,
        first_value(source_identity ORDER BY caller_place DESC) AS source_identity,
        CAST(first_value(CAST(mfa AS TINYINT) ORDER BY caller_place DESC) AS BOOLEAN) AS mfa,
        first_value(on_behalf_of ORDER BY caller_place DESC) AS on_behalf_of,
        first_value(identity_store ORDER BY caller_place DESC) AS identity_store,
        first_value(principal_tags ORDER BY caller_place DESC) AS principal_tags,
        coalesce(
            first_value(invoked_by ORDER BY place DESC),
            first_value(invoked_by ORDER BY place DESC) FILTER (WHERE is_told AND invoked_by IS NOT NULL)
        ) AS invoked_by,
        coalesce(
            first_value(via ORDER BY place DESC),
            first_value(via ORDER BY place DESC) FILTER (WHERE is_told AND via IS NOT NULL)
        ) AS via,
        coalesce(
            first_value(source_ip ORDER BY place DESC),
            first_value(source_ip ORDER BY place DESC) FILTER (WHERE is_told AND source_ip IS NOT NULL)
        ) AS source_ip,
        coalesce(
            first_value(user_agent ORDER BY place DESC),
            first_value(user_agent ORDER BY place DESC) FILTER (WHERE is_told AND user_agent IS NOT NULL)
        ) AS user_agent,
        coalesce(
            first_value(vpc_endpoint_id ORDER BY place DESC),
            first_value(vpc_endpoint_id ORDER BY place DESC) FILTER (WHERE is_told AND vpc_endpoint_id IS NOT NULL)
        ) AS vpc_endpoint_id,
        coalesce(
            first_value(tls_version ORDER BY place DESC),
            first_value(tls_version ORDER BY place DESC) FILTER (WHERE is_told AND tls_version IS NOT NULL)
        ) AS tls_version,
        coalesce(
            first_value(encryption_context ORDER BY place DESC),
            first_value(encryption_context ORDER BY place DESC) FILTER (WHERE is_told AND encryption_context IS NOT NULL)
        ) AS encryption_context,
        coalesce(
            first_value(asset ORDER BY place DESC),
            first_value(asset ORDER BY place DESC) FILTER (WHERE is_told AND asset IS NOT NULL)
        ) AS asset,
        -- Kind and trust are those of the copy that names the asset.
        CASE
            WHEN first_value(asset ORDER BY place DESC) IS NOT NULL THEN first_value(asset_type ORDER BY place DESC)
            ELSE first_value(asset_type ORDER BY place DESC) FILTER (WHERE is_told AND asset IS NOT NULL)
        END AS asset_type,
        CASE
            WHEN first_value(asset ORDER BY place DESC) IS NOT NULL THEN first_value(asset_trust ORDER BY place DESC)
            ELSE first_value(asset_trust ORDER BY place DESC) FILTER (WHERE is_told AND asset IS NOT NULL)
        END AS asset_trust,
        coalesce(
            first_value(key_material_id ORDER BY place DESC),
            first_value(key_material_id ORDER BY place DESC) FILTER (WHERE is_told AND key_material_id IS NOT NULL)
        ) AS key_material_id,
        coalesce(
            first_value(grant_id ORDER BY place DESC),
            first_value(grant_id ORDER BY place DESC) FILTER (WHERE is_told AND grant_id IS NOT NULL)
        ) AS grant_id,
        coalesce(
            first_value(request_id ORDER BY place DESC),
            first_value(request_id ORDER BY place DESC) FILTER (WHERE is_told AND request_id IS NOT NULL)
        ) AS request_id,
        coalesce(
            first_value(request_parameters ORDER BY place DESC),
            first_value(request_parameters ORDER BY place DESC) FILTER (WHERE is_told AND request_parameters IS NOT NULL)
        ) AS request_parameters,
        coalesce(
            first_value(response_elements ORDER BY place DESC),
            first_value(response_elements ORDER BY place DESC) FILTER (WHERE is_told AND response_elements IS NOT NULL)
        ) AS response_elements,
        coalesce(
            first_value(additional_event_data ORDER BY place DESC),
            first_value(additional_event_data ORDER BY place DESC)
                FILTER (WHERE is_told AND additional_event_data IS NOT NULL)
        ) AS additional_event_data,
        first_value(source_object ORDER BY place DESC) AS source_object,
        first_value(record_index ORDER BY place DESC) AS record_index
    FROM copies
    GROUP BY
        shared_event_id, event_time, event_date, event_name, usage_class,
        key_arn, key_id, key_account_id, key_region, dest_key_arn
)
SELECT *, (outcome IS DISTINCT FROM 'ok') AS failed
FROM logged
WHERE shared_event_id IS NULL
  AND event_id NOT LIKE 'fp:%'
UNION ALL
SELECT *, (outcome IS DISTINCT FROM 'ok') AS failed
FROM told_once
UNION ALL
-- What repeats another event, where that is not there. Nearly always none passes the filters, and then the joins' other sides read no
-- file. A null joins nothing: each kind of repeat is looked for on one side only. A VPC endpoint's clock is not that of KMS,
-- and request ids are not always unique, so the two must be near each other. What names another key repeats nothing.
SELECT odd.* EXCEPT (is_endpoint, repeated_request), (odd.outcome IS DISTINCT FROM 'ok') AS failed
FROM (
    SELECT
        *,
        CASE
            WHEN is_endpoint THEN coalesce(request_id, shared_event_id)
            WHEN event_id LIKE 'fp:%' THEN request_id
        END AS repeated_request
    FROM (
        SELECT
            * EXCEPT (call) REPLACE (coalesce(principal, principal_id, 'unknown') AS principal),
            coalesce(event_type, '') IN ('AwsVpceEvent', 'AwsVpceEvents') AS is_endpoint
        FROM timely_events
        WHERE event_source = 'kms.amazonaws.com'
          AND (
              event_type IN ('AwsVpceEvent', 'AwsVpceEvents')
              OR original_event_id <> event_id
              OR (original_event_id = event_id AND shared_event_id IS NULL)
              OR (event_id LIKE 'fp:%' AND shared_event_id IS NULL)
          )
    )
) AS odd
LEFT ANTI JOIN (
    SELECT event_id, original_event_id FROM timely_events WHERE event_source = 'kms.amazonaws.com'
) AS patched
    ON patched.event_id = odd.original_event_id
    AND (patched.event_id <> odd.event_id OR patched.original_event_id IS NULL)
LEFT ANTI JOIN (
    SELECT *, coalesce(event_type, '') IN ('AwsVpceEvent', 'AwsVpceEvents') AS is_endpoint
    FROM timely_events
    WHERE event_source = 'kms.amazonaws.com'
      AND (original_event_id IS NULL OR original_event_id = event_id)
) AS whole
    ON coalesce(whole.request_id, whole.shared_event_id) = odd.repeated_request
    AND whole.event_name = odd.event_name
    AND (odd.dest_key_arn IS NULL OR odd.dest_key_arn = whole.dest_key_arn)
    AND CASE
        -- The endpoint's owner and the caller may both be told: the one that names the key stays.
        WHEN whole.is_endpoint
        THEN odd.is_endpoint
            AND (odd.key_arn IS NULL OR odd.key_arn = whole.key_arn)
            AND (
                whole.event_id < odd.event_id
                OR (whole.event_id = odd.event_id AND whole.account_id < odd.account_id)
                OR (odd.key_arn IS NULL AND whole.key_arn IS NOT NULL)
            )
        WHEN odd.is_endpoint
        THEN (odd.key_arn IS NULL OR odd.key_arn = whole.key_arn)
            AND whole.event_time >= odd.event_time - INTERVAL '10 minutes'
            AND whole.event_time <= odd.event_time + INTERVAL '10 minutes'
        ELSE whole.event_time = odd.event_time
            AND whole.account_id = odd.account_id
            AND (whole.key_arn IS NOT DISTINCT FROM odd.key_arn)
            AND (whole.principal_id IS NOT DISTINCT FROM odd.principal_id)
            AND (whole.outcome IS NOT DISTINCT FROM odd.outcome)
            AND whole.event_id NOT LIKE 'fp:%'
    END
