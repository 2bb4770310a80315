-- ---
-- title    = "Calls fail because a KMS key is disabled or pending deletion"
-- severity = "high"
-- attack   = ["T1489"]
-- needs    = []
-- message  = "{principal} still needs {key_arn}: {detail}"
-- params.since  = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until  = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.assets = { type = "integer", default = 5, doc = "how many assets are named, those that failed last" }
-- ---
-- ## What it does
-- Reports cryptographic calls that failed because their key was disabled or pending deletion, for each principal and
-- key, with the assets that they named. AWS services are included.
-- ## Why it matters
-- Something depends on a key that someone has taken away. If it is pending deletion, this is the last time to notice.
-- ## False positives
-- Tests of what breaks when a key is disabled: this finding is their result.
-- ## What to do next
-- Cancel the deletion or enable the key, or move what is named here to another key.

-- Which keys are concerned is asked of the log first, since that reads one column of it; usage is then read for these.
WITH doomed AS (
    SELECT unnest(make_array(key_arn, dest_key_arn)) AS key_arn
    FROM kms_events
    WHERE outcome = 'key_unusable'
      AND event_time >= $since
      AND event_time < $until
),
failed_calls AS (
    SELECT
        u.key_arn, u.principal, u.asset, u.event_time, u.event_id, u.key_account_id, u.key_region, u.via,
        u.event_name,
        lower(coalesce(u.error_message, '')) AS message
    FROM (SELECT key_arn FROM doomed WHERE key_arn IS NOT NULL GROUP BY key_arn) AS d
    JOIN usage AS u ON u.key_arn = d.key_arn
    WHERE u.outcome = 'key_unusable'
      AND (
          lower(u.error_message) LIKE '%is disabled%'
          OR lower(u.error_message) LIKE '%pending%deletion%'
          OR (coalesce(u.error_message, '') = '' AND u.error_code = 'DisabledException')
      )
      -- ReEncrypt has two keys, and the message names the one that is unusable.
      AND (u.key_role IS NULL OR coalesce(u.error_message, '') NOT LIKE '%:key/%' OR strpos(u.error_message, u.key_arn) > 0)
      AND u.event_time >= $since
      AND u.event_time < $until
),
-- The events of an asset follow each other; those without one are the last.
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY key_arn, principal ORDER BY event_time, event_id) AS place,
        row_number() OVER (PARTITION BY key_arn, principal, asset ORDER BY event_time DESC, event_id) AS turn
    FROM failed_calls
),
ranked AS (
    SELECT
        *,
        CASE
            WHEN asset IS NOT NULL AND turn = 1
            THEN row_number() OVER (PARTITION BY key_arn, principal ORDER BY turn > 1, asset IS NULL, event_time DESC, asset)
        END AS asset_place
    FROM placed
)
SELECT
    key_arn,
    principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_agg(event_id ORDER BY event_time, event_id) FILTER (WHERE place <= 10) AS evidence,
    concat(
        count(*), CASE WHEN count(*) = 1 THEN ' call' ELSE ' calls' END,
        ' failed, the last a ', last_value(event_name ORDER BY event_time, event_id),
        coalesce(' through ' || last_value(via ORDER BY event_time, event_id), ''),
        ': the key is ',
        CASE
            WHEN last_value(message ORDER BY event_time, event_id) LIKE '%pending%deletion%' THEN 'pending deletion'
            ELSE 'disabled'
        END,
        '.',
        CASE
            WHEN max(asset_place) > 0
            THEN concat(
                ' Concerned ', CASE WHEN max(asset_place) = 1 THEN 'is ' ELSE 'are ' END,
                array_to_string(array_agg(asset ORDER BY asset_place) FILTER (WHERE asset_place <= $assets), ', '),
                CASE WHEN max(asset_place) > $assets THEN concat(' and ', max(asset_place) - $assets, ' more') ELSE '' END,
                '.'
            )
            ELSE ''
        END
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM ranked
GROUP BY key_arn, principal
