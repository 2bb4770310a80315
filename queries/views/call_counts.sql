-- ---
-- title = "How many KMS calls each principal made of each kind, by half hour"
-- ---
-- ## What it holds
-- The rows of `calls` (where `is_call`), those of `kms_events` (where `is_event`; most events are both) and the events of VPC endpoints
-- (neither), counted: `calls` of them were between `first_seen` and `last_seen`, and `last_event_id` is the last. The columns in which they are alike are those of `events`; `half` is the begin of the half
-- hour. While detectors run it ends with their window, and `is_past` is true for what happened before the window began.
-- `home` and `is_aws` are as in `decrypts`.
-- ## Why
-- Most questions are about how many calls there were, of whom and when. Settled days are counted in the lake already, so that no single
-- event is read for them.
WITH counted AS (
    SELECT
        key_arn, key_id, key_account_id, key_region, key_alias, dest_key_arn, principal, principal_id, principal_type,
        principal_account_id, account_id, region, event_name, usage_class, outcome, error_code, via, asset_type, asset_trust,
        is_event, is_call, half, half < window_since() AS is_past, calls, first_seen, last_seen, last_event_id
    FROM settled_counts
    WHERE half >= horizon_from()
      AND half < horizon_until()
      AND half < window_until()
      AND half <> date_bin(INTERVAL '30 minutes', horizon_until())
      AND half <> date_bin(INTERVAL '30 minutes', window_since())
      AND half <> date_bin(INTERVAL '30 minutes', window_until())
),
-- Half hours that the horizon or the window cuts, and calls that are counted nowhere.
others AS (
    SELECT *
    FROM (
        SELECT
            key_arn, key_id, key_account_id, key_region, key_alias, dest_key_arn, principal, principal_id, principal_type,
            principal_account_id, account_id, region, event_name, usage_class, outcome, error_code, via, asset_type, asset_trust,
            false AS is_event, true AS is_call, event_time, event_id
        FROM calls
        UNION ALL
        SELECT
            key_arn, key_id, key_account_id, key_region, key_alias, dest_key_arn, principal, principal_id, principal_type,
            principal_account_id, account_id, region, event_name, usage_class, outcome, error_code, via, asset_type, asset_trust,
            is_event, false AS is_call, event_time, event_id
        FROM (
            SELECT
                * REPLACE (coalesce(principal, principal_id, 'unknown') AS principal),
                coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents') AS is_event
            FROM timely_events
            WHERE event_source = 'kms.amazonaws.com'
        )
    )
    WHERE (
          (
              event_time >= date_bin(INTERVAL '30 minutes', horizon_until())
              AND event_time < date_bin(INTERVAL '30 minutes', horizon_until()) + minutes(30)
          )
          OR (
              event_time >= date_bin(INTERVAL '30 minutes', window_since())
              AND event_time < date_bin(INTERVAL '30 minutes', window_since()) + minutes(30)
          )
          OR (
              event_time >= date_bin(INTERVAL '30 minutes', window_until())
              AND event_time < date_bin(INTERVAL '30 minutes', window_until()) + minutes(30)
          )
      )
    UNION ALL
    SELECT
        key_arn, key_id, key_account_id, key_region, key_alias, dest_key_arn, principal, principal_id, principal_type,
        principal_account_id, account_id, region, event_name, usage_class, outcome, error_code, via, asset_type, asset_trust,
        false AS is_event, true AS is_call, event_time, event_id
    FROM uncertain_calls
    WHERE date_bin(INTERVAL '30 minutes', event_time) <> date_bin(INTERVAL '30 minutes', horizon_until())
      AND date_bin(INTERVAL '30 minutes', event_time) <> date_bin(INTERVAL '30 minutes', window_since())
      AND date_bin(INTERVAL '30 minutes', event_time) <> date_bin(INTERVAL '30 minutes', window_until())
)
SELECT
    *,
    coalesce(principal_account_id, account_id) AS home,
    coalesce(principal_type, '') = 'AWSService'
        OR principal LIKE 'service:%'
        OR principal LIKE '%:role/aws-service-role/%' AS is_aws
FROM (
    SELECT * FROM counted
    UNION ALL
    SELECT
        * EXCEPT (event_time, event_id),
        date_bin(INTERVAL '30 minutes', event_time) AS half,
        event_time < window_since() AS is_past,
        count(*) AS calls,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        last_value(event_id ORDER BY event_time, event_id) AS last_event_id
    FROM others
    WHERE event_time < window_until()
    GROUP BY ALL
)
