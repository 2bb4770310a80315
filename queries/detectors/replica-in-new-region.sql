-- ---
-- title    = "A KMS key was replicated into a Region that its account did not use"
-- severity = "medium"
-- attack   = ["T1535"]
-- needs    = ["baseline"]
-- message  = "{principal} replicated {key_arn} into a new Region: {detail}"
-- params.since         = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "a Region without use of a key in so many days is new" }
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
    SELECT *, (regexp_match(request_parameters, '"replicaRegion":"([^"]*)"'))[1] AS replica_region
    FROM control_calls
    WHERE event_name = 'ReplicateKey'
      AND NOT is_past
      AND NOT is_aws
      AND request_parameters LIKE '%"replicaRegion":"%'
),
used AS (
    SELECT e.key_account_id, e.key_region
    FROM (SELECT account_id, replica_region FROM replicas GROUP BY account_id, replica_region) AS r
    JOIN kms_events AS e ON e.key_account_id = r.account_id AND e.key_region = r.replica_region
    WHERE e.outcome = 'ok'
      AND is_use(e.usage_class)
      AND e.event_time >= $since - days($baseline_days) AND e.event_time < $since
    GROUP BY e.key_account_id, e.key_region
),
known AS (
    SELECT account_id, region
    FROM coverage
    WHERE state IN ('proven', 'observed')
      AND hour >= $since - days($baseline_days) AND hour < $since
    GROUP BY account_id, region
)
SELECT
    r.key_arn, r.principal, max(r.account_id) AS account_id, max(r.region) AS region, min(r.event_time) AS first_seen,
    max(r.event_time) AS last_seen, count(*) AS events, evidence(r.event_id, r.event_time) AS evidence,
    concat('into ', listed(r.replica_region), ', where its account used no key in the ', $baseline_days, ' days before.') AS detail,
    CASE
        WHEN k.account_id IS NULL
        THEN concat('nothing is known of ', listed(r.replica_region), ' for its account in the ', $baseline_days, ' days before')
    END AS not_evaluated
FROM replicas AS r
LEFT JOIN known AS k ON k.account_id = r.account_id AND k.region = r.replica_region
LEFT ANTI JOIN used AS u ON u.key_account_id = r.account_id AND u.key_region = r.replica_region
GROUP BY r.key_arn, r.principal, k.account_id
