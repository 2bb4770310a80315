-- ---
-- title    = "Data under a key that AWS manages, or under none"
-- severity = "low"
-- attack   = []
-- needs    = []
-- message  = "Data of account {account_id} in {region} is not under a key of its own: {detail}"
-- params.since  = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until  = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Finds assets that a service encrypted or decrypted with an AWS-managed key (`alias/aws/…`), as KMS calls show: one finding
-- per key. And it finds assets for which the last choice in the window was no key of the account's own: buckets made or set to
-- SSE-S3 or to aws:kms without a key, databases (RDS, DocumentDB, Neptune) that are not encrypted or under `alias/aws/rds`,
-- the EBS default put back to `alias/aws/ebs`, and secrets without a key: one finding per account and Region. A finding says
-- how many assets there are, and names five: those with the most calls, or those that were made first. The objects of a
-- bucket are one asset, the bucket.
-- ## Why it matters
-- No one can write the policy of an AWS-managed key, disable it or share it: whoever may read the service's data may
-- decrypt it, and in an emergency there is no key to turn off. Uses of keys that AWS owns are in no log at all.
-- ## False positives
-- Data that need not be guarded so well. A bucket that is made without a key may get one later than the window, and
-- where EBS encryption was switched on a key may have been chosen before. Snapshots are told only by their use,
-- single mail messages not at all.
-- ## What to do next
-- Where the data matters choose a customer-managed key: a bucket's default, a copy of a snapshot, a secret's update.
-- What is there already stays under the old key until it is written again.

-- A key of AWS's cannot be used across accounts, so no call with it was logged by two. The few keys come first in the join, so
-- that they are what is held in memory and what the scan is pruned by.
WITH traffic AS (
    SELECT
        k.key_arn, CASE WHEN u.asset_type = 's3-object' THEN split_part(u.asset, '/', 1) ELSE u.asset END AS asset,
        max(u.via) AS via, count(*) AS calls, min(u.event_time) AS first_seen, max(u.event_time) AS last_seen,
        first_value(u.event_id ORDER BY u.event_time, u.event_id) AS sample
    FROM (SELECT key_arn FROM known_keys WHERE key_manager = 'AWS') AS k
    JOIN kms_events AS u ON u.key_arn = k.key_arn
    WHERE u.outcome = 'ok'
      AND u.usage_class IN ('decrypt', 'encrypt', 'generate')
      AND u.asset IS NOT NULL
      AND u.via IS NOT NULL
      AND coalesce(u.asset_type, '') NOT IN ('secret-key-check', 'ses-message')
      AND u.original_event_id IS NULL
      AND u.event_time >= $since AND u.event_time < $until
    GROUP BY 1, 2
),
-- The last choice counts. If two fall in the same second, a creation came first, and of others the one without a key of the
-- account's own counts, because their order is unknown.
decided AS (
    SELECT *
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY account_id, region, asset
                ORDER BY
                    event_name = 'EnableEbsEncryptionByDefault', event_time DESC, event_name LIKE 'Create%', lack DESC, event_id DESC
            ) AS place
        FROM encryption_choices
        WHERE asset IS NOT NULL AND lack IS NOT NULL AND event_time >= $since AND event_time < $until
    )
    WHERE place = 1 AND lack <> ''
)
SELECT
    key_arn,
    split_part(key_arn, ':', 5) AS account_id,
    split_part(key_arn, ':', 4) AS region,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(calls) AS events,
    evidence(sample, first_seen) AS evidence,
    concat(
        sum(calls), ' uses through ', listed(via), ' with a key that AWS manages, for ', counted(count(*), 'asset'), ': ', most_often(asset, calls)
    ) AS detail
FROM traffic
GROUP BY key_arn
UNION ALL
SELECT
    NULL, account_id, region, min(first_seen), max(last_seen), sum(choices),
    array_slice(flatten(array_agg(samples ORDER BY first_seen, lack)), 1, 10),
    string_agg(concat(lack, ' for ', assets), '; ' ORDER BY lack)
FROM (
    SELECT
        account_id, region, lack, min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS choices,
        evidence(event_id, event_time) AS samples,
        listed_in_order(
            concat(asset, ' (', coalesce(engine || ' ' || name || ', ', ''), event_name, ' by ', principal, ')'),
            date_part('epoch', event_time)
        ) AS assets
    FROM decided
    GROUP BY account_id, region, lack
)
GROUP BY account_id, region
