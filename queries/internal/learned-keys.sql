-- ---
-- title = "Who decrypts with each key, through which services: a first list of what is expected"
-- params.since = { type = "timestamp", required = true, doc = "from what was seen at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "from what was seen before this instant" }
-- ---
-- ## What it answers
-- One row per key that was decrypted with (AWS's own keys left out), principal and service, with one of the key's aliases.
WITH seen AS (
    SELECT
        key_arn,
        CAST(principal AS VARCHAR) AS decryptor,
        coalesce(CAST(via AS VARCHAR), 'direct') AS service
    FROM usage
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND principal IS NOT NULL
      -- Whom no record names is nobody to be expected.
      AND principal <> 'unknown'
      AND event_time >= $since
      AND event_time < $until
    GROUP BY key_arn, principal, via
)
SELECT
    s.key_arn,
    nullif(max(array_to_string(array_slice(k.aliases, 1, 1), '')), '') AS alias,
    s.decryptor,
    s.service
FROM seen AS s
JOIN known_keys AS k ON k.key_arn = s.key_arn
WHERE k.key_manager IS DISTINCT FROM 'AWS'
GROUP BY s.key_arn, s.decryptor, s.service
ORDER BY s.key_arn, s.decryptor, s.service
