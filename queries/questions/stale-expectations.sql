-- ---
-- title = "What in the expectations file no longer matches anything in the lake"
-- ---
-- ## What it answers
-- One row per account, third party, key, decryptor, service or accepted finding of the file that nothing in the lake is like.
-- It may have gone, or be misspelt; then it protects nothing.
WITH patterns AS (
    SELECT line, 'key' AS entry, unnest(keys) AS pattern, NULL AS rule FROM expectations
    UNION ALL
    SELECT line, 'decryptor', unnest(decryptors), rule FROM expectations
    UNION ALL
    SELECT line, 'service', unnest(services), rule FROM expectations
    UNION ALL
    SELECT line, 'asset', unnest(assets), rule FROM expectations
),
names AS (
    SELECT key_arn AS name FROM known_keys
    UNION
    SELECT key_id FROM known_keys
    UNION
    SELECT unnest(aliases) FROM known_keys
    UNION
    SELECT unnest(tag_names(tags)) FROM known_keys
),
users AS (
    SELECT
        key_arn,
        CAST(principal AS VARCHAR) AS principal,
        coalesce(CAST(via AS VARCHAR), 'direct') AS service,
        CAST(asset AS VARCHAR) AS asset
    FROM usage
    WHERE usage_class = 'decrypt'
    GROUP BY key_arn, principal, via, asset
),
used AS (
    SELECT k.rule, 'decryptor' AS entry, u.principal AS name
    FROM users AS u
    JOIN expected_keys AS k ON k.key_arn = u.key_arn
    UNION
    SELECT k.rule, 'service', u.service
    FROM users AS u
    JOIN expected_keys AS k ON k.key_arn = u.key_arn
    UNION
    SELECT k.rule, 'asset', u.asset
    FROM users AS u
    JOIN expected_keys AS k ON k.key_arn = u.key_arn
),
matched AS (
    SELECT p.line, p.entry, p.pattern
    FROM patterns AS p
    CROSS JOIN names AS n
    WHERE p.entry = 'key'
      AND matches_any(n.name, make_array(p.pattern))
    UNION
    SELECT p.line, p.entry, p.pattern
    FROM patterns AS p
    JOIN used AS u ON u.rule = p.rule AND u.entry = p.entry
    WHERE matches_any(u.name, make_array(p.pattern))
)
SELECT p.line, p.entry, p.pattern AS value, CASE
        WHEN p.pattern LIKE 'tag:%' AND t.tagged = 0
        THEN 'no inventory tells tags: keytrail inventory --from aws'
        ELSE concat('no ', p.entry, ' is like it')
    END AS why
FROM patterns AS p
CROSS JOIN (SELECT count(tags) AS tagged FROM known_keys) AS t
LEFT ANTI JOIN matched AS m ON m.line = p.line AND m.entry = p.entry AND m.pattern = p.pattern
UNION ALL
SELECT NULL, 'account', e.account_id, 'no event is of its log'
FROM expected_accounts AS e
LEFT ANTI JOIN events AS v ON v.account_id = e.account_id
UNION ALL
SELECT NULL, 'trusted', concat(t.name, ' ', t.account_id), 'no call is of its account'
FROM trusted_parties AS t
LEFT ANTI JOIN events AS v ON v.principal_account_id = t.account_id
UNION ALL
SELECT a.line, 'accept', a.detector, 'no open finding is like it'
FROM acceptances AS a
-- Where the detector never ran there is nothing to tell.
JOIN (SELECT DISTINCT detector FROM detections WHERE is_evaluated) AS r ON r.detector = a.detector
LEFT JOIN open_findings AS f
    ON f.detector = a.detector
    AND (a.key IS NULL OR matches_any(f.key_arn, make_array(a.key)))
    AND (a.principal IS NULL OR matches_any(f.principal, make_array(a.principal)))
GROUP BY a.line, a.detector
HAVING count(f.fingerprint) = 0
ORDER BY line, entry, value
