-- ---
-- title    = "The root user of an account called AWS KMS"
-- severity = "high"
-- attack   = ["T1078.004"]
-- needs    = []
-- message  = "{principal} used root credentials with AWS KMS: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Reports successful calls to AWS KMS by a root user, for each key. It is low where all of them only read: describing
-- and listing keys, as the console does for whoever is signed in.
-- ## Why it matters
-- Root cannot be restricted within its account and should do nothing that another identity can do.
-- ## False positives
-- An account's first hours; mending a key policy that locked everyone else out.
-- ## What to do next
-- Find out who signed in as root, and why. If nobody knows, take the account as lost until shown otherwise.

-- From the log itself, since the view `calls` cannot be read by its caller without putting every call together first.
-- A call that two accounts logged is put together here.
WITH root_calls AS (
    SELECT
        key_arn,
        principal,
        coalesce(max(key_account_id), max(account_id)) AS account_id,
        coalesce(max(key_region), max(region)) AS region,
        event_name,
        usage_class,
        min(event_time) AS event_time,
        min(event_id) AS event_id,
        max(via) AS via
    FROM kms_events
    WHERE principal_type = 'Root'
      AND outcome = 'ok'
      AND original_event_id IS NULL
      AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY coalesce(shared_event_id, event_id), key_arn, principal, event_name, usage_class
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY key_arn, principal, account_id, region ORDER BY event_time, event_id) AS place
    FROM root_calls
)
SELECT
    key_arn,
    principal,
    account_id,
    region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_agg(event_id ORDER BY event_time, event_id) FILTER (WHERE place <= 10) AS evidence,
    concat(
        count(*), CASE WHEN count(*) = 1 THEN ' call' ELSE ' calls' END,
        CASE WHEN key_arn IS NULL THEN ' without a key' ELSE concat(' on ', key_arn) END,
        ', of them ', count(*) FILTER (WHERE usage_class <> 'read'), ' more than reading: ',
        array_to_string(array_sort(array_agg(DISTINCT event_name)), ', '),
        CASE
            WHEN count(via) = 0 THEN ''
            ELSE concat('; through ', array_to_string(array_sort(array_agg(DISTINCT via) FILTER (WHERE via IS NOT NULL)), ', '))
        END, '.'
    ) AS detail,
    CASE WHEN bool_and(usage_class = 'read') THEN 'low' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM placed
GROUP BY key_arn, principal, account_id, region
