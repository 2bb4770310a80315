-- ---
-- title    = "A KMS key was replicated into a Region that its account did not use"
-- severity = "medium"
-- attack   = ["T1535"]
-- needs    = ["baseline"]
-- message  = "{principal} replicated {key_arn} into a new Region: {detail}"
-- params.since         = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until         = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "a Region without use of a key in so many days is new" }
-- ---
-- ## What it does
-- Reports a successful ReplicateKey into a Region in which no key of the same account was used in the `baseline_days`
-- before the window.
-- ## When it does not judge
-- Where no hour of those days is proven or observed in `coverage` for that account and Region: that the lake has no use
-- does not say that there was none.
-- ## Why it matters
-- A replica decrypts all that its primary does, under a policy of its own, and in a Region that nobody may be
-- watching.
-- ## False positives
-- An application that is brought to a new Region.
-- ## What to do next
-- Ask the caller. Read the replica's policy and grants there, and see that a trail records that Region.
WITH replicas AS (
    SELECT
        key_arn, principal, key_account_id, key_region, event_time, event_id,
        (regexp_match(request_parameters, '"replicaRegion":"([^"]*)"'))[1] AS replica_region
    FROM calls
    WHERE event_name = 'ReplicateKey'
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND request_parameters LIKE '%"replicaRegion":"%'
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
),
-- The few places come first in the join. That two accounts logged a call does not matter to whether there was one.
used AS (
    SELECT e.key_account_id, e.key_region
    FROM (SELECT key_account_id, replica_region FROM replicas GROUP BY key_account_id, replica_region) AS r
    JOIN kms_events AS e ON e.key_account_id = r.key_account_id AND e.key_region = r.replica_region
    WHERE e.outcome = 'ok'
      AND e.usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
      AND e.event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND e.event_time < $since
    GROUP BY e.key_account_id, e.key_region
),
known AS (
    SELECT account_id, region
    FROM coverage
    WHERE state IN ('proven', 'observed')
      AND day >= CAST(CAST($since AS TIMESTAMP) - CAST(concat($baseline_days, ' days') AS INTERVAL) AS DATE)
      AND day <= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND hour >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND hour < $since
    GROUP BY account_id, region
),
new_replicas AS (
    SELECT r.*, k.account_id IS NOT NULL AS is_known
    FROM replicas AS r
    LEFT JOIN known AS k ON k.account_id = r.key_account_id AND k.region = r.replica_region
    LEFT ANTI JOIN used AS u ON u.key_account_id = r.key_account_id AND u.key_region = r.replica_region
)
SELECT
    key_arn,
    principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
    CAST(concat(
        'into ', array_to_string(array_sort(array_agg(DISTINCT replica_region)), ', '),
        ', where its account used no key in the ', $baseline_days, ' days before.'
    ) AS VARCHAR) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN NOT is_known
        THEN CAST(concat(
            'nothing is known of ', array_to_string(array_sort(array_agg(DISTINCT replica_region)), ', '),
            ' for its account in the ', $baseline_days, ' days before'
        ) AS VARCHAR)
    END AS not_evaluated
FROM new_replicas
GROUP BY key_arn, principal, is_known
